//! Starts a program and tells what it used: CPU time in microseconds and peak memory in bytes.
//!
//! Linux counts the memory of the process that started a program as the program's own peak, so the one that starts
//! it has to be small; the benchmark itself holds whole clusters.

use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use wait4::Wait4;

#[expect(clippy::print_stdout, reason = "two numbers are this program's result")]
fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().context("no program to start")?;
    let end = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .and_then(Wait4::wait4)
        .with_context(|| format!("cannot run {}", program.display()))?;
    println!(
        "{} {}",
        (end.rusage.utime + end.rusage.stime).as_micros(),
        end.rusage.maxrss
    );
    Ok(if end.status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
