//! HMAC-SHA256 in the forms that receivers ask for.

use std::fmt::Write as _;
use std::io::{self, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::body::Body;

/// What a key of Standard Webhooks begins with.
const STANDARD_PREFIX: &str = "whsec_";

/// The value of `X-Hub-Signature-256`, GitHub's form.
pub(crate) fn github(secret: &str, body: &Body) -> String {
    format!("sha256={}", hex(&hmac(secret.as_bytes(), body.reader())))
}

/// The key of Standard Webhooks in a secret of its form: `whsec_` and base64.
pub(crate) fn standard_key(secret: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(secret.strip_prefix(STANDARD_PREFIX)?)
        .ok()
        .filter(|key| !key.is_empty())
}

/// The value of `webhook-signature`, the form of Standard Webhooks 1.0.
pub(crate) fn standard(key: &[u8], id: &str, seconds: i64, body: &Body) -> String {
    let start = format!("{id}.{seconds}.");
    let code = hmac(key, start.as_bytes().chain(body.reader()));
    format!("v1,{}", STANDARD.encode(code))
}

/// The query parameter `sign` of a `DingTalk` robot, percent-encoded.
pub(crate) fn dingtalk(secret: &str, millis: i64) -> String {
    let text = format!("{millis}\n{secret}");
    let code = STANDARD.encode(hmac(secret.as_bytes(), text.as_bytes()));
    code.replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
}

/// The body field `sign` of a Feishu bot: `DingTalk`'s inputs with key and message swapped, in seconds.
pub(crate) fn feishu(secret: &str, seconds: i64) -> String {
    let key = format!("{seconds}\n{secret}");
    STANDARD.encode(hmac(key.as_bytes(), io::empty()))
}

/// Of what is in memory. A body has thousands of short parts, and a hash takes each on its own; so they are put together
/// before.
fn hmac(key: &[u8], mut text: impl Read) -> [u8; 32] {
    let mut code = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    let mut part = [0; 4096];
    loop {
        match text.read(&mut part).expect("what is in memory can be read") {
            0 => return code.finalize().into_bytes().into(),
            count => code.update(&part[..count]),
        }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"node":"node-1","status":"firing"}"#;

    #[test]
    fn github_signs_the_bytes_of_the_body() {
        for (secret, body, code) in [
            (
                "whsec-test",
                BODY,
                "86e4b62956fd09abe6b1758889f3d16b0e0e100ed60f769d0488b0a351fe1b6f",
            ),
            (
                "whsec-test",
                "{\"node\":\"节点-1\"}".as_bytes(),
                "390c94936384309c65f6d0170772b4fb004ee1dcc6be60d18ec6ec58f7ef29ee",
            ),
            (
                "It's a Secret to Everybody",
                b"Hello, World!",
                "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            ),
        ] {
            assert_eq!(
                github(secret, &body.to_vec().into()),
                format!("sha256={code}")
            );
        }
    }

    /// Two more conventions over the same primitive, which show that parts are joined without anything between.
    #[test]
    fn parts_are_joined_as_they_are() {
        for (start, code) in [
            (
                "1700000000:",
                "ebe7f5a2dc3663d9d98ec5508083bd5ff3c05615d2cbb09ee03213382efb2350",
            ),
            (
                "v0:1700000000:",
                "696a962c4b4a5a533a593493cf5b554b7c40f720bc2cfa453e178b2aff8a3a83",
            ),
        ] {
            assert_eq!(
                hex(&hmac(b"whsec-test", start.as_bytes().chain(BODY))),
                code,
                "{start}"
            );
        }
    }

    #[test]
    fn standard_webhooks_sign_id_time_and_body() {
        let key = standard_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            standard(
                &key,
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                &br#"{"test": 2432232314}"#.to_vec().into()
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        for other in ["whsec-test", "whsec_", "whsec_!", "MfKQ9r8G"] {
            assert_eq!(standard_key(other), None, "{other}");
        }
    }

    #[test]
    fn dingtalk_signs_milliseconds_and_secret_and_encodes_once() {
        for (millis, secret, sign) in [
            (
                1_700_000_000_000,
                "SECtest0123456789abcdef",
                "%2FlfnxUUu80FwVTsIlv2F1cMGBb%2BPxEKAwYh%2FbsRxXcc%3D",
            ),
            (
                1_700_000_000_000,
                "this is secret",
                "sSFWELbV2YwjdDQhWZwTcWlX5BWUx5J6TPpsZmuPii0%3D",
            ),
            (
                1_767_225_600_000,
                "SEC000000000000000000000",
                "HsQf0oukUIPuTMc2KUXzJsH4gS9KeLayIJ2tvCFD2Ew%3D",
            ),
        ] {
            assert_eq!(dingtalk(secret, millis), sign);
        }
    }

    #[test]
    fn feishu_signs_nothing_with_seconds_and_secret() {
        for (seconds, secret, sign) in [
            (
                1_700_000_000,
                "SECtest0123456789abcdef",
                "R9sugg1yeI3YQr9rgdGGtTPc1xPgB+4G136nVzRFCNg=",
            ),
            (100, "demo", "jquNHnVOwmDRfw+vqTIrY5dooJAgi5EcRtLsQE4wfXg="),
            (
                1_599_360_473,
                "demo",
                "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=",
            ),
        ] {
            assert_eq!(feishu(secret, seconds), sign);
        }
    }
}
