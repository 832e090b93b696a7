//! Stored forms and sets of positions.

use ng_engine::bits::Bits;
use ng_engine::roster::Roster;
use ng_engine::time::Time;
use ng_engine::timers::{Entry, TestTimers, Timers};
use proptest::prelude::*;

use crate::decide_support::{Story, stored};
use crate::properties::check;

#[test]
fn timers_and_rosters_survive_their_stored_form_and_noise_does_no_harm() {
    let entry = (any::<u32>(), any::<i64>(), prop::option::of(1..i64::MAX)).prop_map(
        |(node, since, seen)| Entry {
            node,
            since: Time::from_millis(since),
            seen: seen.map(Time::from_millis),
        },
    );
    let test = ("\\PC{0,40}", prop::collection::vec(entry, 0..20))
        .prop_map(|(test, entries)| TestTimers { test, entries });
    check(prop::collection::vec(test, 0..4), |tests| {
        let timers = Timers { tests };
        let mut bytes = timers.encode();
        prop_assert_eq!(Timers::decode(&bytes), Some(timers));
        bytes.pop();
        let whole = bytes.is_empty();
        prop_assert_eq!(Timers::decode(&bytes).is_some(), whole);
        Ok(())
    });
    check(prop::collection::vec(any::<u8>(), 0..200), |bytes| {
        if let Some(timers) = Timers::decode(&bytes) {
            prop_assert_eq!(timers.encode(), bytes.clone());
        }
        if let Some(roster) = Roster::decode(&bytes) {
            prop_assert_eq!(roster.encode(), bytes);
        }
        Ok(())
    });
}

#[test]
fn sets_of_positions_are_what_lists_of_flags_are() {
    check(
        prop::collection::vec((any::<bool>(), any::<bool>()), 0..200),
        |pairs| {
            let len = pairs.len();
            let left = Bits::from_fn(len, |position| pairs[position].0);
            let right = Bits::from_fn(len, |position| pairs[position].1);
            let combine = |change: fn(&mut Bits, &Bits), rule: fn(bool, bool) -> bool| {
                let mut set = left.clone();
                change(&mut set, &right);
                set == Bits::from_fn(len, |position| rule(pairs[position].0, pairs[position].1))
            };
            prop_assert!(combine(Bits::keep, |left, right| left && right));
            prop_assert!(combine(Bits::join, |left, right| left || right));
            prop_assert!(combine(Bits::drop_all, |left, right| left && !right));
            prop_assert_eq!(left.inverse().count(), len - left.count());
            let listed: Vec<usize> = (0..len).filter(|position| pairs[*position].0).collect();
            prop_assert_eq!(left.iter().collect::<Vec<_>>(), listed.clone());
            prop_assert_eq!(left.count(), listed.len());
            prop_assert_eq!(left.is_empty(), listed.is_empty());
            prop_assert!((0..len).all(|position| left.has(position) == pairs[position].0));
            Ok(())
        },
    );
}

#[test]
fn an_empty_history_survives_its_stored_form() {
    let story = Story::new(["n1", "n2"]);
    assert_eq!(stored(&story.history), story.history);
}
