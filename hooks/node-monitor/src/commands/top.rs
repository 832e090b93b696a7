//! `node-monitor top`: the nodes as a table, again and again on a terminal.

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use clap::Args;
use ng_hook::Env;
use ng_picture::{Paint, Screen, Table, table};

use super::scene::Scene;
use super::{Desk, print};

/// Show the nodes as a live table, the worst first
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Print the table once and end, as always when the output is not a terminal
    #[arg(long)]
    once: bool,
    /// Seconds between two looks
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

/// To the top left, and everything below gone.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Where no terminal says how wide it is.
const WIDTH: usize = 100;

pub(crate) fn top(arguments: &TopArgs, env: &Env) -> anyhow::Result<()> {
    let live = stdout().is_terminal() && !arguments.once;
    loop {
        let text = look(env, live)?;
        if !live {
            return print(text);
        }
        print(format_args!("{CLEAR}{text}"))?;
        std::thread::sleep(Duration::from_secs(arguments.interval));
    }
}

fn look(env: &Env, live: bool) -> anyhow::Result<String> {
    // Settings that changed meanwhile count, too.
    let desk = Desk::new(env.clone())?;
    let Scene {
        at,
        language,
        cluster,
        source,
        limits,
        nodes,
    } = Scene::read(&desk)?;
    let shown = Table {
        language,
        cluster,
        at,
        source,
        limits,
        nodes,
    };
    Ok(table(&shown, &screen(env, live)))
}

/// The terminal as it is; for a file or a pipe plain text, as wide as `COLUMNS` says.
fn screen(env: &Env, live: bool) -> Screen {
    let terminal = stdout().is_terminal();
    let size = terminal_size::terminal_size().filter(|_| terminal);
    let wished = env.get("COLUMNS").and_then(|text| text.parse().ok());
    let width = size.map(|(width, _)| usize::from(width.0)).or(wished);
    let lines = size.map(|(_, height)| usize::from(height.0).saturating_sub(1));
    let plain = env.get("NO_COLOR").is_some_and(|text| !text.is_empty());
    Screen {
        width: width.unwrap_or(WIDTH),
        lines: lines.filter(|_| live),
        paint: if terminal && !plain {
            Paint::Terminal
        } else {
            Paint::Plain
        },
    }
}
