//! How a setting is named: its key, its variable and its Secret file.

/// One setting within its section.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) env: Option<(&'static str, Part)>,
    pub(crate) secret_file: Option<&'static str>,
    /// Another spelling that the file may use.
    pub(crate) alias: Option<&'static str>,
    pub(crate) blank_is_value: bool,
}

/// What of a variable's text belongs to a setting.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Whole,
    /// `host` of `host:port`.
    Host,
    /// `port` of `host:port`.
    Port,
}

pub(crate) const fn key(name: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        doc,
        env: None,
        secret_file: None,
        alias: None,
        blank_is_value: false,
    }
}

impl Key {
    /// The variable that may set it.
    pub(crate) const fn env(mut self, variable: &'static str, part: Part) -> Self {
        self.env = Some((variable, part));
        self
    }

    /// A name for its Secret file besides section and key in kebab case.
    pub(crate) const fn secret_file(mut self, name: &'static str) -> Self {
        self.secret_file = Some(name);
        self
    }

    /// Another spelling of the key in the file.
    pub(crate) const fn alias(mut self, name: &'static str) -> Self {
        self.alias = Some(name);
        self
    }

    /// An empty text in the file is a value, and hides the layers below.
    pub(crate) const fn blank_is_value(mut self) -> Self {
        self.blank_is_value = true;
        self
    }
}

impl Part {
    pub(crate) fn of(self, text: &str) -> Option<&str> {
        let split = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, after)) => (address, after.strip_prefix(':')),
            None => text
                .rsplit_once(':')
                .map_or((text, None), |(host, port)| (host, Some(port))),
        };
        match self {
            Part::Whole => Some(text),
            Part::Host => Some(split.0),
            Part::Port => split.1,
        }
    }
}

/// The name of the Secret file of a setting: section and key, `email`, `smtpServer` as `email-smtp-server`; a run of capitals is one word.
pub(crate) fn kebab(section: &str, key: &str) -> String {
    let parts = section.split('.').chain([key]);
    let mut name = String::new();
    for part in parts.filter(|part| !part.is_empty()) {
        if !name.is_empty() {
            name.push('-');
        }
        let mut previous_is_upper = true;
        for c in part.chars() {
            if c.is_ascii_uppercase() && !previous_is_upper {
                name.push('-');
            }
            previous_is_upper = c.is_ascii_uppercase();
            name.push(c.to_ascii_lowercase());
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_files_are_named_in_kebab_case() {
        for (section, key, name) in [
            ("email", "username", "email-username"),
            ("slack", "webhookUrl", "slack-webhook-url"),
            ("email", "useTLS", "email-use-tls"),
            ("", "clusterName", "cluster-name"),
            (
                "nodeMonitor.slack",
                "webhookURL",
                "node-monitor-slack-webhook-url",
            ),
        ] {
            assert_eq!(kebab(section, key), name);
        }
    }

    #[test]
    fn host_and_port_come_apart() {
        for (text, host, port) in [
            ("mail:25", "mail", Some("25")),
            ("mail", "mail", None),
            ("[::1]:25", "::1", Some("25")),
            ("[::1]", "::1", None),
            ("mail:", "mail", Some("")),
            (":25", "", Some("25")),
        ] {
            assert_eq!(
                (Part::Host.of(text), Part::Port.of(text)),
                (Some(host), port),
                "{text}"
            );
        }
    }
}
