//! The conversation with a mail server.
//!
//! Mail goes out in one transaction for all recipients, but not by lettre's own transport: that gives up the whole
//! mail when one recipient is refused.

use std::net::IpAddr;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use ng_config::SmtpTls;

use super::Addresses;
use crate::http::quote;
use crate::message::Outcome;
use crate::receiver::Mailbox;

/// Servers that greylist take a mail after some minutes, and count an earlier attempt against it.
const GREYLISTED: Duration = Duration::from_mins(5);
/// The recipients that every server takes in one transaction.
const MOST_RECIPIENTS: usize = 100;

/// Everything needed to send one mail, so that a thread of its own can.
pub(super) struct Job {
    host: String,
    port: u16,
    tls: SmtpTls,
    parameters: Option<TlsParameters>,
    login: Option<Credentials>,
    from: Address,
    to: Vec<Address>,
    letter: Vec<u8>,
    deadline: Instant,
}

/// What became of the recipients that the server did not take.
#[derive(Default)]
struct Refusals {
    for_good: Vec<String>,
    for_now: Vec<String>,
}

impl Job {
    /// Fails on what no server can mend.
    pub(super) fn new(
        mailbox: &Mailbox,
        ca_file: Option<&Path>,
        addresses: &Addresses,
        letter: Vec<u8>,
        deadline: Instant,
    ) -> Result<Self, Outcome> {
        let host = mailbox.server.as_str();
        let is_plain = mailbox.tls == SmtpTls::None;
        if is_plain && mailbox.login.is_some() && !is_loopback(host) {
            let problem = "the login is not sent over an unprotected connection";
            let reason = format!("{problem}: set email.useTLS or email.useSSL");
            return Err(Outcome::Permanent { reason });
        }
        let login = mailbox.login.as_ref().map(|(username, password)| {
            Credentials::new(username.expose().to_owned(), password.expose().to_owned())
        });
        Ok(Self {
            host: host.to_owned(),
            port: mailbox.port.number(),
            tls: mailbox.tls,
            parameters: if is_plain {
                None
            } else {
                // The file may be mounted later.
                Some(tls_parameters(host, ca_file).map_err(|reason| retry(reason, None))?)
            },
            login,
            from: addresses.from.email.clone(),
            to: addresses.to.iter().map(|to| to.email.clone()).collect(),
            letter,
            deadline,
        })
    }

    /// Sends the mail, and waits no longer than until the deadline.
    ///
    /// A read of lettre's ends only when a line is complete, so that a server that sends a byte now and then could
    /// hold it for ever. Its thread is left behind then, and ends with the connection or the process.
    pub(super) fn run(self, notes: &mut Vec<String>) -> Outcome {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let (sender, receiver) = mpsc::channel();
        let send = move || {
            // Nobody waits any more when this fails.
            let _ = sender.send(self.deliver());
        };
        if let Err(error) = thread::Builder::new().name("mail".to_owned()).spawn(send) {
            return retry(format!("no thread for the mail: {error}"), None);
        }
        match receiver.recv_timeout(left) {
            Ok(Ok(refusals)) => refusals.outcome(notes),
            Ok(Err(outcome)) => outcome,
            Err(_) => retry("the mail server did not answer in time".to_owned(), None),
        }
    }

    fn deliver(&self) -> Result<Refusals, Outcome> {
        let mut server = self.connect()?;
        let mut refusals = Refusals::default();
        let mut accepted = 0;
        for recipients in self.to.chunks(MOST_RECIPIENTS) {
            accepted += self.transaction(&mut server, recipients, &mut refusals)?;
        }
        // The mail is sent; a server that does not say goodbye changes nothing.
        let _ = self.arm(&mut server).map(|()| server.quit());
        if accepted == 0 {
            return Err(refusals.nobody());
        }
        Ok(refusals)
    }

    fn connect(&self) -> Result<SmtpConnection, Outcome> {
        let hello = ClientId::default();
        let at_once = self
            .parameters
            .as_ref()
            .filter(|_| self.tls == SmtpTls::Implicit);
        let address = (self.host.as_str(), self.port);
        let mut server =
            SmtpConnection::connect(address, Some(self.left()?), &hello, at_once, None)
                .map_err(|error| outcome("connection", &error))?;
        if let (SmtpTls::StartTls, Some(parameters)) = (self.tls, &self.parameters) {
            // After a handshake that failed, lettre says goodbye and waits for an answer that cannot come: part of
            // the time is left to say what was wrong.
            let part = self.left()? / 6;
            limit(&mut server, part)?;
            server
                .starttls(parameters, &hello)
                .map_err(|error| outcome("STARTTLS", &error))?;
        }
        if let Some(login) = &self.login {
            self.arm(&mut server)?;
            server
                .auth(&[Mechanism::Plain, Mechanism::Login], login)
                .map_err(|error| outcome("login", &error))?;
        }
        Ok(server)
    }

