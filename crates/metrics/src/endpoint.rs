//! Addresses of servers, apart from the credentials in them.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Where a server listens. Neither `Debug` nor the address shows credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `scheme://host[:port][/prefix]`, without userinfo and without a slash at the end.
    base: String,
    /// The value of `Authorization`.
    authorization: Option<String>,
}

impl Endpoint {
    /// The server at `url`, whose userinfo becomes basic authentication.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected an address such as http://prometheus.monitoring.svc:9090";
        let url = url.trim();
        let (scheme, rest) = url
            .split_once("://")
            .filter(|(scheme, _)| ["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()))
            .ok_or_else(|| EXPECTED.to_owned())?;
        if rest.contains(['?', '#']) || rest.contains(char::is_whitespace) {
            return Err(format!("{EXPECTED}, without a query"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        if host.is_empty() {
            return Err(EXPECTED.to_owned());
        }
        Ok(Self {
            base: format!(
                "{}://{host}{}",
                scheme.to_ascii_lowercase(),
                path.trim_end_matches('/')
            ),
            authorization: userinfo.map(basic),
        })
    }

    /// The same server with a token, unless the address had credentials of its own.
    pub(crate) fn with_token(mut self, token: Option<&str>) -> Self {
        if self.authorization.is_none() {
            self.authorization = token.map(|token| format!("Bearer {}", token.trim()));
        }
        self
    }

    /// The address without credentials.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The value of `Authorization` for a request to `url`: none for any other origin than the server's own.
    pub(crate) fn authorization_for(&self, url: &str) -> Option<&str> {
        self.authorization
            .as_deref()
            .filter(|_| origin(url) == origin(&self.base))
    }
}

/// `scheme://host[:port]`.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |index| index + 3);
    let end = url[start..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |index| start + index);
    &url[..end]
}

/// Where a redirect from `url` leads; `None` for what is not an http address.
pub(crate) fn redirected(url: &str, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        // Credentials in a redirect are not ours to use, and would show in messages.
        return (!origin(location).contains('@')).then(|| location.to_owned());
    }
    (location.starts_with('/') && !location.starts_with("//"))
        .then(|| format!("{}{location}", origin(url)))
}

fn basic(userinfo: &str) -> String {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let mut pair = percent_decoded(user);
    pair.push(b':');
    pair.extend(percent_decoded(password));
    format!("Basic {}", STANDARD.encode(pair))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail
            .split_first_chunk::<2>()
            .filter(|_| *first == b'%')
            .and_then(|(digits, tail)| Some((hex(digits[0])? * 16 + hex(digits[1])?, tail)));
        let (byte, tail) = escaped.unwrap_or((*first, tail));
        decoded.push(byte);
        rest = tail;
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// `pairs` as `application/x-www-form-urlencoded`, which also serves as the query of a GET.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_address() {
        let table = [
            ("http://p:9090", "http://p:9090", None),
            ("HTTPS://p/prefix/", "https://p/prefix", None),
            (
                "http://u:p%40ss@[fd00::1]:9090/",
                "http://[fd00::1]:9090",
                Some("Basic dTpwQHNz"),
            ),
            ("http://u@p", "http://p", Some("Basic dTo=")),
        ];
        for (url, base, authorization) in table {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.base(), base, "{url}");
            assert_eq!(endpoint.authorization_for(base), authorization, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_it() {
        for url in [
            "",
            "p:9090",
            "ftp://u:secret@p",
            "http://",
            "http://u:secret@",
            "http://p/?token=secret",
        ] {
            let error = Endpoint::parse(url).err().unwrap();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let endpoint = Endpoint::parse("https://p/x")
            .unwrap()
            .with_token(Some("t\n"));
        let table = [
            ("https://p/y", Some("Bearer t")),
            ("http://p/x", None),
            ("https://p.evil/x", None),
            ("https://p:9090/x", None),
        ];
        for (url, expected) in table {
            assert_eq!(endpoint.authorization_for(url), expected, "{url}");
        }
    }

    #[test]
    fn redirects_are_resolved_or_refused() {
        let table = [
            ("/graph/api", Some("http://p:9090/graph/api")),
            ("https://q/api", Some("https://q/api")),
            ("//q/api", None),
            ("file:///etc/passwd", None),
            ("http://u:p@q/", None),
            ("", None),
        ];
        for (location, expected) in table {
            let found = redirected("http://p:9090/api/v1/query", location);
            assert_eq!(found.as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn a_form_escapes_all_but_plain_letters() {
        assert_eq!(
            form(&[("query", "a+b{c=\"é\"} / 2"), ("timeout", "5s")]),
            "query=a%2Bb%7Bc%3D%22%C3%A9%22%7D%20%2F%202&timeout=5s"
        );
    }
}
