//! Watches nodes by thresholds, without rules.

fn main() -> std::process::ExitCode {
    ng_hook::run_with_commands(&ng_node_monitor::HOOK, ng_node_monitor::run_command)
}
