//! The pages that are made from what is shipped are what would be made now.

use anyhow::{Result, ensure};

use crate::checkout::{root, text};

#[test]
fn the_made_pages_are_up_to_date() -> Result<()> {
    for (path, made) in ng_tests::reference::pages(&root())? {
        let differs = text(path)?
            .lines()
            .zip(made.lines())
            .find(|(written, made)| written != made)
            .map(|(written, made)| format!("{written}\ninstead of\n{made}"));
        ensure!(
            text(path)? == made,
            "{path} is out of date; run cargo run -p ng-tests --bin reference\n{}",
            differs.unwrap_or_default()
        );
    }
    Ok(())
}
