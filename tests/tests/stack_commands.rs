//! Every command of the README, the quick start and the pages for trouble, run as it stands there.
//!
//! `kubectl` runs against the real API server; in the quick start shell-operator and the controller run from the line on
//! that waits for the Deployment, with the rights that the page itself has applied and no other. What needs a kubelet or a
//! container engine (`logs`, `exec`, `rollout`, `docker`) is held against the tools' own help and the files it names.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use ng_tests::tools::{Clients, installed};
use ng_tests::{Hook, Node, Stack, Tools, program, wait_until};
use serde_json::json;

const LIMIT: Duration = Duration::from_mins(1);
/// Seconds that one command may take.
const COMMAND_LIMIT: &str = "180";
const NODES: &str = "/api/v1/nodes?labelSelector=nodeguardian.io%2Ffirst-look";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

/// The commands of a page's blocks of the language `sh`, in order; a text for stdin belongs to its command.
fn commands(page: &str) -> Result<Vec<String>> {
    let mut commands = Vec::new();
    let mut in_block = false;
    let mut here: Option<String> = None;
    for line in text(page)?.lines() {
        if let Some(command) = &mut here {
            command.push('\n');
            command.push_str(line);
            if line == "EOF" {
                commands.extend(here.take());
            }
        } else if line.starts_with("```") {
            in_block = line == "```sh";
        } else if in_block && line.ends_with("<<'EOF'") {
            here = Some(line.to_owned());
        } else if in_block && !line.trim().is_empty() {
            let command = line.split(" # ").next().unwrap_or_default().trim();
            match commands.last_mut() {
                Some(begun) if begun.ends_with('\\') => {
                    begun.pop();
                    begun.push_str(command);
                }
                _ => commands.push(command.to_owned()),
            }
        }
    }
    ensure!(here.is_none() && !commands.is_empty(), "{page}: {here:?}");
    Ok(commands)
}

/// Whether helm can render what it is asked to install; another test has a release on a cluster.
fn chart(words: &[&str]) -> Result<()> {
    let ["upgrade", "--install", rest @ ..] = words else {
        bail!("expected upgrade --install, found {words:?}")
    };
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    let output = Command::new(&clients.helm)
        .arg("template")
        .args(rest.iter().filter(|word| **word != "--create-namespace"))
        .current_dir(root())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm template: {errors}");
    Ok(())
}

/// The texts of a page's blocks of a language.
fn blocks(page: &str, language: &str) -> Result<Vec<String>> {
    let text = text(page)?;
    let opening = format!("\n```{language}\n");
    let blocks = text.split(&opening).skip(1);
    let whole = blocks.filter_map(|rest| rest.split_once("\n```\n"));
    Ok(whole.map(|(block, _)| format!("{block}\n")).collect())
}

/// The stack and an administrator's kubeconfig.
struct Desk {
    stack: Stack,
    kubeconfig: PathBuf,
    /// How many commands ran, and how many were only looked at.
    counts: (usize, usize),
}

