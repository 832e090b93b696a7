//! What a broken file says of stopping still holds where no valid file stands in for it.

use crate::issue::{Entry, Issue};
use crate::model::Config;
use crate::resolve::Resolution;

/// A configuration that is not in use, as far as it could be read.
pub(crate) struct Broken<'a> {
    /// The name of its file.
    pub(crate) name: &'a str,
    /// Its values; defaults in place of wrong ones.
    pub(crate) config: &'a Config,
    /// Its settings, if they are told.
    pub(crate) entries: &'a [Entry],
}

/// Takes over `safety.paused` and `safety.dryRun` where they are set: the defaults know of no stop, and a mistake
/// elsewhere in the file must not end one. Nothing is taken over that makes a run less careful.
pub(crate) fn take_over(stand_in: &mut Resolution, broken: &Broken<'_>) -> Vec<Issue> {
    let wanted = &broken.config.safety;
    let safety = &mut stand_in.config.safety;
    let stops = [
        ("safety.paused", &mut safety.paused, wanted.paused),
        ("safety.dryRun", &mut safety.dry_run, wanted.dry_run),
    ];
    let mut taken = Vec::new();
    for (path, stop, wanted) in stops {
        if *stop || !wanted {
            continue;
        }
        *stop = true;
        let told = stand_in.entries.iter_mut().find(|entry| entry.path == path);
        let entry = broken.entries.iter().find(|entry| entry.path == path);
        if let (Some(told), Some(entry)) = (told, entry) {
            told.clone_from(entry);
        }
        let detail = "holds although the file is not in use: no valid one was seen yet";
        taken.push(Issue::new(broken.name, path, detail));
    }
    taken
}
