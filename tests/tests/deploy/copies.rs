//! Files that are made from others are what they are made from.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use ng_tests::manifests::{CHART, checkout, copies};

const AGAIN: &str = "cargo run -p ng-tests --bin deploy-files";

#[test]
fn files_that_are_made_from_others_are_up_to_date() -> Result<()> {
    for copy in copies()? {
        let text = std::fs::read_to_string(checkout(&copy.path))
            .with_context(|| format!("{}: make it with {AGAIN}", copy.path))?;
        ensure!(
            text == copy.text,
            "{}: make it again with {AGAIN}",
            copy.path
        );
    }
    Ok(())
}

#[test]
fn the_chart_has_no_file_that_nothing_makes() -> Result<()> {
    let made: BTreeSet<String> = copies()?.into_iter().map(|copy| copy.path).collect();
    for folder in ["", "/crds", "/dashboards", "/rights"] {
        let dir = format!("{CHART}/files{folder}");
        for entry in std::fs::read_dir(checkout(&dir)).with_context(|| dir.clone())? {
            let entry = entry?;
            let path = format!("{dir}/{}", entry.file_name().to_string_lossy());
            ensure!(entry.path().is_dir() || made.contains(&path), "{path}");
        }
    }
    Ok(())
}
