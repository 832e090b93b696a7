//! Validates and publishes the configuration.

fn main() -> std::process::ExitCode {
    ng_hook::run_with_commands(&ng_config_loader::HOOK, ng_config_loader::commands)
}
