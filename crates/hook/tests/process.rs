//! A hook as a process: arguments, environment, files, streams and exit status.
//!
//! The test program is the hook, too: it starts itself with `HOOK_UNDER_TEST` set.

use std::process::ExitCode;

use anyhow::anyhow;
use ng_hook::config::Schedule;
use ng_hook::context::{Context, Flow, Kind, Sink};
use ng_hook::json::{Error, Reader};
use ng_hook::{Env, Hook, HookConfig, MetricGroup, PatchOperation, Report, Retry, Run, Target};

const MARK: &str = "HOOK_UNDER_TEST";

const HOOK: Hook = Hook {
    name: "sample",
    about: "Marks the nodes of a snapshot",
    bindings: || HookConfig::new().schedule(Schedule::new("tick", "* * * * *")),
    handle,
};

/// The nodes and bindings of a run.
#[derive(Default)]
struct Seen {
    nodes: Vec<String>,
    bindings: Vec<String>,
}

impl<'a> Sink<'a> for Seen {
    fn wants(&mut self, snapshot: &str) -> bool {
        snapshot == "nodes" && self.nodes.is_empty()
    }

    fn snapshot(&mut self, _name: &str, list: &mut Reader<'a>) -> Result<Flow, Error> {
        list.items(|item, _| {
            item.fields(|item, key| {
                if key == "filterResult" {
                    self.nodes.push(item.string()?.into_owned());
                }
                Ok(())
            })
        })?;
        Ok(Flow::Continue)
    }

    fn context(&mut self, context: &Context<'a>) -> Result<Flow, Error> {
        if context.head.kind == Kind::Schedule {
            self.bindings.push(context.head.binding.to_string());
        }
        Ok(Flow::Continue)
    }
}

/// Patches each node; fails as the bindings' names say.
fn handle(run: &Run) -> anyhow::Result<Report> {
    let mut seen = Seen::default();
    run.read_contexts(&mut seen)?;
    let mut report = Report::default();
    for node in &seen.nodes {
        run.log.info("marking", &[("node", node.into())]);
        let marked = PatchOperation::jq(Target::node(node), ".spec.unschedulable = true")?;
        report.patches.push(marked);
    }
    report
        .metrics
        .push(MetricGroup::new("sample").with("nodeguardian_sample", &[], 1.0));
    for binding in &seen.bindings {
        let reason = anyhow!("{{\"the cause\"\n}}").context(format!("cannot {binding}"));
        match binding.as_str() {
            "retry" => report.fail(reason, Retry::Helps),
            "go-on" => report.fail(reason, Retry::Useless),
            "break" => return Err(reason),
            _ => {}
        }
    }
    Ok(report)
}

