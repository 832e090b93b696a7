//! Delivers the alerts of the outbox.

fn main() -> std::process::ExitCode {
    ng_hook::run(&ng_alert_manager::HOOK)
}
