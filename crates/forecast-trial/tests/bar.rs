//! Holds the forecast against a plain line of least squares: fewer false alarms, and nothing missed for it.

use ng_forecast_trial::{Kind, Score, Series, by_kind, chosen, held_out, score};

/// What of the plain forecast's false alarms may be left.
const FALSE_ALARMS: f64 = 0.4;
/// Share of the right alarms whose bounds must hold.
const COVERAGE: f64 = 0.85;

fn share(of: usize, all: usize) -> f64 {
    let count = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    count(of) / count(all)
}

fn check(name: &str, corpus: &[Series]) {
    assert!(corpus.len() >= 200, "{name}: {} series", corpus.len());
    let score = score(corpus);
    let Score { ours, plain } = &score;
    assert!(
        share(ours.false_alarms, plain.false_alarms) <= FALSE_ALARMS,
        "{name}: {} false alarms of {}",
        ours.false_alarms,
        plain.false_alarms
    );
    assert!(
        share(ours.false_episodes, plain.false_episodes) <= FALSE_ALARMS,
        "{name}: {} false episodes of {}",
        ours.false_episodes,
        plain.false_episodes
    );
    assert!(
        ours.found >= plain.found,
        "{name}: found {} of {}, the plain line {}",
        ours.found,
        ours.full,
        plain.found
    );
    assert!(ours.full >= 80, "{name}: {} series become full", ours.full);
    assert!(
        ours.error() <= plain.error(),
        "{name}: error {:.3}, of the plain line {:.3}",
        ours.error(),
        plain.error()
    );
    assert!(
        ours.coverage() >= COVERAGE,
        "{name}: bounds held in {:.3}",
        ours.coverage()
    );
}

#[test]
fn the_chosen_corpus_has_fewer_false_alarms_and_nothing_missed() {
    check("chosen", &chosen());
}

#[test]
fn the_held_out_corpus_has_fewer_false_alarms_and_nothing_missed() {
    check("held out", &held_out());
}

/// The shapes that made operators switch plain forecasts off.
#[test]
fn what_comes_and_goes_is_hardly_alarmed() {
    let comes_and_goes = [
        Kind::ImageCollection,
        Kind::Rotation,
        Kind::Season,
        Kind::Builder,
        Kind::Restarts,
    ];
    for (kind, Score { ours, plain }) in by_kind(&held_out()) {
        if comes_and_goes.contains(&kind) {
            assert!(
                share(ours.false_alarms, plain.false_alarms) <= 0.2,
                "{kind:?}: {} false alarms of {}",
                ours.false_alarms,
                plain.false_alarms
            );
        }
    }
}

#[test]
fn a_corpus_is_the_same_every_time() {
    let bits = |corpus: Vec<Series>| -> Vec<Vec<u64>> {
        let bits = |series: Series| series.values.into_iter().map(f64::to_bits).collect();
        corpus.into_iter().map(bits).collect()
    };
    assert!(bits(chosen()) == bits(chosen()));
    assert!(bits(chosen()) != bits(held_out()));
}

/// Prints the figures of the documentation: `cargo test -p ng-forecast-trial -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
fn figures() {
    for (name, corpus) in [("chosen", chosen()), ("held out", held_out())] {
        let total = [("all".to_owned(), score(&corpus))].into_iter();
        let kinds = by_kind(&corpus).into_iter();
        println!("{name}: {} series", corpus.len());
        for (kind, score) in kinds
            .map(|(kind, score)| (format!("{kind:?}"), score))
            .chain(total)
        {
            for (who, tally) in [("ours", &score.ours), ("line", &score.plain)] {
                println!(
                    "{kind:>16} {who}: false {:4} of {:5}, episodes {:3}, found {:3} of {:3}, {:4.1} h ahead, error {:.2}, bounds {:.2}",
                    tally.false_alarms,
                    tally.looks,
                    tally.false_episodes,
                    tally.found,
                    tally.full,
                    tally.hours_ahead(),
                    tally.error(),
                    tally.coverage(),
                );
            }
        }
    }
}
