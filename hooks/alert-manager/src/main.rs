//! Delivers the alerts of the outbox.

fn main() -> std::process::ExitCode {
    ng_hook::run_with_commands(&ng_alert_manager::HOOK, ng_alert_manager::run_command)
}
