//! Replays recorded contexts and scenarios.

fn main() -> std::process::ExitCode {
    ng_replay::main()
}
