//! The command line.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ng_hook::Env;
use serde_json::json;

use crate::scenario::{self, Scenario};
use crate::show::{Paint, Shown};
use crate::simulate::{self, Played};
use crate::{cleanup, context, demo, show};

/// Expectations that do not hold, or a hook that fails.
const FAILED: u8 = 1;
/// Wrong arguments, or a scenario that cannot be read.
const USAGE: u8 = 2;

/// The form of a scenario, for `replay run --help`.
const FORMAT: &str = "\
A scenario is a YAML file. Times count from its start; durations are written as 30s, 5m or 1h30m.

  name, description, start, interval (5s), duration
  config       what stands in config.json
  rules        objects, {name, spec}, or {file: rules.yaml}, beside the scenario
  templates    {file: templates.yaml}: checked, and otherwise not used
  recoveryManager  true: it runs beside the controller
  nodes        {name, count, labels, annotations, taints, unschedulable, conditions}
               with count, {i} in the name is the number, {i:03} with zeros; a condition is a status,
               or statuses by time: {0s: \"True\", 5m: \"Unknown\"}
  pods         {namespace, name, count, node, owner, priority, labels, phase, mirror, emptyDir, grace}
               owner is a kind such as ReplicaSet (default) or DaemonSet, or none
  budgets      {name, namespace, selector or pods, allowed}
  series       {step: 30s, metrics: {METRIC: {NODE or PATTERN: VALUES}}}
               VALUES: 40 | 40+5x12 (and twelve more) | 40-5x12 | 95x3 (and three more) | _ | _x3 | stale |
               NaN | Inf, separated by spaces; the last one lasts
  events       {at, note, and what happens}: patchNode {name, labels, annotations, addTaints, removeTaints,
               unschedulable, conditions}, addNode, deleteNode, replaceNode, editRule {name, spec}, addRule,
               disableRule, enableRule, deleteRule, configure {…}, prometheus: up|down, controller: up|down,
               budget {name, allowed},
               wipeState: true, losePatches: true|false, delaySnapshots: TICKS,
               hideRules: true|false (snapshots lack them)
  expect       {at, from, rule, node, and what is expected}: phase (Healthy, Pending, Triggered, Recovering),
               guard (none, paused, dryRun, ignored, controlPlane, maxNodes), taints, noTaints, labels and
               annotations (null: absent), unschedulable, evicted (a number, or namespace/name), held (the most nodes
               at once with a taint or a cordon of ours), alerts and patches
               (a number, \">=2\", {type, count}, {kind, count}), status {phase, triggeredNodes, conditions, …}

What is counted is counted from `from` (the start) to `at`. Taints are written as kubectl does: key=value:Effect.
The simulated cluster applies what the hook writes and honours budgets; it schedules no pods.";

/// Shows what NodeGuardian decides, and why, without a cluster.
///
/// The hook's own code runs in virtual time against a simulated cluster, or once on a recorded binding context.
#[derive(Debug, Parser)]
#[command(name = "replay", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit status: 0: as expected; 1: an expectation does not hold, the hook failed, or \
                        something of ours is left; 2: wrong usage, or a broken scenario."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play scenarios and check what they expect
    #[command(after_long_help = FORMAT)]
    Run(RunArgs),
    /// Show the main job on a small built-in cluster: trigger, safety limit, recovery
    Demo(OutputArgs),
    /// Run a recorded binding context through a hook and show what it decides and writes
    Context(ContextArgs),
    /// Take off a cluster's nodes every taint, label, annotation and cordon that NodeGuardian has set there
    ///
    /// For the time when NodeGuardian does not run any more: stop it first, or it sets everything again. What it set
    /// is in the statuses of the rules. What someone else has set or changed stays, and what was replaced comes back.
    Cleanup(CleanupArgs),
    /// Print what the state says NodeGuardian has set on nodes, for `cleanup --held`
    ///
    /// The state also knows of marks that no rule holds any more, such as those of a rule without recovery actions.
    Held(HeldArgs),
}

#[derive(Debug, Args)]
struct CleanupArgs {
    /// How the cluster is reached [default: KUBECONFIG, the pod's service account, ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// What `held` printed before NodeGuardian was stopped; `-`: standard input
    #[arg(long, value_name = "FILE")]
    held: Option<PathBuf>,
    /// Show what would be taken off, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Debug, Args)]
struct HeldArgs {
    /// Folder with the state [default: `NODEGUARDIAN_STATE_DIR`, or the one of the image]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Scenario files
    #[arg(required = true, value_name = "SCENARIO.yaml")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// Print only what concerns this node, with values, ages, thresholds and guards
    #[arg(long, value_name = "NODE")]
    explain: Option<String>,
}

#[derive(Clone, Copy, Debug, Args)]
struct OutputArgs {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Text)]
    output: Form,
    /// Leave out the timeline and what passed
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// For machines
    Json,
}