impl Desk {
    fn start(tools: Tools, kubectl: &Path) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        // The pages give the hooks their rights: to begin with they have none.
        let nothing = dir.path().join("nothing.yaml");
        let file = std::fs::File::create(&nothing)?;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "nodeguardian-system"}});
        serde_json::to_writer(file, &namespace)?;
        let controller = program("ng-controller", "controller")?;
        let mut stack = Stack::builder(tools)
            .rights(nothing)
            .hook(Hook::program("001-nodeguardian-controller", controller))
            .start()?;
        for name in ["worker-1", "worker-2", "worker-3"] {
            Node::new(name).create(stack.api())?;
        }
        stack
            .cluster()
            .ensure_service_account("default", "administrator")?;
        stack.api().apply_object(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "administrator"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "administrator"}],
        }))?;
        std::os::unix::fs::symlink(kubectl, stack.dir().join("kubectl"))?;
        let kubeconfig = stack.dir().join("administrator.kubeconfig");
        stack
            .cluster()
            .write_kubeconfig(&kubeconfig, "default", "administrator")?;
        Ok(Self {
            stack,
            kubeconfig,
            counts: (0, 0),
        })
    }

    fn page(&mut self, page: &str) -> Result<()> {
        for command in commands(page)? {
            self.command(&command)
                .with_context(|| format!("{page}: {command}"))?;
        }
        Ok(())
    }

    fn command(&mut self, command: &str) -> Result<()> {
        let words: Vec<&str> = command
            .split_whitespace()
            .skip_while(|word| word.contains('=') && !word.starts_with('-'))
            .collect();
        let Some((tool, rest)) = words.split_first() else {
            bail!("no command")
        };
        match *tool {
            "kubectl" if needs_pods(rest) => {
                let kubectl = self.stack.dir().join("kubectl");
                self.looked_at(kubectl_knows(&kubectl, rest))
            }
            "kubectl" => self.run(command),
            "docker" => self.looked_at(image(rest)),
            "helm" => self.looked_at(chart(rest)),
            ".ci/run" => self.looked_at(step(rest)),
            "cargo" => self.looked_at(packages(rest)),
            "config-loader" | "alert-manager" | "replay" => self.looked_at(knows(tool, rest)),
            other => bail!("the test does not know how to run {other}"),
        }?;
        self.after(command)
    }

    fn looked_at(&mut self, result: Result<()>) -> Result<()> {
        self.counts.1 += 1;
        result
    }

    fn run(&mut self, command: &str) -> Result<()> {
        self.counts.0 += 1;
        let dir = self.stack.dir().display();
        let path = format!("{dir}:/usr/local/bin:/usr/bin:/bin");
        let output = Command::new("timeout")
            .args([COMMAND_LIMIT, "bash", "-o", "pipefail", "-c", command])
            .env("KUBECONFIG", &self.kubeconfig)
            .env("PATH", path)
            .env_remove("KUBERNETES_SERVICE_HOST")
            .current_dir(root())
            .output()?;
        succeeded(&output)?;
        if command == "kubectl get nodes -l nodeguardian.io/first-look" {
            let told = String::from_utf8_lossy(&output.stdout);
            ensure!(told.is_empty(), "a node has the label: {told}");
        }
        Ok(())
    }

    /// What a cluster does by itself at this line, and what the page says that happens.
    fn after(&mut self, command: &str) -> Result<()> {
        if command.contains("rollout status") && !self.stack.operator().is_running() {
            self.stack.operator().start()?;
        }
        if command == "kubectl delete ngr first-look" {
            let api = self.stack.api().clone();
            wait_until(LIMIT, "nodes without the label", || {
                let labelled = api.list(NODES)?.len();
                ensure!(labelled == 0, "{labelled} nodes have it");
                Ok(())
            })?;
        }
        Ok(())
    }
}

fn succeeded(output: &Output) -> Result<()> {
    let told = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}: {told}{problem}",
        output.status
    );
    Ok(())
}

/// The words of a call of kubectl that say what it does; a namespace may stand before them.
fn verb<'a>(words: &'a [&'a str]) -> &'a [&'a str] {
    match words {
        ["-n", _, rest @ ..] => rest,
        all => all,
    }
}

/// Whether a call speaks with a pod, or waits for one: no kubelet and no controller of Deployments runs here.
fn needs_pods(words: &[&str]) -> bool {
    matches!(verb(words).first(), Some(&("logs" | "exec" | "rollout")))
}

/// Holds the flags of such a call against kubectl's own help, and what it executes against the image.
fn kubectl_knows(kubectl: &Path, words: &[&str]) -> Result<()> {
    let words = verb(words);
    let (own, inside) = match words.iter().position(|word| *word == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &[][..]),
    };
    let length = if own[0] == "rollout" { 2 } else { 1 };
    let output = Command::new(kubectl)
        .args(&own[..length])
        .arg("--help")
        .output()?;
    succeeded(&output)?;
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for flag in own.iter().filter(|word| word.starts_with("--")) {
        let name = flag.split('=').next().unwrap_or_default();
        ensure!(
            help.contains(&format!("{name}=")),
            "kubectl {} has no {name}",
            own[0]
        );
    }
    match inside {
        [] | ["shell-operator", ..] => Ok(()),
        [hook, rest @ ..] => {
            let row = format!("| `{hook}` |");
            let readme = text("README.md")?;
            let line = readme.lines().find(|line| line.contains(&row));
            let name = line.and_then(|line| line.split('`').nth(1));
            knows(
                name.with_context(|| format!("the image has no {hook}"))?,
                rest,
            )
        }
    }
}

