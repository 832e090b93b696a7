//! Every command of every page, run as it stands there.
//!
//! `kubectl` and `helm` run against real API servers, the project's commands as the image has them; shell-operator and
//! the hooks run from the line on that waits for the Deployment, with the rights that the pages themselves have applied
//! and no other. What needs a container engine, a node's kubelet or a build (`docker`, `kubectl debug`, `cargo`,
//! `.ci/run`, `deploy/release.sh`) is held against the files it names and the tools' own help.

mod desk;
mod look;
mod page;
mod receivers;

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use ng_tests::wait_until;

use desk::{Desk, Way};

const LIMIT: Duration = Duration::from_mins(1);
const QUICK_START: &str = "docs/quick-start.md";
/// It takes away what the other pages need.
const LAST: &str = "docs/operations.md";
const LABELLED: &str = "/api/v1/nodes?labelSelector=nodeguardian.io%2Ffirst-look";

/// What became of the commands.
#[derive(Default)]
struct Outcome {
    ran: usize,
    looked_at: usize,
    /// Those that do not work, with the page.
    broken: Vec<String>,
}

/// The desks: NodeGuardian comes by manifests, or as a release of the chart.
struct Desks {
    manifests: Desk,
    chart: Option<Desk>,
    outcome: Outcome,
}

impl Desks {
    fn start() -> Result<Option<Self>> {
        let Some(manifests) = Desk::start(Way::Manifests)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            manifests,
            chart: None,
            outcome: Outcome::default(),
        }))
    }

    /// The desk on which a block is run, with the folder of the page. A block with helm is about a release of the chart.
    fn desk(&mut self, block: &[String], all: &str) -> Result<&mut Desk> {
        if !block.iter().any(|command| command.starts_with("helm ")) {
            return Ok(&mut self.manifests);
        }
        if self.chart.is_none() {
            self.chart = Desk::start(Way::Chart)?;
        }
        let desk = self.chart.as_mut().context("the tools are gone")?;
        desk.lay_out(all)?;
        Ok(desk)
    }

    fn page(&mut self, page: &str) -> Result<()> {
        let mut blocks = Vec::new();
        for block in page::blocks(page)? {
            if block.language == "sh" {
                blocks.push(block.commands().with_context(|| page.to_owned())?);
            }
        }
        let all = blocks.concat().join("\n");
        self.manifests.lay_out(&all)?;
        for block in blocks {
            for command in &block {
                let desk = self.desk(&block, &all)?;
                match run(desk, command) {
                    Ok(Ran::Really) => self.outcome.ran += 1,
                    Ok(Ran::LookedAt) => self.outcome.looked_at += 1,
                    Err(error) => {
                        let broken = format!("{page}: {command}: {error:#}");
                        self.outcome.broken.push(broken);
                    }
                }
            }
        }
        Ok(())
    }

    /// What a reader of a page has done before: NodeGuardian runs, and there are rules and templates.
    fn install(&mut self) -> Result<()> {
        for command in [
            "kubectl apply -k deploy",
            "kubectl -n nodeguardian-system rollout status deployment/nodeguardian",
            "kubectl apply -f config/examples -f config/templates/en.yaml",
            "kubectl taint nodes worker-1 nodeguardian/rule-triggered=true:PreferNoSchedule --overwrite",
        ] {
            run(&mut self.manifests, command).with_context(|| command.to_owned())?;
        }
        Ok(())
    }

    /// Fails with every command that does not work.
    fn close(self) -> Result<()> {
        let broken = self.outcome.broken.join("\n");
        ensure!(broken.is_empty(), "{broken}");
        if let Some(chart) = self.chart {
            chart.close()?;
        }
        self.manifests.close()
    }
}

/// What was done with a command.
enum Ran {
    Really,
    LookedAt,
}

