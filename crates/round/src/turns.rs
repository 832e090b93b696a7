//! Whose turn it is when runs of both hooks overlap.
//!
//! A run that another one has overtaken decides nothing, since the other has seen newer nodes. Where readings are slow,
//! each run of the controller lasts longer than the recovery-manager's interval, and is overtaken; rules that hold no
//! node would never be evaluated, as only the controller does that. So it leaves a note when it was overtaken, and until
//! it has come through, the recovery-manager lets it go first: for its own rules the controller does the same.

use std::time::Duration;

use ng_engine::time::Time;
use ng_state::{StateError, Store, Transaction};

use crate::due::Scope;

/// When a run of the controller that was overtaken began, in milliseconds.
const OVERTAKEN: &str = "evaluation/overtaken";
/// For how long the recovery-manager waits at most: there may be no controller any more.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether the run leaves everything to the controller's next one.
pub(crate) fn gives_way(store: &Store, scope: Scope, now: Time) -> Result<bool, StateError> {
    if scope == Scope::Everything {
        return Ok(false);
    }
    let noted = store.note(OVERTAKEN)?;
    let since = noted.and_then(|text| text.parse().ok());
    Ok(since
        .map(Time::from_millis)
        // A time to come is one of a clock that was set back.
        .is_some_and(|since| since <= now && now.since(since) < PATIENCE))
}

/// Remembers that the run was overtaken; the transaction ends with it.
pub(crate) fn lost(
    mut transaction: Transaction<'_>,
    scope: Scope,
    now: Time,
) -> Result<(), StateError> {
    if scope == Scope::Held {
        return Ok(());
    }
    transaction.set_note(OVERTAKEN, Some(&now.millis().to_string()))?;
    transaction.commit()
}

/// Forgets it: the run has come through.
pub(crate) fn taken(transaction: &mut Transaction<'_>, scope: Scope) -> Result<(), StateError> {
    if scope == Scope::Everything && transaction.note(OVERTAKEN)?.is_some() {
        transaction.set_note(OVERTAKEN, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recovery_manager_waits_for_a_minute_until_the_controller_has_come_through() {
        let directory = tempfile::tempdir().unwrap();
        let start = Time::from_millis(1_700_000_000_000);
        let at = |seconds| start.plus(Duration::from_secs(seconds));
        let mut store = Store::open(directory.path(), start).unwrap().store;
        let waits = |store: &Store, now| gives_way(store, Scope::Held, now).unwrap();
        assert!(!waits(&store, at(0)));
        // What overtakes the recovery-manager is the controller, which does its work.
        lost(store.begin().unwrap(), Scope::Held, at(0)).unwrap();
        assert!(!waits(&store, at(0)));

        lost(store.begin().unwrap(), Scope::Everything, at(10)).unwrap();
        for (now, expected) in [(9, false), (10, true), (69, true), (70, false)] {
            assert_eq!(waits(&store, at(now)), expected, "{now} s");
            assert!(!gives_way(&store, Scope::Everything, at(now)).unwrap());
        }
        for (scope, expected) in [(Scope::Held, true), (Scope::Everything, false)] {
            let mut transaction = store.begin().unwrap();
            taken(&mut transaction, scope).unwrap();
            transaction.commit().unwrap();
            assert_eq!(waits(&store, at(20)), expected, "{scope:?}");
        }
    }
}
