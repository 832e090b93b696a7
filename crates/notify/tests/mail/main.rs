//! Mail against servers that keep to a script: what they refuse, how they break off, and how slow they can be.

#![expect(clippy::unwrap_used, reason = "what helps a test fails like a test")]

use ng_notify::message;

#[path = "../../src/test_support.rs"]
mod test_support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ng_config::{ChannelKind, Config, Port, Secret, SmtpTls};
use ng_notify::message::{Message, Outcome};
use ng_notify::{Receiver, Sent, When, send};

use crate::test_support::{AT, hostile, message, recovery, repeat};

/// Long enough for a busy machine; nothing waits this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Answers commands by a function of the command's line, and keeps what was said.
struct Script {
    address: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
}

/// What a command is answered with.
enum Say {
    /// A line.
    Line(&'static str),
    /// Nothing more: the connection stays open.
    Nothing,
    /// Bytes for ever, and never the end of a line.
    Drip,
    /// The connection is closed.
    Close,
}

use Say::{Close, Drip, Line, Nothing};

impl Script {
    /// `answer` gets the verb and the rest; `.` stands for the end of the mail, and the greeting is asked for by an
    /// empty verb.
    fn start(answer: impl Fn(&str, &str) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&said);
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                thread::spawn(move || {
                    // The client may go away at any time.
                    let _ = converse(&stream.unwrap(), &*answer, &shared);
                });
            }
        });
        Self { address, said }
    }

    /// Verbs in order, `.` for a mail.
    fn verbs(&self) -> Vec<String> {
        let said = self.said.lock().unwrap();
        let verb = |line: &String| line.split([' ', ':']).next().unwrap().to_owned();
        said.iter().map(verb).collect()
    }

    fn config(&self) -> Config {
        let mut config = Config::default();
        config.email.server = "127.0.0.1".parse().unwrap();
        config.email.port = Port::new(self.address.port()).unwrap();
        config.email.tls = SmtpTls::None;
        config.email.from = "alerts@example.com".parse().unwrap();
        config.email.to = vec!["ops@example.com".parse().unwrap()];
        config
    }
}

