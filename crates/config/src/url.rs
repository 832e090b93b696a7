//! Addresses of HTTP services, checked enough to fail when they are configured and not when they are used.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::names::Port;
use crate::secret::MASK;

/// An `http` or `https` URL. Shown without the login it may carry.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    text: String,
    /// Where the host stands in `text`, brackets of an IPv6 address left out.
    host: (usize, usize),
}

/// Why a text is not an address. The text itself is not repeated: it may hold a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It does not begin with `http://` or `https://`.
    #[error("it must begin with http:// or https://")]
    Scheme,
    /// No host, or one with characters no host has.
    #[error("its host is missing or wrong")]
    Host,
    /// A port outside 1 to 65535.
    #[error("its port is wrong")]
    Port,
    /// Blanks, control characters or others that must be percent-encoded.
    #[error("it has characters that must be percent-encoded")]
    Character,
}

impl HttpUrl {
    /// What every address is like, as a regular expression, for the schema.
    pub(crate) const PATTERN: &str = "^[hH][tT][tT][pP][sS]?://([^@/?#]*@)?(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(:[0-9]{1,5})?([/?#][!#-;=?-\\[\\]_a-z~]*)?$";

    /// The whole address with the login it may carry, for the one place that sends to it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The host alone.
    pub fn host(&self) -> &str {
        &self.text[self.host.0..self.host.1]
    }
}

impl FromStr for HttpUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let start = scheme_len(text).ok_or(UrlError::Scheme)?;
        if !text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
        {
            return Err(UrlError::Character);
        }
        let end = text[start..]
            .find(['/', '?', '#'])
            .map_or(text.len(), |at| start + at);
        let host_start = text[start..end]
            .rfind('@')
            .map_or(start, |at| start + at + 1);
        let host = host_range(&text[host_start..end])?;
        Ok(HttpUrl {
            text: text.to_owned(),
            host: (host_start + host.0, host_start + host.1),
        })
    }
}

fn scheme_len(text: &str) -> Option<usize> {
    ["http://", "https://"]
        .iter()
        .map(|scheme| scheme.len())
        .find(|len| {
            text.get(..*len).is_some_and(|start| {
                start.eq_ignore_ascii_case("http://") || start.eq_ignore_ascii_case("https://")
            })
        })
}

/// The host within `host[:port]`.
fn host_range(authority: &str) -> Result<(usize, usize), UrlError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(UrlError::Host)?;
        address.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
        check_port(after)?;
        return Ok((1, 1 + address.len()));
    }
    let end = authority.find(':').unwrap_or(authority.len());
    let host = &authority[..end];
    if host.is_empty()
        || !host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    {
        return Err(UrlError::Host);
    }
    check_port(&authority[end..])?;
    Ok((0, end))
}

fn check_port(text: &str) -> Result<(), UrlError> {
    match text.strip_prefix(':') {
        None if text.is_empty() => Ok(()),
        Some(port) if port.parse::<Port>().is_ok() => Ok(()),
        _ => Err(UrlError::Port),
    }
}

/// Replaces the login in anything that looks like an address, valid or not, so that it can be shown.
pub(crate) fn without_login(text: &str) -> String {
    let Some(start) = text.find("://").map(|at| at + 3) else {
        return text.to_owned();
    };
    // A password may hold an unescaped `/`, which makes the address invalid but is no reason to print it.
    match text.rfind('@') {
        Some(at) if at >= start => format!("{}{MASK}{}", &text[..start], &text[at..]),
        _ => text.to_owned(),
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_login(&self.text))
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_http_addresses_and_finds_their_host() {
        for (text, host) in [
            (
                "http://prometheus-k8s.monitoring.svc:9090",
                "prometheus-k8s.monitoring.svc",
            ),
            (
                "https://kubernetes.default.svc:443/apis/metrics.k8s.io/v1beta1",
                "kubernetes.default.svc",
            ),
            ("HTTPS://Example.com?x=1", "Example.com"),
            ("http://user:p%40ss@10.0.0.1:9090/", "10.0.0.1"),
            ("http://[::1]:9090/api", "::1"),
            ("http://my_service/@path", "my_service"),
        ] {
            let url: HttpUrl = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.host(), host);
            assert_eq!(url.expose(), text);
        }
    }

    #[test]
    fn refuses_what_cannot_be_called() {
        for (text, error) in [
            ("", UrlError::Scheme),
            ("prometheus:9090", UrlError::Scheme),
            ("ftp://host", UrlError::Scheme),
            ("http:/host", UrlError::Scheme),
            ("http://", UrlError::Host),
            ("http:///path", UrlError::Host),
            ("http://user@", UrlError::Host),
            ("http://[::1", UrlError::Host),
            ("http://[zz]", UrlError::Host),
            ("http://ho$t", UrlError::Host),
            ("http://host:", UrlError::Port),
            ("http://host:0", UrlError::Port),
            ("http://host:65536", UrlError::Port),
            ("http://host:abc", UrlError::Port),
            ("http://[::1]x", UrlError::Port),
            ("http://ho st", UrlError::Character),
            ("http://host/a\nb", UrlError::Character),
            ("http://host/${PATH}", UrlError::Character),
            ("http://höst", UrlError::Character),
            ("hé://", UrlError::Scheme),
        ] {
            assert_eq!(text.parse::<HttpUrl>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_login_is_never_shown() {
        let url: HttpUrl = "https://ops:hunter2@prometheus:9090/x".parse().unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "https://***@prometheus:9090/x \"https://***@prometheus:9090/x\""
        );
        assert_eq!(without_login("http://ops:hunt/er2@host"), "http://***@host");
        assert_eq!(without_login("plain @ text"), "plain @ text");
    }
}
