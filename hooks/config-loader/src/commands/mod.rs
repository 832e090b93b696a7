//! The command line: what there is, and what a command's end means.

mod change;
mod files;
mod k8s;
mod lint;
mod output;
mod secrets;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use ng_hook::{Env, Logger};

pub(crate) use files::sources;
use output::{Failure, Printed};

const EXIT_CODES: &str = "\
Exit status:
  0  done; validate: there are no errors; lint: there are at most warnings
  1  the configuration is invalid, the change was refused, lint found errors (--strict: or warnings), or a file
     cannot be read or written
  2  wrong usage, which includes a setting that does not exist

Without a command and arguments it runs once as a hook, on the contexts in the file BINDING_CONTEXT_PATH;
--config alone prints the bindings for shell-operator. Without --config F a command reads what is mounted in
NODEGUARDIAN_CONFIG_DIR. F may be - for standard input or output. Secret files of NODEGUARDIAN_SECRETS_DIR and
variables count in every command, as they do for the hooks.";

/// Validates and publishes the configuration.
#[derive(Debug, Parser)]
#[command(name = "config-loader", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the shipped configuration, or write it to a new file
    Init(InitArgs),
    /// Say everything that is wrong or doubtful
    Validate(ValidateArgs),
    /// Print effective values, secrets masked
    Get(GetArgs),
    /// Change one setting of a file and leave the rest of it as it is
    #[command(visible_alias = "set")]
    Update(UpdateArgs),
    /// Print every effective setting and where it came from, secrets masked
    Show(ShowArgs),
    /// Print the manifests to apply: the configuration, and the secrets if there are any
    K8s(K8sArgs),
    /// Check rules and templates, each alone and all together
    Lint(LintArgs),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print the completion script of a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
struct InitArgs {
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "F")]
    output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration file [default: the mounted one]
    #[arg(short, long, value_name = "F")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ValidateArgs {
    #[command(flatten)]
    file: ConfigArgs,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Debug, Args)]
struct GetArgs {
    #[command(flatten)]
    file: ConfigArgs,
    #[command(flatten)]
    place: Place,
}

/// What of the configuration is meant.
#[derive(Debug, Args)]
struct Place {
    /// The section, such as email; none for what stands at the top
    #[arg(short, long, value_name = "S")]
    section: Option<String>,
    /// The key, such as smtpPort or to[0]
    #[arg(short, long, value_name = "K")]
    key: Option<String>,
}

#[derive(Debug, Args)]
struct UpdateArgs {
    #[command(flatten)]
    file: ConfigArgs,
    #[command(flatten)]
    place: Place,
    /// The new value; a list as JSON, or with commas
    #[arg(short, long, value_name = "V", allow_hyphen_values = true)]
    value: String,
}

#[derive(Debug, Args)]
struct ShowArgs {
    #[command(flatten)]
    file: ConfigArgs,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Debug, Args)]
struct K8sArgs {
    /// The configuration file
    #[arg(short, long, value_name = "F")]
    config: PathBuf,
    /// Secrets: a folder with a file for each, or a JSON or YAML file: a Secret of Kubernetes, or {email-password: …}
    #[arg(short, long, value_name = "F")]
    secrets: Option<PathBuf>,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "F")]
    output: Option<PathBuf>,
    /// The namespace [default: `NODEGUARDIAN_NAMESPACE`, or nodeguardian-system]
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
}

#[derive(Debug, Args)]
struct LintArgs {
    /// YAML or JSON files, folders of them, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    file: ConfigArgs,
    /// The number of nodes in the cluster, to judge safety limits by
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// Let warnings count as errors do
    #[arg(long)]
    strict: bool,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// For machines
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

/// What every command has at hand.
struct Desk {
    env: Env,
    log: Logger,
}

/// Runs as the arguments say.
pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    let name = OsString::from(crate::NAME);
    let cli = match Cli::try_parse_from(std::iter::once(name).chain(arguments)) {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    let env = Env::from_process();
    let result = match ng_hook::run::command_logger(&env) {
        Ok(log) => run(cli.command, &Desk { env, log }),
        Err(error) => Err(Failure::Failed(error)),
    };
    output::finish(result)
}

fn run(command: Command, desk: &Desk) -> Result<Printed, Failure> {
    match command {
        Command::Init(args) => change::init(&args),
        Command::Validate(args) => values::validate(&args, desk),
        Command::Get(args) => values::get(&args, desk),
        Command::Update(args) => change::update(&args, desk),
        Command::Show(args) => values::show(&args, desk),
        Command::K8s(args) => k8s::run(&args, desk),
        Command::Lint(args) => lint::run(&args, desk),
        Command::Schema => Printed::json(&ng_config::schema()),
        Command::Completion { shell } => Ok(Printed::done(completion(shell))),
    }
}

fn completion(shell: Shell) -> String {
    use clap_complete::shells::{Bash, Fish, Zsh};
    let mut command = Cli::command();
    let mut script = Vec::new();
    match shell {
        Shell::Bash => clap_complete::generate(Bash, &mut command, crate::NAME, &mut script),
        Shell::Zsh => clap_complete::generate(Zsh, &mut command, crate::NAME, &mut script),
        Shell::Fish => clap_complete::generate(Fish, &mut command, crate::NAME, &mut script),
    }
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
