//! x
use ng_forecast_trial::*;
#[test]
fn show2() {
    let kind = std::env::vars().find(|(k,_)| k=="KIND").map(|x| x.1).unwrap_or("CollectionFails".into());
    for (name, corpus) in [("chosen", chosen()), ("held", held_out())] {
    for (i, s) in corpus.iter().enumerate() {
        if format!("{:?}", s.kind) != kind { continue; }
        let one = score(std::slice::from_ref(s));
        let missed = one.ours.full == 1 && one.ours.found == 0;
        println!("{name} {i} full {:?} fa {} of {} lead {:?} plainlead {:?} {}", s.full_at, one.ours.false_alarms, one.ours.looks, one.ours.lead, one.plain.lead, if missed {"MISSED"} else {""});
        let verbose = std::env::vars().any(|(k,_)| k=="V");
        if missed || (verbose && one.ours.false_alarms > 0) {
            print!("{}", trace(s, if missed { 16 } else { 400 }));
        }
    }
    if name == "chosen" && std::env::vars().any(|(k,_)| k=="C") { break; }
    }
}
