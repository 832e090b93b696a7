//! A cluster where nothing happens is not written to.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ng_tests::wait::holds_for;
use serde_json::json;

use crate::rig::{Rig, TICK, load_rule, taint, untaint};

/// Longer than a status that never arrives is waited for before it is written again.
const SPAN: Duration = Duration::from_secs(75);
/// Evaluations go into a log that is emptied when it is a quarter of this.
const LARGEST_STATE: u64 = 1024 * 1024;
const LONG_SPAN: Duration = Duration::from_mins(3);

#[expect(
    clippy::disallowed_methods,
    reason = "a test is not a hook and has no ng_hook::Env"
)]
fn span() -> Duration {
    match std::env::var("NODEGUARDIAN_LONG") {
        Ok(value) if !value.is_empty() && value != "0" => LONG_SPAN,
        _ => SPAN,
    }
}

/// Bytes of all files in a folder.
fn size(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}

#[test]
fn nothing_is_written_while_nothing_happens() -> Result<()> {
    let Some(mut rig) = Rig::start(&[])? else {
        return Ok(());
    };
    rig.add_nodes(&["n1", "n2", "n3", "n4"])?;
    rig.heat("n4")?;
    let mut off = load_rule("off", &json!([taint("test/off")]), &json!([]));
    off["spec"]["metadata"] = json!({"enabled": false});
    // One rule that holds a node, one for which all is well, and one that is off.
    let mut well = load_rule("well", &json!([taint("test/well")]), &json!([]));
    well["spec"]["conditions"][0]["value"] = 50.into();
    let holds = load_rule(
        "holds",
        &json!([taint("test/holds")]),
        &json!([untaint("test/holds")]),
    );
    for rule in [&off, &well, &holds] {
        rig.apply_rule(rule)?;
    }
    rig.stack.operator().start()?;
    rig.wait_taint("n4", "test/holds", true)?;
    rig.wait_condition("off", "Ready", "False")?;
    rig.wait_condition("well", "Ready", "True")?;
    rig.wait_runs(3)?;

    let writes = rig.stack.writes_by(rig.stack.hook_user())?.len();
    let (runs, bytes, start) = (rig.runs()?, size(&rig.stack.state_dir())?, Instant::now());
    holds_for(span(), "silence", || {
        let all = rig.stack.writes_by(rig.stack.hook_user())?;
        ensure!(all.len() == writes, "{:?}", &all[writes..]);
        Ok(())
    })?;
    let (ran, passed) = (rig.runs()? - runs, start.elapsed());
    let ticks = passed.as_secs() / TICK.as_secs();
    eprintln!("{ran} runs in {passed:?}, {bytes} bytes of state");
    ensure!(
        u64::try_from(ran)?.abs_diff(ticks) <= 1,
        "{ran} runs in {ticks} ticks"
    );
    let after = size(&rig.stack.state_dir())?;
    ensure!(
        after <= LARGEST_STATE,
        "the state grew from {bytes} to {after} bytes"
    );
    rig.close()
}
