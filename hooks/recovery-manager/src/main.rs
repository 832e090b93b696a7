//! Brings nodes back: recovery conditions and recovery actions.

fn main() -> std::process::ExitCode {
    ng_hook::run(&ng_recovery_manager::HOOK)
}