#[derive(Debug, Args)]
struct ContextArgs {
    /// The binding context file, as shell-operator keeps it with `DEBUG_KEEP_TMP_FILES`
    file: PathBuf,
    /// The hook [default: `controller` next to this program, or the one of the image]
    #[arg(long, value_name = "PATH")]
    hook: Option<PathBuf>,
    /// The time of the run, such as 2026-01-02T03:04:05Z [default: the clock]
    #[arg(long, value_name = "TIME")]
    now: Option<jiff::Timestamp>,
    /// Folder with config.json [default: none, so that the built-in settings hold]
    #[arg(long, value_name = "DIR")]
    config_dir: Option<PathBuf>,
    /// Folder with the hook's state; a copy of it is used [default: none]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Leave the hook its way to the Kubernetes API: it can then evict pods
    #[arg(long)]
    with_api: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

/// Runs as the arguments of this process say.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to stdout, mistakes to stderr; a reader that has gone away changes neither.
            let _unread = error.print();
            return if error.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let result = match cli.command {
        Command::Run(args) => run(&args),
        Command::Demo(output) => play_demo(output),
        Command::Context(args) => replay_context(args),
        Command::Cleanup(args) => clean_up(args),
        Command::Held(args) => print_held(&args),
    };
    match result {
        Ok(code) => code,
        // Someone who stops reading has seen enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&[format!("{error:#}")]);
            ExitCode::from(FAILED)
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}

fn complain(lines: &[String]) {
    let mut stderr = io::stderr().lock();
    for line in lines {
        // Without a reader the exit status has to do.
        let _unread = writeln!(stderr, "replay: {line}");
    }
}

/// Colours only for people at a terminal who did not say no.
fn paint() -> Paint {
    let env = Env::from_process();
    if io::stdout().is_terminal() && env.get("NO_COLOR").is_none() {
        Paint::Colours
    } else {
        Paint::Plain
    }
}

fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let mut scenarios: Vec<(String, Scenario)> = Vec::new();
    let mut problems = Vec::new();
    for file in &args.files {
        match scenario::load(file) {
            Ok(scenario) => scenarios.push((file.display().to_string(), scenario)),
            Err(lines) => problems.extend(lines),
        }
    }
    for (file, scenario) in &scenarios {
        if let Some(node) = args
            .explain
            .as_deref()
            .filter(|node| !scenario.has_node(node))
        {
            problems.push(format!("{file}: --explain: there is no node {node:?}"));
        }
    }
    if !problems.is_empty() {
        complain(&problems);
        return Ok(ExitCode::from(USAGE));
    }
    let mut played = Vec::new();
    for (file, scenario) in &scenarios {
        let shown = Shown {
            quiet: args.output.quiet,
            explain: args.explain.as_deref(),
            paint: paint(),
        };
        let result = simulate::play(scenario)?;
        if args.output.output == Form::Text {
            let mut out = io::stdout().lock();
            show::played(&mut out, scenario, &result, &shown)?;
        }
        played.push((file.as_str(), scenario, result));
    }
    finish(&played, args.output, args.explain.as_deref())
}

