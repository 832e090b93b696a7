//! Values that must not be seen: `Debug` and `Display` show a mask, and only [`Secret::expose`] gives the text.

use std::fmt;

use crate::url::{HttpUrl, UrlError};

/// What stands in place of a secret wherever values are shown.
pub const MASK: &str = "***";

/// A password, token or key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// An address that is itself a credential: whoever knows a chat's webhook can write to the chat.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(HttpUrl);

impl SecretUrl {
    /// The whole address, for the one place that sends to it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The host alone, fit for logs.
    pub fn host(&self) -> &str {
        self.0.host()
    }
}

impl std::str::FromStr for SecretUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        text.parse().map(SecretUrl)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_display_tells() {
        let secret = Secret::new("hunter2");
        let url: SecretUrl = "https://hooks.example.com/services/T0/hunter2"
            .parse()
            .unwrap();
        for shown in [
            format!("{secret} {secret:?} {secret:#?}"),
            format!("{url} {url:?} {:?}", Some(&url)),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains(MASK));
        }
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(url.host(), "hooks.example.com");
    }
}
