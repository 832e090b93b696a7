// Builds a target without an engine: what BuildKit has made of the Dockerfile, carried out on folders.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	fscopy "github.com/tonistiigi/fsutil/copy"
)

// The steps of a target, by digest, and the folders that they have come to.
type builder struct {
	steps   map[string]*pb.Op
	users   map[string]int
	folders map[string]string
	context string
	bases   bases
	work    string
}

// Folders of base images, by the image's name. Beside each, with ".env" behind its name, is what the image sets.
type bases map[string]string

// A base's variables; none for the image of another target, which is only read.
func (b bases) env(image string) ([]string, error) {
	name, _, _ := strings.Cut(image, "@")
	folder, isKnown := b[name]
	if !isKnown {
		return nil, nil
	}
	text, err := os.ReadFile(folder + ".env")
	return strings.Fields(string(text)), err
}

func build(text []byte, platform ocispecs.Platform, target, context string, bases bases, out string) error {
	steps, last, err := stepsOf(text, platform, target, bases)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(out), "stages-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	made := builder{steps: steps, users: map[string]int{}, folders: map[string]string{}, context: context, bases: bases, work: work}
	for _, step := range steps {
		for _, input := range step.Inputs {
			made.users[input.Digest]++
		}
	}
	folder, err := made.folder(last)
	if err != nil {
		return err
	}
	return os.Rename(folder, out)
}

// The steps by digest, and the digest of the last one.
func stepsOf(text []byte, platform ocispecs.Platform, target string, bases bases) (map[string]*pb.Op, string, error) {
	opt := options(text, platform, bases)
	opt.Target = target
	made, err := dockerfile2llb.Dockerfile2LLB(context.Background(), text, opt)
	if err != nil {
		return nil, "", err
	}
	definition, err := made.State.Marshal(context.Background())
	if err != nil {
		return nil, "", err
	}
	steps, last := map[string]*pb.Op{}, ""
	for _, bytes := range definition.Def {
		step := new(pb.Op)
		if err := step.Unmarshal(bytes); err != nil {
			return nil, "", err
		}
		if step.Op == nil {
			last = step.Inputs[0].Digest
		} else {
			steps[digest.FromBytes(bytes).String()] = step
		}
	}
	return steps, last, nil
}

// Carries a step out, once.
func (b *builder) folder(name string) (string, error) {
	if folder, isBuilt := b.folders[name]; isBuilt {
		return folder, nil
	}
	step := b.steps[name]
	var folder string
	var err error
	switch op := step.Op.(type) {
	case *pb.Op_Source:
		folder, err = b.source(op.Source.Identifier)
	case *pb.Op_File:
		folder, err = b.file(step, op.File.Actions)
	case *pb.Op_Exec:
		folder, err = b.exec(step, op.Exec)
	default:
		err = fmt.Errorf("a kind of step that is not known here: %T", op)
	}
	b.folders[name] = folder
	return folder, err
}

func (b *builder) source(identifier string) (string, error) {
	if strings.HasPrefix(identifier, "local://") {
		return b.context, nil
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(identifier, "docker-image://"), "@")
	folder, isKnown := b.bases[name]
	if !isKnown {
		return "", fmt.Errorf("no folder is given for %s", name)
	}
	return folder, nil
}

// A folder to change: the step's input itself if nobody else reads it, a new one for `scratch`.
func (b *builder) writable(step *pb.Op, input int64) (string, error) {
	if input == -1 {
		return os.MkdirTemp(b.work, "")
	}
	name := step.Inputs[input].Digest
	folder, err := b.folder(name)
	if err != nil || b.users[name] == 1 {
		return folder, err
	}
	changed, err := os.MkdirTemp(b.work, "")
	if err != nil {
		return "", err
	}
	return changed, command("cp", "--archive", "--reflink=auto", folder+"/.", changed)
}

// What is copied and which folders are made.
func (b *builder) file(step *pb.Op, actions []*pb.FileAction) (string, error) {
	folder, err := b.writable(step, actions[0].Input)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		return "", err
	}
	for at, action := range actions {
		if at > 0 && action.Input != int64(len(step.Inputs)+at-1) {
			return "", fmt.Errorf("a file action that does not follow the one before it")
		}
		switch action := action.Action.(type) {
		case *pb.FileAction_Mkdir:
			err = os.MkdirAll(filepath.Join(folder, action.Mkdir.Path), os.FileMode(action.Mkdir.Mode)&0o777)
		case *pb.FileAction_Copy:
			err = b.copy(step.Inputs[actions[at].SecondaryInput].Digest, folder, action.Copy)
		default:
			err = fmt.Errorf("a file action that is not known here: %T", action)
		}
		if err != nil {
			return "", err
		}
	}
	return folder, nil
}

// As BuildKit's own worker does it, with the same library: modes and owners come out the same.
func (b *builder) copy(from, to string, action *pb.FileActionCopy) error {
	source, err := b.folder(from)
	if err != nil {
		return err
	}
	info := fscopy.CopyInfo{
		ModeStr:                        action.ModeStr,
		CopyDirContents:                action.DirCopyContents,
		FollowLinks:                    action.FollowSymlink,
		AllowWildcards:                 action.AllowWildcard,
		IncludePatterns:                action.IncludePatterns,
		ExcludePatterns:                action.ExcludePatterns,
		AlwaysReplaceExistingDestPaths: action.AlwaysReplaceExistingDestPaths,
	}
	if mode := int(action.Mode); mode != -1 && action.ModeStr == "" {
		info.Mode = &mode
	}
	if owner := action.Owner; owner != nil {
		fscopy.WithChown(int(owner.User.GetByID()), int(owner.Group.GetByID()))(&info)
	} else if source == b.context {
		// What is sent to a builder belongs to root there.
		fscopy.WithChown(0, 0)(&info)
	}
	return fscopy.Copy(context.Background(), source, clean(action.Src), to, clean(action.Dest), fscopy.WithCopyInfo(info))
}

// An absolute path, which still says by a slash at its end that it is a folder.
func clean(path string) string {
	cleaned := filepath.Join("/", path)
	if strings.HasSuffix(path, "/") && cleaned != "/" {
		cleaned += "/"
	}
	return cleaned
}

// Its arguments: the root folder, the folder to start in there, and the command. The mounts end with it.
const inside = `mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
exec chroot "$1" /bin/sh -c 'cd "$0" && exec "$@"' "${@:2}"`

// A command, in the folder as its root, with the network of this machine and nothing else of it.
func (b *builder) exec(step *pb.Op, op *pb.ExecOp) (string, error) {
	if len(op.Mounts) != 1 || op.Meta.User != "" {
		return "", fmt.Errorf("mounts and users are not known here: %v", op)
	}
	root, err := b.writable(step, op.Mounts[0].Input)
	if err != nil {
		return "", err
	}
	fmt.Println("+", strings.Join(op.Meta.Args, " "))
	arguments := []string{"--mount", "--pid", "--fork", "--kill-child", "bash", "-euc", inside, "bash", root, op.Meta.Cwd}
	// Who ends this program ends the command, too, and its folders go.
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	run := exec.CommandContext(ended, "unshare", append(arguments, op.Meta.Args...)...)
	run.Env = slices.Concat([]string{"HOME=/root", "DEBIAN_FRONTEND=noninteractive"}, op.Meta.Env)
	run.Stdout, run.Stderr = os.Stdout, os.Stderr
	return root, run.Run()
}

func command(name string, arguments ...string) error {
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, output)
	}
	return nil
}
