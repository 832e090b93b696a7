//! Evaluates rules on every tick and applies their actions.

fn main() -> std::process::ExitCode {
    ng_hook::run(&ng_controller::HOOK)
}
