#!/usr/bin/env bash
# Builds NodeGuardian's image, puts NodeGuardian onto a cluster, checks it, and takes all of it away again.
# Run with --help.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
readonly root
readonly default_namespace=nodeguardian-system
readonly deployment=deployment/nodeguardian
readonly pods=app.kubernetes.io/name=nodeguardian
readonly in_image=/usr/local/bin/nodeguardian-replay
readonly kinds=(nodeguardianrules.nodeguardian.k8s.io alerttemplates.nodeguardian.k8s.io)

steps=()
dry_run=no
namespace=$default_namespace
image=
context=
timeout=120
work=
# What NodeGuardian has set, as --held names it or as its state has told it, and the second of these until it is undone.
held=
kept=

usage() {
    cat <<'END'
usage: deploy/deploy.sh STEP... [OPTION...]

Steps, done in this order whatever the order they are given in:
  --build            build the image
  --deploy           apply the custom resource definitions and the manifests
  --examples         apply the example rules and templates; they act, unless the overlay only detects or alerts
  --verify           wait until NodeGuardian runs, and say what is missing if it does not
  --full             --build --deploy --examples --verify
  --cleanup          stop NodeGuardian, take every taint, label, annotation and cordon that it has set off the nodes,
                     and remove everything that --deploy has made; rules and templates go with their definitions,
                     so keep a copy: kubectl get nodeguardianrules,alerttemplates -o yaml

Options:
  --namespace NAME   namespace of NodeGuardian alone: --deploy makes it, --cleanup deletes it (nodeguardian-system)
  --image IMAGE      image to build and to run (what the manifests say)
  --context NAME     context of the kubeconfig (the current one)
  --timeout SECONDS  how long --verify waits for NodeGuardian, and --cleanup for its end (120)
  --held FILE        for --cleanup: what NodeGuardian has set, as an earlier --cleanup that failed has kept it, or
                     nodeguardian-replay held has printed it into a plain file; its state is not asked then. none: only
                     what the rules' statuses say, where the state cannot be asked any more
  --dry-run          print the commands that would change something, run none
  --help             this text

Variables:
  NODEGUARDIAN_BUILDER  builds the image: docker (the default), podman or nerdctl
  NODEGUARDIAN_REPLAY   the executable replay, for --cleanup. Without it nodeguardian-replay of the PATH is taken,
                        then one that was built here, then the image's own in a pod of the cluster

Exit status: 0: done; 1: something failed or is missing; 2: wrong usage.
END
}

say() {
    printf '== %s\n' "$*"
}

warn() {
    printf 'deploy.sh: %s\n' "$*" >&2
}

fail() {
    warn "$@"
    exit 1
}

wrong_usage() {
    warn "$1; see --help"
    exit 2
}

# The file that the next command to be shown reads, if it reads one.
input=

# Prints a command as one could type it.
show() {
    printf '+'
    printf ' %q' "$@"
    [ -z "$input" ] || printf ' < %q' "$input"
    printf '\n'
}

# A command that changes something: shown, and not run in a dry run.
run() {
    show "$@"
    [ "$dry_run" = yes ] || "$@"
}

# kubectl for the chosen context; only reads unless it is run by `run`.
kube() {
    if [ -n "$context" ]; then
        kubectl --context "$context" "$@"
    else
        kubectl "$@"
    fi
}

# kubectl for a change.
change() {
    if [ -n "$context" ]; then
        run kubectl --context "$context" "$@"
    else
        run kubectl "$@"
    fi
}

has_step() {
    local step
    for step in ${steps[@]+"${steps[@]}"}; do
        [ "$step" != "$1" ] || return 0
    done
    return 1
}