/// Lets one of the project's commands read its arguments: with `--help` it does so and no more.
fn knows(name: &str, arguments: &[&str]) -> Result<()> {
    let file = program(&format!("ng-{name}"), name)?;
    let output = Command::new(file)
        .args(arguments)
        .arg("--help")
        .current_dir(root())
        .output()?;
    succeeded(&output)?;
    for path in arguments.iter().filter(|word| word.starts_with("config/")) {
        ensure!(root().join(path).exists(), "there is no {path}");
    }
    Ok(())
}

/// An image is built from here, and pushed under the name that it was built with.
fn image(words: &[&str]) -> Result<()> {
    let built = text("README.md")? + &text("docs/quick-start.md")?;
    match words {
        ["build", "-t", name, "."] => {
            ensure!(name.contains('/') && name.contains(':'), "{name}");
            ensure!(
                root().join("Dockerfile").is_file(),
                "there is no Dockerfile"
            );
        }
        ["push", name] => ensure!(
            built.contains(&format!("docker build -t {name} .")),
            "{name}"
        ),
        _ => bail!("the test knows build and push only"),
    }
    Ok(())
}

/// What `.ci/run` is asked for is one of its cases.
fn step(words: &[&str]) -> Result<()> {
    let script = text(".ci/run")?;
    for word in words {
        ensure!(
            script.contains(&format!("    {word})\n")),
            ".ci/run has no {word}"
        );
    }
    Ok(())
}

/// Packages and programs that cargo is asked for exist.
fn packages(words: &[&str]) -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()?;
    succeeded(&output)?;
    let known = String::from_utf8_lossy(&output.stdout).into_owned();
    let own = words.split(|word| *word == "--").next().unwrap_or_default();
    for pair in own.windows(2) {
        if let ["-p" | "--bin" | "--test", name] = pair {
            ensure!(
                known.contains(&format!("\"name\":\"{name}\"")),
                "there is no {name}"
            );
        }
    }
    ensure!(
        ["run", "test", "build"].contains(own.first().context("no word")?),
        "{own:?}"
    );
    Ok(())
}

/// kubectl as the tests build it, or that of the machine if it is not too old to wait for a field.
fn kubectl() -> Result<Option<PathBuf>> {
    let can_wait = |path: &Path| {
        let output = Command::new(path).args(["wait", "--help"]).output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("jsonpath"))
    };
    let built = root().join("target/stack-tools/kubectl");
    if can_wait(&built) {
        return Ok(Some(std::path::absolute(built)?));
    }
    installed(&["kubectl"], "kubectl of 1.23 or later", can_wait)
}

fn desk() -> Result<Option<Desk>> {
    match (Tools::for_test()?, kubectl()?) {
        (Some(tools), Some(kubectl)) => Desk::start(tools, &kubectl).map(Some),
        _ => Ok(None),
    }
}

#[test]
fn the_quick_start_does_what_it_says() -> Result<()> {
    let Some(mut desk) = desk()? else {
        return Ok(());
    };
    desk.page("docs/quick-start.md")?;
    // Two thirds of it run for real.
    let (ran, looked_at) = desk.counts;
    ensure!(
        ran >= 20 && ran >= 2 * looked_at,
        "{ran} ran, {looked_at} were looked at"
    );
    Ok(())
}

#[test]
fn the_commands_of_the_readme_and_of_the_pages_for_trouble_work() -> Result<()> {
    let Some(mut desk) = desk()? else {
        return Ok(());
    };
    desk.page("README.md")?;
    let manifests = blocks("README.md", "yaml")?;
    ensure!(!manifests.is_empty(), "the README shows no rule");
    for manifest in manifests {
        desk.run(&format!(
            "kubectl apply --dry-run=server -f - <<'EOF'\n{manifest}EOF"
        ))?;
    }
    desk.page("docs/troubleshooting.md")?;
    desk.page("docs/examples.md")?;
    Ok(())
}
