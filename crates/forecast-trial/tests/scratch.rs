//! x
use ng_forecast_trial::*;
#[test]
fn show() {
    for (name, corpus) in [("chosen", chosen()), ("held out", held_out())] {
        println!("{name}: {} series", corpus.len());
        for (kind, s) in by_kind(&corpus) {
            println!("{:>16} ours fa {:5} ep {:4} rec {}/{} err {:.2} cov {:.2} lead {:.1} | plain fa {:5} ep {:4} rec {}/{} err {:.2} lead {:.1}",
              format!("{kind:?}"), s.ours.false_alarms, s.ours.false_episodes, s.ours.found, s.ours.full, s.ours.error(), s.ours.coverage(), s.ours.hours_ahead(),
              s.plain.false_alarms, s.plain.false_episodes, s.plain.found, s.plain.full, s.plain.error(), s.plain.hours_ahead());
        }
        let t = std::time::Instant::now(); let s = score(&corpus); println!("{:?} for {} looks", t.elapsed(), s.ours.looks);
        println!("TOTAL ours fa {} ep {}/{} rec {:.3} err {:.3} cov {:.3} lead {:.1} alarms {} | plain fa {} ep {}/{} rec {:.3} err {:.3} lead {:.1} alarms {}", s.ours.false_alarms, s.ours.false_episodes, s.ours.episodes, s.ours.recall(), s.ours.error(), s.ours.coverage(), s.ours.hours_ahead(), s.ours.alarms, s.plain.false_alarms, s.plain.false_episodes, s.plain.episodes, s.plain.recall(), s.plain.error(), s.plain.hours_ahead(), s.plain.alarms);
    }
}