# Stops unless the option in $1 has a value in $2.
need_value() {
    if [ -z "${2:-}" ]; then
        wrong_usage "$1 needs a value"
    fi
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --build | --deploy | --examples | --verify | --cleanup) steps+=("${1#--}") ;;
            --full) steps+=(build deploy examples verify) ;;
            --dry-run) dry_run=yes ;;
            --namespace)
                need_value "$@"
                namespace=$2
                shift
                ;;
            --image)
                need_value "$@"
                image=$2
                shift
                ;;
            --context)
                need_value "$@"
                context=$2
                shift
                ;;
            --timeout)
                need_value "$@"
                timeout=$2
                shift
                ;;
            --held)
                need_value "$@"
                held=$2
                shift
                ;;
            --help | -h)
                usage
                exit 0
                ;;
            *) wrong_usage "unknown argument $1" ;;
        esac
        shift
    done
}

check_arguments() {
    [ ${#steps[@]} -gt 0 ] || {
        usage >&2
        exit 2
    }
    ! has_step cleanup || [ ${#steps[@]} -eq 1 ] || wrong_usage '--cleanup goes with no other step'
    [[ $namespace =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || wrong_usage "--namespace: no name of a namespace: $namespace"
    [[ $timeout =~ ^[1-9][0-9]*$ ]] || wrong_usage "--timeout: no number of seconds: $timeout"
    [[ $image =~ ^[A-Za-z0-9._/:@-]*$ ]] || wrong_usage "--image: no name of an image: $image"
    [ -z "$held" ] || has_step cleanup || wrong_usage '--held goes with --cleanup only'
    [ -z "$held" ] || [ "$held" = none ] || { [ -f "$held" ] && [ -r "$held" ]; } ||
        wrong_usage "--held: no plain file that can be read: $held"
}

# need TOOL STEP WHERE: says what is missing, for what, and where to get it.
need() {
    command -v "$1" >/dev/null || fail "$1 is missing, which $2 needs: $3"
}

check_tools() {
    [ "$dry_run" = no ] || return 0
    if has_step build; then
        need "$(builder)" --build 'install it, or name another one in NODEGUARDIAN_BUILDER'
    fi
    if has_step deploy || has_step examples || has_step verify || has_step cleanup; then
        need kubectl "--${steps[${#steps[@]} - 1]}" https://kubernetes.io/docs/tasks/tools/
        kube get --raw /version >/dev/null || fail "the cluster cannot be reached${context:+ in context $context}; see above"
        check_namespace
    fi
}

# Someone else's namespace would get Pod Security "restricted", and --cleanup would delete it with all that is in it.
check_namespace() {
    local owner
    has_step deploy || has_step cleanup || return 0
    owner=$(kube get namespace "$namespace" --ignore-not-found \
        -o 'jsonpath={.metadata.name}{" is of "}{.metadata.labels.app\.kubernetes\.io/name}') ||
        fail "whose the namespace $namespace is cannot be read; see above"
    [ -z "$owner" ] || [ "$owner" = "$namespace is of nodeguardian" ] ||
        fail "namespace $namespace: expected one of NodeGuardian alone, labelled app.kubernetes.io/name=nodeguardian;" \
            'name one that does not exist yet'
}

builder() {
    printf '%s' "${NODEGUARDIAN_BUILDER:-docker}"
}

version() {
    sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1
}

# The manifests for the chosen namespace and image, in a file.
render() {
    local file=$work/manifests.yaml edits=(-e "s/$default_namespace/$namespace/g")
    if [ -n "$image" ]; then
        edits+=(-e "s|^( *(- )?image: +)[^ ]*nodeguardian[^ /]*\$|\\1$image|")
    fi
    if [ "$dry_run" = yes ]; then
        printf '+ kubectl kustomize %q | sed -E' "$root/deploy"
        printf ' %q' "${edits[@]}"
        printf ' > %q\n' "$file"
        return
    fi
    kubectl kustomize "$root/deploy" | sed -E "${edits[@]}" >"$file"
    [ -z "$image" ] || grep -Fq -- "image: $image" "$file" || fail "the manifests have no image to replace by $image"
}

build() {
    say 'build the image'
    run "$(builder)" build --tag "${image:-nodeguardian:$(version)}" "$root"
}

deploy() {
    say "apply the manifests in namespace $namespace"
    render
    change apply -f "$root/config/crd"
    change wait --for=condition=Established --timeout="${timeout}s" "${kinds[@]/#/crd/}"
    change apply -f "$work/manifests.yaml"
}

examples() {
    say 'apply the examples'
    change apply -f "$root/config/examples"
}

# What --verify has found; counted, so that everything missing is told at once.
missing=0
lacks() {
    warn "$@"
    missing=$((missing + 1))
}

verify() {
    say "check NodeGuardian in namespace $namespace"
    if [ "$dry_run" = yes ]; then
        printf 'nothing is changed by this step\n'
        return
    fi
    verify_kinds
    verify_deployment
    verify_rules
    [ "$missing" -eq 0 ] || fail "NodeGuardian does not run: see the $missing messages above"
    say 'NodeGuardian runs'
}

verify_kinds() {
    local kind established
    for kind in "${kinds[@]}"; do
        established=$(kube get crd "$kind" --ignore-not-found \
            -o 'jsonpath={.status.conditions[?(@.type=="Established")].status}')
        [ "$established" = True ] || lacks "the definition $kind is not there; --deploy applies it"
    done
}

verify_deployment() {
    local found
    found=$(kube -n "$namespace" get "$deployment" --ignore-not-found -o name)
    if [ -z "$found" ]; then
        lacks "there is no Deployment nodeguardian in namespace $namespace; --deploy applies it"
    elif ! kube -n "$namespace" rollout status "$deployment" --timeout="${timeout}s"; then
        lacks "the Deployment was not ready within $timeout s"
        explain
    fi
}

# Why no pod is ready, as far as the cluster tells.
explain() {
    local list
    list=$(kube -n "$namespace" get pods -l "$pods" -o 'jsonpath={range .items[*]}{.metadata.name}{": "}{.status.phase}{range .status.conditions[?(@.status=="False")]}{"; "}{.reason}{" "}{.message}{end}{range .status.containerStatuses[*]}{"; "}{.state.waiting.reason}{" "}{.state.waiting.message}{end}{"\n"}{end}')
    if [ -n "$list" ]; then
        warn "pods: $list"
    else
        warn 'no pod was made for it: is the controller manager running, and is there a quota or a policy?'
    fi
    kube -n "$namespace" get events --field-selector type=Warning \
        -o 'jsonpath={range .items[*]}{"deploy.sh: event: "}{.involvedObject.name}{": "}{.message}{"\n"}{end}' | tail -n 5 >&2
}

verify_rules() {
    local broken
    broken=$(kube get nodeguardianrules \
        -o 'jsonpath={range .items[?(@.status.phase=="Error")]}{.metadata.name}{": "}{.status.lastError}{"\n"}{end}' 2>/dev/null) || return 0
    [ -z "$broken" ] || lacks "rules that are refused: $broken"
}

cleanup() {
    say "take NodeGuardian away from namespace $namespace"
    render
    stop
    undo
    say 'remove what was applied'
    # Not waited for: a namespace takes as long as what is in it.
    change delete --ignore-not-found --wait=false -f "$work/manifests.yaml"
    change delete --ignore-not-found --timeout="${timeout}s" -f "$root/config/crd"
    say 'everything is removed; a namespace goes in the background'
}

# Stops NodeGuardian, which would set again what is taken off, and asks it before what it has set.
stop() {
    say 'stop NodeGuardian'
    if [ "$dry_run" = no ]; then
        [ -n "$(kube -n "$namespace" get "$deployment" --ignore-not-found -o name)" ] || {
            printf 'there is no Deployment nodeguardian in namespace %s\n' "$namespace"
            return
        }
        # The cleanup runs what was running.
        image=${image:-$(kube -n "$namespace" get "$deployment" -o 'jsonpath={.spec.template.spec.containers[0].image}')}
        [ "$(kube -n "$namespace" get "$deployment" -o 'jsonpath={.spec.replicas}')" != 0 ] || [ -n "$held" ] ||
            fail 'NodeGuardian is stopped already, so its state cannot be asked what it has set: give --held FILE, which a' \
                'cleanup that failed has named, or --held none to do with what the statuses of the rules say'
        [ -n "$held" ] || keep_held
        [ "$held" != none ] || held=
    fi
    change -n "$namespace" scale "$deployment" --replicas=0
    change -n "$namespace" wait --for=delete pod -l "$pods" --timeout="${timeout}s"
}

# The state goes with the pod; it knows also of marks that no rule holds any more. What it tells outlives this run
# until it is undone, since a second run has nobody left to ask.
keep_held() {
    if kube -n "$namespace" exec "$deployment" -- "$in_image" held >"$work/held.json" 2>"$work/held.error"; then
        held=$(mktemp "${TMPDIR:-/tmp}/nodeguardian-held.XXXXXX")
        mv "$work/held.json" "$held"
        kept=$held
    else
        warn "the state cannot be asked what was set, the rules' statuses have to do: $(head -n 1 "$work/held.error")"
    fi
}

undo() {
    say 'take off the nodes what NodeGuardian has set'
    local command=()
    if find_replay; then
        command=("$replay" cleanup)
        local_kubeconfig && command+=(--kubeconfig "$work/kubeconfig")
        [ -z "$held" ] || command+=(--held "$held")
        run "${command[@]}" || not_undone
    elif [ "$dry_run" = no ] && [ -z "$held" ] && [ -z "$(kube get crd "${kinds[0]}" --ignore-not-found -o name)" ]; then
        printf 'there are no rules, so nothing is held\n'
    else
        undo_in_cluster
    fi
    [ -z "$kept" ] || rm -f "$kept"
    kept=
}

not_undone() {
    local again=
    # What was asked just now is told of at the end.
    [ -n "$kept" ] || again=", run this again with --held $(printf '%q' "${held:-none}")"
    fail "not everything could be taken off, see above; nothing was removed$again"
}

replay=
find_replay() {
    local built
    if [ -n "${NODEGUARDIAN_REPLAY:-}" ]; then
        replay=$NODEGUARDIAN_REPLAY
        [ -x "$replay" ] || fail "NODEGUARDIAN_REPLAY: cannot be run: $replay"
        return
    fi
    if replay=$(command -v nodeguardian-replay); then
        return
    fi
    for built in "$root"/target/*/release/replay; do
        if [ -x "$built" ]; then
            replay=$built
            return
        fi
    done
    return 1
}

# The chosen context alone, for a program that knows no --context. Fails where there is none, as in a pod.
local_kubeconfig() {
    [ "$dry_run" = no ] || return 0
    [ -n "$context" ] || kubectl config current-context >/dev/null 2>&1 || return 1
    kube config view --raw --minify --flatten >"$work/kubeconfig"
}

# The same in a pod of the image, with the rights that NodeGuardian itself had.
undo_in_cluster() {
    local spec arguments=(cleanup)
    [ -n "$image" ] || [ "$dry_run" = yes ] ||
        fail 'no nodeguardian-replay here, and no Deployment that names an image: give --image, or set NODEGUARDIAN_REPLAY'
    [ -z "$held" ] || arguments+=(--held -)
    spec='{"spec": {"serviceAccountName": "nodeguardian", "tolerations": [{"operator": "Exists"}], '
    spec+='"securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}, '
    spec+='"containers": [{"name": "nodeguardian-cleanup", "securityContext": {"allowPrivilegeEscalation": false, '
    spec+='"readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}}}]}}'
    input=$held
    change -n "$namespace" run nodeguardian-cleanup --image "${image:-IMAGE}" --restart=Never --rm -i --quiet \
        --pod-running-timeout="${timeout}s" --override-type=strategic --overrides "$spec" \
        --command -- "$in_image" "${arguments[@]}" <"${held:-/dev/null}" || not_undone
    input=
}

# At the end, however it comes.
finish() {
    rm -rf "$work"
    [ -z "$kept" ] || warn "what NodeGuardian has set is kept in $kept: run this again with --held $(printf '%q' "$kept")"
}

main() {
    parse "$@"
    check_arguments
    check_tools
    # Holds credentials for a moment.
    umask 077
    work=$(mktemp -d)
    trap finish EXIT
    local step
    for step in build deploy examples verify cleanup; do
        ! has_step "$step" || "$step"
    done
}

main "$@"