fn main() -> ExitCode {
    if Env::from_process().get(MARK).is_some() {
        return ng_hook::run(&HOOK);
    }
    #[cfg(test)]
    tests::all();
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use tempfile::TempDir;

    use super::MARK;

    /// Runs every test, for want of a harness.
    pub(super) fn all() {
        let tests: [(&str, fn()); 8] = [
            (
                "config_is_printed_and_nothing_else_is_touched",
                config_is_printed,
            ),
            ("outputs_go_to_the_files", outputs_go_to_the_files),
            (
                "without_a_patch_file_patches_are_printed",
                patches_are_printed,
            ),
            ("a_failed_run_writes_nothing", a_failed_run_writes_nothing),
            (
                "a_failure_that_no_retry_helps_is_logged",
                useless_failures_are_logged,
            ),
            (
                "contexts_that_cannot_be_read_fail",
                contexts_that_cannot_be_read_fail,
            ),
            ("wrong_arguments_are_refused", wrong_arguments_are_refused),
            ("a_reader_that_has_gone_away_is_no_panic", broken_streams),
        ];
        for (name, test) in tests {
            test();
            println!("test {name} ... ok");
        }
    }

    /// A folder with the files of a run.
    struct Files(TempDir);

    impl Files {
        fn new(contexts: &str) -> Self {
            let files = Self(TempDir::new().unwrap());
            #[expect(clippy::disallowed_methods, reason = "a test's input")]
            fs::write(files.path("contexts"), contexts).unwrap();
            files
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn text(&self, name: &str) -> String {
            fs::read_to_string(self.path(name)).unwrap_or_default()
        }

        fn command(&self) -> Command {
            let mut command = hook();
            command
                .env("BINDING_CONTEXT_PATH", self.path("contexts"))
                .env("KUBERNETES_PATCH_PATH", self.path("patches"))
                .env("METRICS_PATH", self.path("metrics"))
                .env("NODEGUARDIAN_NOW", "2026-01-02T03:04:05Z");
            command
        }
    }

    fn hook() -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env_clear().env(MARK, "1");
        command
    }

    /// Exit status, stdout and stderr.
    fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn contexts(binding: &str) -> String {
        let snapshots =
            r#""snapshots":{"nodes":[{"filterResult":"n1"},{"filterResult":"n\u003c2"}]}"#;
        format!(
            r#"[{{"binding":"tick",{snapshots},"type":"Schedule"}},{{"binding":"{binding}",{snapshots},"type":"Schedule"}}]"#
        )
    }

    const LOGGED: &str = concat!(
        r#"{"time":"2026-01-02T03:04:05.000Z","level":"info","msg":"marking","node":"n1"}"#,
        "\n",
        r#"{"time":"2026-01-02T03:04:05.000Z","level":"info","msg":"marking","node":"n<2"}"#,
        "\n",
    );
    const PATCHES: &str = concat!(
        r#"{"operation":"JQPatch","apiVersion":"v1","kind":"Node","name":"n1","ignoreMissingObject":true,"jqFilter":".spec.unschedulable = true"}"#,
        "\n",
        r#"{"operation":"JQPatch","apiVersion":"v1","kind":"Node","name":"n<2","ignoreMissingObject":true,"jqFilter":".spec.unschedulable = true"}"#,
        "\n",
    );
    const METRICS: &str = concat!(
        r#"{"name":"nodeguardian_sample","action":"set","value":1,"labels":{},"group":"sample"}"#,
        "\n",
    );

    fn config_is_printed() {
        let files = Files::new("garbage");
        let (status, out, err) = outcome(files.command().arg("--config"));
        let expected =
            r#"{"configVersion":"v1","schedule":[{"name":"tick","crontab":"* * * * *"}]}"#;
        assert_eq!(
            (status, out.trim_end(), err.as_str()),
            (Some(0), expected, "")
        );
        assert!(!files.path("patches").exists() && !files.path("metrics").exists());
    }

    fn outputs_go_to_the_files() {
        let files = Files::new(&contexts("other"));
        // As shell-operator does it: outputs exist and are empty.
        File::create(files.path("patches")).unwrap();
        let (status, out, err) = outcome(&mut files.command());
        assert_eq!((status, out.as_str(), err.as_str()), (Some(0), LOGGED, ""));
        assert_eq!(files.text("patches"), PATCHES);
        assert_eq!(files.text("metrics"), METRICS);
    }

    fn patches_are_printed() {
        for unset in [true, false] {
            let files = Files::new(&contexts("other"));
            let mut command = files.command();
            command.env_remove("METRICS_PATH");
            if unset {
                command.env_remove("KUBERNETES_PATCH_PATH");
            } else {
                command.env("KUBERNETES_PATCH_PATH", "");
            }
            let (status, out, err) = outcome(&mut command);
            assert_eq!(
                (status, out.as_str(), err.as_str()),
                (Some(0), PATCHES, LOGGED)
            );
        }
    }

    fn a_failed_run_writes_nothing() {
        for binding in ["retry", "break"] {
            let files = Files::new(&contexts(binding));
            let (status, _, err) = outcome(&mut files.command());
            assert_eq!(status, Some(1), "{binding}");
            assert_eq!(
                err,
                format!("sample: cannot {binding}: {{\"the cause\" }}\n")
            );
            assert!(!files.path("patches").exists() && !files.path("metrics").exists());
        }
    }

    fn useless_failures_are_logged() {
        let files = Files::new(&contexts("go-on"));
        let (status, out, err) = outcome(&mut files.command());
        assert_eq!((status, err.as_str()), (Some(0), ""));
        let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!(last["level"], "error");
        assert_eq!(last["error"], "cannot go-on: {\"the cause\"\n}");
        assert_eq!(files.text("patches"), PATCHES);
    }

    fn contexts_that_cannot_be_read_fail() {
        let cut = contexts("other");
        let cases = [
            ("", "is empty"),
            ("garbage", "expected a list, found `g` at byte 0"),
            (
                &cut[..60],
                "[0].snapshots.nodes[0].filterResult: the document ends",
            ),
            ("[{}]]", "at byte 4"),
        ];
        for (text, reason) in cases {
            let files = Files::new(text);
            refused(&mut files.command(), &files.path("contexts"), reason);
        }
        let files = Files::new("[]");
        let absent = files.path("absent");
        refused(
            files.command().env("BINDING_CONTEXT_PATH", &absent),
            &absent,
            "No such file",
        );
        let (status, out, err) = outcome(&mut hook());
        assert_eq!((status, out.as_str()), (Some(1), ""));
        assert!(err.contains("BINDING_CONTEXT_PATH is not set"), "{err}");
        let (status, _, err) = outcome(files.command().env("NODEGUARDIAN_NOW", "noon"));
        assert!(
            status == Some(1) && err.contains("NODEGUARDIAN_NOW") && err.contains("noon"),
            "{err}"
        );
    }

    fn refused(command: &mut Command, path: &Path, reason: &str) {
        let (status, _, err) = outcome(command);
        assert_eq!(status, Some(1), "{reason}");
        assert!(
            err.contains(path.to_str().unwrap()),
            "{err} should name {}",
            path.display()
        );
        assert!(
            err.contains(reason) && err.lines().count() == 1,
            "{err} should say {reason}"
        );
    }

    fn wrong_arguments_are_refused() {
        let wrong: [&[&str]; 6] = [
            &["--config", "x"],
            &["--config", "--config"],
            &["--configs"],
            &["run"],
            &["--"],
            &[""],
        ];
        for arguments in wrong {
            let (status, out, err) = outcome(hook().args(arguments));
            assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
            assert!(err.contains("Usage: sample"), "{arguments:?}: {err}");
        }
        for (argument, expected) in [
            ("--help", "Marks the nodes of a snapshot"),
            ("-h", "--config"),
            ("--version", concat!("sample ", env!("CARGO_PKG_VERSION"))),
        ] {
            let (status, out, err) = outcome(hook().arg(argument));
            assert_eq!((status, err.as_str()), (Some(0), ""), "{argument}");
            assert!(out.contains(expected), "{out}");
        }
    }

    fn broken_streams() {
        let files = Files::new(&contexts("other"));
        let (to_file, mut to_stdout, mut config) =
            (files.command(), files.command(), files.command());
        to_stdout.env("KUBERNETES_PATCH_PATH", "");
        config.arg("--config");
        for (mut command, expected) in [(to_file, 0), (to_stdout, 1), (config, 1)] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let (status, _, err) = outcome(command.stdout(Stdio::from(writer)));
            assert_eq!(status, Some(expected), "{err}");
            assert!(!err.contains("panicked"), "{err}");
        }
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (status, _, err) = outcome(hook().arg("--config").stdout(full));
        assert!(status == Some(1) && err.contains("No space left"), "{err}");
    }
}
