//! Validates and publishes the configuration.

fn main() -> std::process::ExitCode {
    ng_hook::run(&ng_config_loader::HOOK)
}