/// The summary and the exit status.
fn finish(
    played: &[(&str, &Scenario, Played)],
    output: OutputArgs,
    explain: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let failed = played
        .iter()
        .filter(|(_, _, played)| !played.passed())
        .count();
    let mut out = io::stdout().lock();
    if output.output == Form::Json {
        let scenarios: Vec<_> = played
            .iter()
            .map(|(file, scenario, played)| show::json(file, scenario, played, explain))
            .collect();
        let document = json!({
            "scenarios": scenarios, "passed": played.len() - failed, "failed": failed,
        });
        serde_json::to_writer_pretty(&mut out, &document).map_err(io::Error::from)?;
        writeln!(out)?;
    } else if played.len() > 1 {
        let checks: usize = played
            .iter()
            .map(|(_, _, played)| played.verdicts.len())
            .sum();
        writeln!(
            out,
            "{} scenarios, {checks} expectations: {} passed, {failed} failed",
            played.len(),
            played.len() - failed
        )?;
    }
    Ok(ExitCode::from(if failed == 0 { 0 } else { FAILED }))
}

fn play_demo(output: OutputArgs) -> anyhow::Result<ExitCode> {
    let scenario = match demo::scenario() {
        Ok(scenario) => scenario,
        Err(lines) => {
            complain(&lines);
            return Ok(ExitCode::from(USAGE));
        }
    };
    let played = simulate::play(&scenario)?;
    if output.output == Form::Text {
        let mut out = io::stdout().lock();
        let shown = Shown {
            quiet: output.quiet,
            explain: None,
            paint: paint(),
        };
        show::played(&mut out, &scenario, &played, &shown)?;
        if !output.quiet {
            out.write_all(demo::EPILOGUE.as_bytes())?;
        }
    }
    finish(&[("demo", &scenario, played)], output, None)
}

fn replay_context(args: ContextArgs) -> anyhow::Result<ExitCode> {
    let ContextArgs {
        file,
        hook,
        now,
        config_dir,
        state_dir,
        with_api,
        output,
    } = args;
    let hook = match context::hook(hook, &file) {
        Ok(hook) => hook,
        Err(lines) => {
            complain(&lines);
            return Ok(ExitCode::from(USAGE));
        }
    };
    let api = if with_api {
        context::Api::Allowed
    } else {
        context::Api::Hidden
    };
    let request = context::Request {
        file,
        hook,
        now,
        config_dir,
        state_dir,
        api,
    };
    let told = context::run(&request)?;
    let mut out = io::stdout().lock();
    match output {
        Form::Text => context::print(&mut out, &told, paint())?,
        Form::Json => {
            serde_json::to_writer_pretty(&mut out, &context::json(&told))
                .map_err(io::Error::from)?;
            writeln!(out)?;
        }
    }
    Ok(ExitCode::from(if told.exit == Some(0) {
        0
    } else {
        FAILED
    }))
}

fn clean_up(args: CleanupArgs) -> anyhow::Result<ExitCode> {
    let CleanupArgs {
        kubeconfig,
        held,
        dry_run,
        output,
    } = args;
    let held = held.as_deref().map(cleanup::read).transpose()?;
    let told = cleanup::run(cleanup::Order {
        kubeconfig,
        held,
        mode: if dry_run {
            cleanup::Mode::Pretend
        } else {
            cleanup::Mode::Change
        },
    })?;
    let mut out = io::stdout().lock();
    match output {
        Form::Text => cleanup::print(&mut out, &told)?,
        Form::Json => {
            serde_json::to_writer_pretty(&mut out, &cleanup::json(&told))
                .map_err(io::Error::from)?;
            writeln!(out)?;
        }
    }
    complain(&told.problems);
    Ok(ExitCode::from(if told.problems.is_empty() {
        0
    } else {
        FAILED
    }))
}

fn print_held(args: &HeldArgs) -> anyhow::Result<ExitCode> {
    let env = Env::from_process();
    let dir = args.state_dir.as_deref().unwrap_or(env.state_dir());
    writeln!(io::stdout().lock(), "{}", cleanup::export(dir)?)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn help_names_every_key() {
        let is_letter = |letter: char| letter.is_ascii_alphabetic();
        let words: Vec<&str> = super::FORMAT.split(|letter| !is_letter(letter)).collect();
        for key in crate::scenario::keys() {
            assert!(words.contains(&key), "{key}");
        }
    }

    #[test]
    fn arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
