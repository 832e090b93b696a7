//! Waiting for a condition with a limit, instead of sleeping and hoping.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

const PAUSE: Duration = Duration::from_millis(50);

/// The first success of `look`, or an error that says what was waited for and what was last seen.
///
/// `look` returns an error while the condition does not hold yet; its text is "what was seen".
pub fn wait_until<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(seen) if start.elapsed() >= limit => {
                return Err(anyhow!("no {what} within {limit:?}; last seen: {seen:#}"));
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// Fails if `look` finds something wrong at any time during `span`.
///
/// For what must not happen: the whole span is always waited for.
pub fn holds_for(span: Duration, what: &str, mut look: impl FnMut() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < span {
        look().map_err(|seen| {
            let passed = start.elapsed();
            anyhow!("{what} did not hold after {passed:?}: {seen:#}")
        })?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_missed_deadline_reports_what_was_last_seen() {
        let mut looks = 0;
        let error = wait_until(Duration::from_millis(120), "third node", || {
            looks += 1;
            if looks > 1_000 {
                return Ok(());
            }
            bail!("2 nodes")
        })
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("no third node") && error.ends_with("last seen: 2 nodes"),
            "{error}"
        );
        assert!(looks > 1);
    }

    #[test]
    fn a_success_ends_the_wait_at_once() {
        let mut looks = 0;
        let found = wait_until(Duration::from_mins(1), "second look", || {
            looks += 1;
            if looks == 2 {
                Ok(looks)
            } else {
                bail!("{looks}")
            }
        });
        assert_eq!(found.unwrap(), 2);
    }

    #[test]
    fn a_state_that_breaks_is_noticed() {
        let mut looks = 0;
        let result = holds_for(Duration::from_mins(1), "silence", || {
            looks += 1;
            if looks < 3 { Ok(()) } else { bail!("a write") }
        });
        assert!(result.unwrap_err().to_string().ends_with("a write"));
    }
}
