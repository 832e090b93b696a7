//! What Kubernetes accepts as keys, values and names.

/// Longest label value, and longest name part of a key.
const LABEL_LENGTH: usize = 63;
/// Longest DNS name.
const DNS_LENGTH: usize = 253;

/// A qualified name, as keys of labels, annotations and taints are: `name` or `example.com/name`.
pub(super) fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_name(prefix) && is_name_part(name),
        None => is_name_part(text),
    }
}

/// A legal label value; it may be empty.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name_part(text)
}

/// A DNS subdomain, as names of nodes are.
pub(super) fn is_dns_name(text: &str) -> bool {
    text.len() <= DNS_LENGTH && text.split('.').all(is_lower_label)
}

/// A DNS label, as names of namespaces are.
pub(super) fn is_dns_label(text: &str) -> bool {
    text.len() <= LABEL_LENGTH && is_lower_label(text)
}

/// A taint that Kubernetes sets and removes itself, and so would fight over.
pub(super) fn is_kubernetes_taint(key: &str) -> bool {
    key.split_once('/').is_some_and(|(prefix, _)| {
        matches!(
            prefix,
            "node.kubernetes.io" | "node.cloudprovider.kubernetes.io"
        )
    })
}

fn is_name_part(text: &str) -> bool {
    text.len() <= LABEL_LENGTH
        && ends_well(text, |byte| byte.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_lower_label(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    ends_well(text, is_plain) && text.bytes().all(|byte| is_plain(byte) || byte == b'-')
}

/// Whether the text has a first and a last character, both of the plain kind.
fn ends_well(text: &str, is_plain: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| is_plain(*byte))
        && bytes.last().is_some_and(|byte| is_plain(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let longest = format!("{}/{}", vec!["a"; 127].join("."), "b".repeat(63));
        for good in [
            "a",
            "A_b.c-1",
            "nodeguardian/high-load",
            "example.com/A",
            &longest,
        ] {
            assert!(is_key(good), "{good}");
        }
        let long_prefix = format!("{}/b", "a".repeat(254));
        let long_name = "b".repeat(64);
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "Example.com/a",
            "-a",
            "a-",
            "a b",
            "ä",
            "a..b/c",
            &long_prefix,
            &long_name,
        ] {
            assert!(!is_key(bad), "{bad}");
        }
    }

    #[test]
    fn label_values() {
        for good in ["", "true", "A.b_c-1"] {
            assert!(is_label_value(good), "{good}");
        }
        for bad in ["-", "a/b", "12:30", "{{ x }}", &"a".repeat(64)] {
            assert!(!is_label_value(bad), "{bad}");
        }
    }

    #[test]
    fn names_of_nodes_and_namespaces() {
        for good in ["node-1", "ip-10-0-0-1.ec2.internal", "1"] {
            assert!(is_dns_name(good), "{good}");
        }
        for bad in ["", "Node", "a_b", ".a", "a.", "-a"] {
            assert!(!is_dns_name(bad), "{bad}");
        }
        assert!(is_dns_label("kube-system"));
        assert!(!is_dns_label("kube.system"));
    }

    #[test]
    fn taints_of_kubernetes() {
        assert!(is_kubernetes_taint("node.kubernetes.io/not-ready"));
        assert!(is_kubernetes_taint(
            "node.cloudprovider.kubernetes.io/uninitialized"
        ));
        assert!(!is_kubernetes_taint("node.kubernetes.io"));
        assert!(!is_kubernetes_taint("nodeguardian.io/not-ready"));
    }
}