/// Runs a command, or looks at it where it cannot be run here.
fn run(desk: &mut Desk, command: &str) -> Result<Ran> {
    look::syntax(command)?;
    let line = command.lines().next().unwrap_or_default();
    let words: Vec<&str> = line
        .split_whitespace()
        .skip_while(|word| word.contains('=') && !word.starts_with('-'))
        .collect();
    let Some((tool, rest)) = words.split_first() else {
        bail!("no command")
    };
    match *tool {
        "kubectl" => {
            let rest = verb(rest);
            if ["logs", "exec", "port-forward", "debug"].contains(&rest[0]) {
                look::kubectl_knows(&desk.clients.kubectl, rest)?;
            }
            if rest[0] == "debug" {
                return Ok(Ran::LookedAt);
            }
        }
        "docker" => return look::docker(rest).map(|()| Ran::LookedAt),
        ".ci/run" => return look::step(rest).map(|()| Ran::LookedAt),
        "deploy/release.sh" => return look::release(rest).map(|()| Ran::LookedAt),
        "cargo" => return look::cargo(rest).map(|()| Ran::LookedAt),
        "helm" | "config-loader" | "alert-manager" | "replay" | "controller" | "promtool"
        | "printf" | "for" => {}
        hook if hook.starts_with("/hooks/") => {}
        other => bail!("the test does not know how to run {other}"),
    }
    if command.contains("rollout status") {
        desk.roll_out()?;
    }
    let output = desk.run(command)?;
    // A log that has nothing of the kind is a good one.
    let finds_nothing = command.contains(" logs ")
        && command.contains("| grep")
        && output.status.code() == Some(1)
        && output.stderr.is_empty();
    if !finds_nothing {
        look::succeeded(&output)?;
    }
    after(desk, command, &String::from_utf8_lossy(&output.stdout))?;
    Ok(Ran::Really)
}

/// The words of a call of kubectl that say what it does; a namespace may stand before them.
fn verb<'a>(words: &'a [&'a str]) -> &'a [&'a str] {
    match words {
        ["-n", _, rest @ ..] => rest,
        all => all,
    }
}

/// What the page says that happens.
fn after(desk: &Desk, command: &str, told: &str) -> Result<()> {
    if command == "kubectl get nodes -l nodeguardian.io/first-look" {
        ensure!(told.is_empty(), "a node has the label: {told}");
    }
    if command == "kubectl delete ngr first-look" {
        wait_until(LIMIT, "nodes without the label", || {
            let labelled = desk.stack.api().list(LABELLED)?.len();
            ensure!(labelled == 0, "{labelled} nodes have it");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn the_quick_start_does_what_it_says() -> Result<()> {
    let Some(mut desks) = Desks::start()? else {
        return Ok(());
    };
    desks.page(QUICK_START)?;
    // The demo and the image are looked at.
    let (ran, looked_at) = (desks.outcome.ran, desks.outcome.looked_at);
    desks.close()?;
    ensure!(
        looked_at == 3 && ran >= 20,
        "{ran} ran, {looked_at} did not"
    );
    Ok(())
}

#[test]
fn the_commands_of_every_other_page_work() -> Result<()> {
    let Some(mut desks) = Desks::start()? else {
        return Ok(());
    };
    // The README begins on an empty cluster.
    desks.page("README.md")?;
    for block in page::blocks("README.md")? {
        if block.language == "yaml" {
            let manifest = block.text();
            let command = format!("kubectl apply --dry-run=server -f - <<'EOF'\n{manifest}EOF");
            run(&mut desks.manifests, &command)?;
        }
    }
    let mut pages = page::pages()?;
    pages.retain(|page| !["README.md", QUICK_START, LAST].contains(&page.as_str()));
    pages.push(LAST.to_owned());
    for page in pages {
        desks.install().with_context(|| format!("before {page}"))?;
        desks.page(&page)?;
    }
    // Most of it runs for real.
    let (ran, looked_at) = (desks.outcome.ran, desks.outcome.looked_at);
    desks.close()?;
    ensure!(ran >= 4 * looked_at, "{ran} ran, {looked_at} did not");
    Ok(())
}