    /// One mail to some recipients, and how many of them the server took.
    fn transaction(
        &self,
        server: &mut SmtpConnection,
        recipients: &[Address],
        refusals: &mut Refusals,
    ) -> Result<usize, Outcome> {
        let international = server
            .server_info()
            .supports_feature(Extension::SmtpUtfEight);
        let addresses = recipients.iter().chain([&self.from]);
        let needs = |address: &Address| !AsRef::<str>::as_ref(address).is_ascii();
        let options = if international && addresses.clone().any(needs) {
            vec![MailParameter::SmtpUtfEight]
        } else {
            Vec::new()
        };
        self.arm(server)?;
        server
            .command(Mail::new(Some(self.from.clone()), options))
            .map_err(|error| outcome("MAIL", &error))?;
        let mut accepted = 0;
        for recipient in recipients {
            if needs(recipient) && !international {
                let reason = "the mail server takes ASCII addresses only";
                refusals.for_good.push(format!("{recipient}: {reason}"));
                continue;
            }
            self.arm(server)?;
            match server.command(Rcpt::new(recipient.clone(), Vec::new())) {
                Ok(_) => accepted += 1,
                Err(error) => refusals.add(recipient, &error)?,
            }
        }
        self.arm(server)?;
        if accepted == 0 {
            server
                .command(Rset)
                .map_err(|error| outcome("RSET", &error))?;
            return Ok(0);
        }
        server
            .command(Data)
            .map_err(|error| outcome("DATA", &error))?;
        self.arm(server)?;
        server
            .message(&self.letter)
            .map_err(|error| outcome("the mail", &error))?;
        Ok(accepted)
    }

    /// Lets the next command take no longer than the whole job may.
    fn arm(&self, server: &mut SmtpConnection) -> Result<(), Outcome> {
        limit(server, self.left()?)
    }

    fn left(&self) -> Result<Duration, Outcome> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(retry("no time left for the mail server".to_owned(), None));
        }
        Ok(left)
    }
}

impl Refusals {
    /// Takes a refusal down; what is not about the recipient ends the attempt.
    fn add(&mut self, recipient: &Address, error: &Error) -> Result<(), Outcome> {
        let said = format!("{recipient}: {}", quote(&error.to_string()));
        match error.status().map(u16::from) {
            // The server is closing down.
            None | Some(421) => return Err(outcome("RCPT", error)),
            Some(400..=499) => self.for_now.push(said),
            Some(_) => self.for_good.push(said),
        }
        Ok(())
    }

    /// What follows when some recipients have the mail.
    ///
    /// While a recipient can still get it, the mail goes to all of them again: its `Message-ID` is the same, so that
    /// those who have it see it once.
    fn outcome(self, notes: &mut Vec<String>) -> Outcome {
        notes.extend(self.for_good.iter().map(|said| format!("refused: {said}")));
        if self.for_now.is_empty() {
            return Outcome::Delivered;
        }
        let reason = format!("not yet taken: {}", some(&self.for_now));
        retry(reason, Some(GREYLISTED))
    }

    /// What follows when nobody has the mail.
    fn nobody(&self) -> Outcome {
        if self.for_now.is_empty() {
            let reason = format!("every recipient was refused: {}", some(&self.for_good));
            Outcome::Permanent { reason }
        } else {
            let reason = format!("not yet taken: {}", some(&self.for_now));
            retry(reason, Some(GREYLISTED))
        }
    }
}

/// The first few, and how many there are.
fn some(refusals: &[String]) -> String {
    const MOST: usize = 3;
    let shown = refusals.iter().take(MOST).map(String::as_str);
    let shown: Vec<&str> = shown.collect();
    match refusals.len().saturating_sub(MOST) {
        0 => shown.join("; "),
        more => format!("{}; … and {more} more", shown.join("; ")),
    }
}

fn limit(server: &mut SmtpConnection, time: Duration) -> Result<(), Outcome> {
    server
        .set_timeout(Some(time))
        .map_err(|error| retry(format!("connection: {error}"), None))
}

fn retry(reason: String, after: Option<Duration>) -> Outcome {
    Outcome::Retry { reason, after }
}

/// What a failure of a step means. Only the server's 5yz and our own mistakes are final: everything else, a broken
/// answer included, is a connection that may be whole the next time.
fn outcome(step: &str, error: &Error) -> Outcome {
    let reason = format!("{step}: {}", quote(&error.to_string()));
    if error.is_permanent() || error.is_client() {
        return Outcome::Permanent { reason };
    }
    let is_greylisted = matches!(error.status().map(u16::from), Some(450 | 451));
    retry(reason, is_greylisted.then_some(GREYLISTED))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Trusts the public authorities, and those in `ca_file`.
fn tls_parameters(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        let describe = |what: &str| format!("email.caFile {}: {what}", path.display());
        let pem = std::fs::read(path).map_err(|error| describe(&error.to_string()))?;
        if !pem.windows(11).any(|part| part == b"CERTIFICATE") {
            return Err(describe("no certificate in it"));
        }
        let certificate =
            Certificate::from_pem(&pem).map_err(|error| describe(&error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder
        .build()
        .map_err(|error| format!("email.caFile: {error}"))
}
