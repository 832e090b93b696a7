// Reads a Dockerfile as BuildKit does:
//
//	dockerfile check FILE PLATFORM...
//	dockerfile build FILE PLATFORM TARGET CONTEXT OUT IMAGE=FOLDER...
//
// The first prints as JSON what BuildKit's checks say, what each stage copies and runs, and what image each target
// makes on each platform. The second makes a target's files, with folders for the images that it is based on.
// Nothing is fetched.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

type report struct {
	Warnings []string `json:"warnings"`
	Stages   []stage  `json:"stages"`
	Images   []image  `json:"images"`
}

type stage struct {
	Name string    `json:"name"`
	Base string    `json:"base"`
	Copy []copying `json:"copy"`
	Run  []string  `json:"run"`
}

type copying struct {
	From    string   `json:"from"`
	Sources []string `json:"sources"`
	To      string   `json:"to"`
	Chmod   string   `json:"chmod"`
	Chown   string   `json:"chown"`
}

type image struct {
	Target   string               `json:"target"`
	Platform string               `json:"platform"`
	Config   ocispecs.ImageConfig `json:"config"`
}

// Stands for every registry: its images set a PATH, and what is said of the bases that are given.
type registry struct{ bases bases }

func (r registry) ResolveImageConfig(_ context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	env, err := r.bases.env(ref)
	if err != nil {
		return "", "", nil, err
	}
	config, err := json.Marshal(ocispecs.Image{
		Platform: *opt.ImageOpt.Platform,
		Config:   ocispecs.ImageConfig{Env: append([]string{"PATH=/usr/local/bin:/usr/bin:/bin"}, env...)},
		// An image without layers would be taken for `scratch`.
		RootFS: ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString(ref)}},
	})
	return ref, digest.FromBytes(config), config, err
}

func main() {
	switch {
	case len(os.Args) >= 4 && os.Args[1] == "check":
		checkAll(read(os.Args[2]), os.Args[3:])
	case len(os.Args) >= 7 && os.Args[1] == "build":
		folders := bases{}
		for _, argument := range os.Args[7:] {
			image, folder, _ := strings.Cut(argument, "=")
			folders[image] = folder
		}
		if err := build(read(os.Args[2]), parse(os.Args[3]), os.Args[4], os.Args[5], folders, os.Args[6]); err != nil {
			fail("cannot be built: "+os.Args[4]+":", err)
		}
	default:
		fail("usage: dockerfile check FILE PLATFORM..., or build FILE PLATFORM TARGET CONTEXT OUT IMAGE=FOLDER...", nil)
	}
}

func read(file string) []byte {
	text, err := os.ReadFile(file)
	if err != nil {
		fail("cannot read", err)
	}
	return text
}

func parse(name string) ocispecs.Platform {
	platform, err := platforms.Parse(name)
	if err != nil {
		fail("no platform: "+name, err)
	}
	return platform
}

func checkAll(text []byte, names []string) {
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		fail("not a Dockerfile", err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		fail("not a Dockerfile", err)
	}
	told := report{Warnings: []string{}}
	for _, parsed := range stages {
		told.Stages = append(told.Stages, describe(parsed))
	}
	for _, name := range names {
		platform := parse(name)
		told.Warnings = append(told.Warnings, check(text, platform)...)
		for _, made := range stages {
			told.Images = append(told.Images, convert(text, made.Name, platform))
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(told); err != nil {
		fail("cannot write", err)
	}
}

func options(text []byte, platform ocispecs.Platform, bases bases) dockerfile2llb.ConvertOpt {
	caps := pb.Caps.CapSet(pb.Caps.All())
	context := llb.Local("context")
	source := llb.NewSourceMap(nil, "Dockerfile", "Dockerfile", text)
	source.Definition = &llb.Definition{}
	return dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{
			// What a build is started on; the stage that compiles runs there.
			BuildPlatforms: []ocispecs.Platform{{OS: "linux", Architecture: runtime.GOARCH}},
		},
		MainContext:    &context,
		SourceMap:      source,
		TargetPlatform: &platform,
		MetaResolver:   registry{bases},
		LLBCaps:        &caps,
	}
}

// What `docker build --check` says.
func check(text []byte, platform ocispecs.Platform) []string {
	results, err := dockerfile2llb.DockerfileLint(context.Background(), text, options(text, platform, nil))
	if err != nil {
		fail("cannot check", err)
	}
	warnings := []string{}
	if results.Error != nil {
		warnings = append(warnings, results.Error.Message)
	}
	for _, warning := range results.Warnings {
		line := int32(0)
		if warning.Location != nil && len(warning.Location.Ranges) > 0 {
			line = warning.Location.Ranges[0].Start.Line
		}
		warnings = append(warnings, fmt.Sprintf("line %d: %s: %s", line, warning.RuleName, warning.Detail))
	}
	return warnings
}

func convert(text []byte, target string, platform ocispecs.Platform) image {
	opt := options(text, platform, nil)
	opt.Target = target
	result, err := dockerfile2llb.Dockerfile2LLB(context.Background(), text, opt)
	if err != nil {
		fail("cannot be built: "+target, err)
	}
	made := image{Target: target, Platform: platforms.Format(platform)}
	encoded, err := json.Marshal(result.Image.Config)
	if err == nil {
		err = json.Unmarshal(encoded, &made.Config)
	}
	if err != nil {
		fail("cannot read the image of "+target, err)
	}
	return made
}

func describe(parsed instructions.Stage) stage {
	told := stage{Name: parsed.Name, Base: parsed.BaseName, Copy: []copying{}, Run: []string{}}
	for _, command := range parsed.Commands {
		switch command := command.(type) {
		case *instructions.CopyCommand:
			told.Copy = append(told.Copy, copying{
				From: command.From, Sources: command.SourcePaths, To: command.DestPath,
				Chmod: command.Chmod, Chown: command.Chown,
			})
		case *instructions.RunCommand:
			told.Run = append(told.Run, command.CmdLine...)
		}
	}
	return told
}

func fail(what string, err error) {
	fmt.Fprintln(os.Stderr, "dockerfile:", what, err)
	os.Exit(1)
}
