//! One request to every server behind a name.
//!
//! Alertmanagers that run together share their silences, not their alerts: each has to be told. Behind a headless
//! service each is an address of its own.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use ureq::Timeout;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::message::Outcome;
use crate::send::When;

/// Takes every host for one address.
#[derive(Debug)]
pub(crate) struct Only(pub(crate) SocketAddr);

impl Resolver for Only {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}

/// Looks up names, and takes addresses for what they are: a lookup that has to end in time costs a thread.
#[derive(Debug)]
pub(crate) struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        match literal(uri) {
            Some(address) => Only(address).resolve(uri, config, timeout),
            None => DefaultResolver::default().resolve(uri, config, timeout),
        }
    }
}

/// The address, if the host is one and no name.
fn literal(uri: &Uri) -> Option<SocketAddr> {
    let host = uri.host()?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let usual = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let port = uri.port_u16().unwrap_or(usual);
    Some(SocketAddr::new(host.parse().ok()?, port))
}

/// The addresses behind the host of `url` if it stands for several servers; none if it stands for one, or cannot be
/// looked up, which the request will find out again.
pub(crate) fn of(url: &str, config: &Config, when: &When) -> Vec<SocketAddr> {
    let Ok(uri) = url.parse::<Uri>() else {
        return Vec::new();
    };
    let left = when.deadline.saturating_duration_since(Instant::now());
    let timeout = NextTimeout {
        after: left.into(),
        reason: Timeout::Resolve,
        per_read: None,
        per_write: None,
    };
    let found = Names.resolve(&uri, config, timeout);
    found.map_or_else(|_| Vec::new(), |addresses| several(&addresses))
}

/// Several addresses of one family. One of each family is one server with two.
fn several(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let of = |wanted: fn(&SocketAddr) -> bool| {
        let mut found: Vec<SocketAddr> = addresses.iter().copied().filter(wanted).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    [of(SocketAddr::is_ipv4), of(SocketAddr::is_ipv6)]
        .into_iter()
        .find(|found| found.len() > 1)
        .unwrap_or_default()
}

/// Tells each address at the same time, so that one that hangs does not keep the others waiting.
pub(crate) fn tell(
    addresses: &[SocketAddr],
    tell: impl Fn(SocketAddr) -> Outcome + Sync,
) -> Outcome {
    let outcomes = thread::scope(|scope| {
        let tell = &tell;
        let threads: Vec<_> = addresses
            .iter()
            .map(|address| scope.spawn(move || tell(*address)))
            .collect();
        let joined = threads.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Outcome::Retry {
                reason: "the attempt broke off".to_owned(),
                after: None,
            })
        });
        joined.collect::<Vec<_>>()
    });
    summed(addresses, &outcomes)
}

/// Told is what all of them have: one that missed a recovery would go on firing.
fn summed(addresses: &[SocketAddr], outcomes: &[Outcome]) -> Outcome {
    let mut wait: Option<Duration> = None;
    let (mut for_now, mut for_good, mut told) = (Vec::new(), Vec::new(), 0);
    for (address, outcome) in addresses.iter().zip(outcomes) {
        match outcome {
            Outcome::Delivered => told += 1,
            Outcome::Retry { reason, after } => {
                wait = wait.max(*after);
                for_now.push(format!("{address}: {reason}"));
            }
            Outcome::Permanent { reason } => for_good.push(format!("{address}: {reason}")),
        }
    }
    let all = outcomes.len();
    let described = |first: &[String]| format!("{told} of {all} replicas have it; {}", first[0]);
    if !for_now.is_empty() {
        return Outcome::Retry {
            reason: described(&for_now),
            after: wait,
        };
    }
    if !for_good.is_empty() {
        return Outcome::Permanent {
            reason: described(&for_good),
        };
    }
    Outcome::Delivered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_is_not_looked_up() {
        for (url, expected) in [
            ("http://127.0.0.1:9093/hook", Some("127.0.0.1:9093")),
            ("http://10.0.0.1/", Some("10.0.0.1:80")),
            ("https://[fd00::1]/x", Some("[fd00::1]:443")),
            ("https://[::1]:8443", Some("[::1]:8443")),
            ("http://receiver.example.com:80/", None),
            ("http://10.0.0/", None),
        ] {
            let found = literal(&url.parse().unwrap());
            assert_eq!(found, expected.map(|text| text.parse().unwrap()), "{url}");
        }
    }

    #[test]
    fn several_servers_are_several_addresses_of_one_family() {
        for (found, expected) in [
            (&["127.0.0.1:9"][..], &[][..]),
            (&["127.0.0.1:9", "[::1]:9"], &[]),
            (
                &["10.0.0.2:9", "10.0.0.1:9", "10.0.0.2:9"],
                &["10.0.0.1:9", "10.0.0.2:9"],
            ),
            (
                &["[::1]:9", "10.0.0.1:9", "[::2]:9"],
                &["[::1]:9", "[::2]:9"],
            ),
            (&[], &[]),
        ] {
            assert_eq!(several(&addresses(found)), addresses(expected));
        }
    }

    #[test]
    fn told_is_what_all_have() {
        let retry = |seconds| Outcome::Retry {
            reason: "busy".to_owned(),
            after: Some(Duration::from_secs(seconds)),
        };
        let never = || Outcome::Permanent {
            reason: "no".to_owned(),
        };
        let all = addresses(&["10.0.0.1:9", "10.0.0.2:9", "10.0.0.3:9"]);
        let sum = |outcomes: [Outcome; 3]| {
            tell(&all, |address| {
                outcomes[all.iter().position(|a| *a == address).unwrap()].clone()
            })
        };
        let told = || Outcome::Delivered;
        assert_eq!(sum([told(), told(), told()]), told());
        assert_eq!(
            sum([told(), retry(3), retry(7)]),
            Outcome::Retry {
                reason: "1 of 3 replicas have it; 10.0.0.2:9: busy".to_owned(),
                after: Some(Duration::from_secs(7)),
            }
        );
        assert!(matches!(
            sum([never(), retry(3), told()]),
            Outcome::Retry { .. }
        ));
        assert_eq!(
            sum([told(), told(), never()]),
            Outcome::Permanent {
                reason: "2 of 3 replicas have it; 10.0.0.3:9: no".to_owned()
            }
        );
    }
}