fn converse(
    stream: &std::net::TcpStream,
    answer: &(impl Fn(&str, &str) -> Say + ?Sized),
    said: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    let mut line = String::new();
    let mut in_mail = false;
    loop {
        let (verb, rest) = line
            .trim_end()
            .split_once(' ')
            .unwrap_or((line.trim_end(), ""));
        match answer(verb, rest) {
            Line(text) => writer.write_all(format!("{text}\r\n").as_bytes())?,
            Nothing => loop {
                thread::sleep(PATIENCE);
            },
            Drip => loop {
                writer.write_all(b"2")?;
                thread::sleep(Duration::from_millis(20));
            },
            Close => return Ok(()),
        }
        in_mail |= verb == "DATA";
        line.clear();
        while reader.read_line(&mut line)? > 0 && in_mail {
            if line == ".\r\n" {
                in_mail = false;
                break;
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        said.lock().unwrap().push(line.trim_end().to_owned());
    }
}

/// A server that takes everything.
fn kind(verb: &str) -> Say {
    match verb {
        "" => Line("220 mail.example.com"),
        "DATA" => Line("354 go on"),
        "QUIT" => Line("221 bye"),
        _ => Line("250 fine"),
    }
}

fn attempt(config: &Config, message: &Message, limit: Duration) -> Sent {
    let receiver = Receiver::of(ChannelKind::Email, config).unwrap();
    let when = When {
        now: AT,
        deadline: Instant::now() + limit,
    };
    send(&receiver, message, &when, &mut |_| ())
}

fn is_retry(sent: &Sent) -> bool {
    matches!(sent.outcome, Outcome::Retry { .. })
}

#[test]
fn a_mail_is_one_transaction() {
    let script = Script::start(|verb, _| kind(verb));
    for message in [message(), repeat(), recovery(), hostile(2, 2000)] {
        let sent = attempt(&script.config(), &message, PATIENCE);
        assert_eq!(sent.outcome, Outcome::Delivered);
    }
    let one = ["EHLO", "MAIL", "RCPT", "DATA", ".", "QUIT"];
    assert_eq!(script.verbs(), [one; 4].concat());
}

#[test]
fn a_refusal_means_what_its_code_says() {
    let table = [
        ("MAIL", "421 4.3.2 shutting down", Some(0)),
        ("MAIL", "450 4.7.1 greylisted", Some(300)),
        ("MAIL", "451 4.3.0 local error", Some(300)),
        ("MAIL", "452 4.3.1 disk full", Some(0)),
        ("MAIL", "530 5.7.0 login required", None),
        ("RCPT", "421 4.3.2 shutting down", Some(0)),
        ("RCPT", "450 4.2.1 greylisted", Some(300)),
        ("RCPT", "550 5.1.1 no such user", None),
        ("DATA", "451 4.3.0 try again", Some(300)),
        ("DATA", "554 5.5.1 no", None),
        (".", "452 4.3.1 disk full", Some(0)),
        (".", "552 5.3.4 too big", None),
        (".", "554 5.7.1 spam", None),
        ("", "554 no service", None),
        ("", "421 busy", Some(0)),
        ("EHLO", "502 what", None),
        (".", "what is this", Some(0)),
    ];
    for (at, line, expected) in table {
        let script = Script::start(move |verb, _| if verb == at { Line(line) } else { kind(verb) });
        let sent = attempt(&script.config(), &message(), PATIENCE);
        let found = match &sent.outcome {
            Outcome::Delivered => panic!("{at} {line}: delivered"),
            Outcome::Retry { after, .. } => Some(after.unwrap_or_default().as_secs()),
            Outcome::Permanent { .. } => None,
        };
        assert_eq!(found, expected, "{at} {line}: {sent:?}");
    }
}

#[test]
fn a_connection_that_breaks_can_be_made_again() {
    for at in ["", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        let script = Script::start(move |verb, _| if verb == at { Close } else { kind(verb) });
        let sent = attempt(&script.config(), &message(), PATIENCE);
        assert!(is_retry(&sent), "{at}: {sent:?}");
    }
    let script = Script::start(|verb, _| if verb == "QUIT" { Close } else { kind(verb) });
    let sent = attempt(&script.config(), &message(), PATIENCE);
    assert_eq!(sent.outcome, Outcome::Delivered, "the mail was taken");

    let gone = Script {
        // A port that no server of another test is handed meanwhile.
        address: ([127, 0, 0, 1], 1).into(),
        said: Arc::default(),
    };
    let sent = attempt(&gone.config(), &message(), PATIENCE);
    assert!(is_retry(&sent), "{sent:?}");
}

#[test]
fn a_server_that_is_slow_or_silent_ends_at_the_deadline() {
    let limit = Duration::from_millis(400);
    for at in ["", "EHLO", "RCPT", "."] {
        for drips in [false, true] {
            let script = Script::start(move |verb, _| match (verb == at, drips) {
                (true, true) => Drip,
                (true, false) => Nothing,
                (false, _) => kind(verb),
            });
            let start = Instant::now();
            let sent = attempt(&script.config(), &message(), limit);
            let took = start.elapsed();
            assert!(is_retry(&sent), "{at} {drips}: {sent:?}");
            assert!(
                took < limit + Duration::from_secs(5),
                "{at} {drips}: {took:?}"
            );
        }
    }
    // TLS from the first byte, to one who never speaks it.
    let script = Script::start(|_, _| Nothing);
    let mut config = script.config();
    config.email.tls = SmtpTls::Implicit;
    let sent = attempt(&config, &message(), limit);
    assert!(is_retry(&sent), "{sent:?}");
}

#[test]
fn a_login_goes_over_a_protected_connection_or_none() {
    let login = |config: &mut Config| {
        config.email.username = Some(Secret::new("alerts"));
        config.email.password = Some(Secret::new("hunter22"));
    };
    // Nothing is looked up or connected to: such a host does not exist.
    let mut config = Config::default();
    login(&mut config);
    config.email.server = "mail.example.invalid".parse().unwrap();
    config.email.tls = SmtpTls::None;
    config.email.to = vec!["ops@example.com".parse().unwrap()];
    let sent = attempt(&config, &message(), PATIENCE);
    assert_eq!(
        sent.outcome,
        Outcome::Permanent {
            reason: "the login is not sent over an unprotected connection: set email.useTLS or email.useSSL"
                .to_owned()
        }
    );
    // A server that offers no login is not told one.
    let script = Script::start(|verb, _| kind(verb));
    let mut config = script.config();
    login(&mut config);
    let sent = attempt(&config, &message(), PATIENCE);
    assert!(
        matches!(sent.outcome, Outcome::Permanent { .. }),
        "{sent:?}"
    );
    assert!(!script.verbs().contains(&"AUTH".to_owned()));
    // A refused one is not quoted.
    let script = Script::start(|verb, _| match verb {
        "EHLO" => Line("250 AUTH PLAIN LOGIN"),
        "AUTH" => Line("535 5.7.8 alerts/hunter22 is wrong"),
        _ => kind(verb),
    });
    let mut config = script.config();
    login(&mut config);
    let sent = attempt(&config, &message(), PATIENCE);
    let said = format!("{sent:?}");
    assert!(matches!(sent.outcome, Outcome::Permanent { .. }), "{said}");
    assert!(!said.contains("hunter22") && said.contains("***"), "{said}");
}

#[test]
fn many_recipients_are_several_transactions_and_bad_ones_are_left_out() {
    let script = Script::start(|verb, rest| match verb {
        "RCPT" if rest.contains("bad") => Line("550 5.1.1 no such user"),
        _ => kind(verb),
    });
    let mut config = script.config();
    config.email.to = (0..250)
        .map(|i| match i {
            // A whole transaction without anyone.
            100..200 => format!("bad{i}@example.com").parse().unwrap(),
            _ => format!("ops{i}@example.com").parse().unwrap(),
        })
        .collect();
    let sent = attempt(&config, &message(), PATIENCE);
    assert_eq!(sent.outcome, Outcome::Delivered);
    assert_eq!(sent.notes.len(), 100);
    let verbs = script.verbs();
    let count = |verb: &str| verbs.iter().filter(|other| *other == verb).count();
    assert_eq!(
        (count("MAIL"), count("RCPT"), count("."), count("RSET")),
        (3, 250, 2, 1)
    );
}
