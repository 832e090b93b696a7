//! Mail: the letter is built in `letter`, and sent in `smtp`.

mod letter;
mod smtp;

use std::path::Path;

use lettre::message::Mailbox as Address;

pub(crate) use letter::text as letter_text;

use crate::message::{Message, Outcome};
use crate::receiver::Mailbox;
use crate::send::When;
use crate::text::one_line;

/// Sends one mail to all recipients; what is noted concerns some of them only.
pub(crate) fn send(
    mailbox: &Mailbox,
    ca_file: Option<&Path>,
    message: &Message,
    when: &When,
) -> (Outcome, Vec<String>) {
    let mut notes = Vec::new();
    let outcome = match Addresses::of(mailbox, &mut notes) {
        Err(reason) => Outcome::Permanent { reason },
        Ok(addresses) => match letter::build(&addresses, message, when.now) {
            Err(reason) => Outcome::Permanent { reason },
            Ok(letter) => smtp::Job::new(mailbox, ca_file, &addresses, letter, when.deadline)
                .map_or_else(|outcome| outcome, |job| job.run(&mut notes)),
        },
    };
    (outcome, notes)
}

/// The mail as it goes over the wire.
#[cfg(test)]
pub(crate) fn letter(
    mailbox: &Mailbox,
    message: &Message,
    now: ng_engine::time::Time,
) -> Result<Vec<u8>, String> {
    letter::build(&Addresses::of(mailbox, &mut Vec::new())?, message, now)
}

/// Who writes, and who is written to.
struct Addresses {
    from: Address,
    to: Vec<Address>,
}

impl Addresses {
    /// Leaves out recipients that are no addresses after all.
    fn of(mailbox: &Mailbox, notes: &mut Vec<String>) -> Result<Self, String> {
        let from =
            address(mailbox.from.as_str()).map_err(|error| format!("email.from: {error}"))?;
        let mut to = Vec::with_capacity(mailbox.to.len());
        for recipient in &mailbox.to {
            match address(recipient.as_str()) {
                Ok(address) => to.push(address),
                Err(error) => notes.push(format!("email.to: {error}")),
            }
        }
        if to.is_empty() {
            return Err("email.to: no recipient has a usable address".to_owned());
        }
        Ok(Self { from, to })
    }
}

fn address(text: &str) -> Result<Address, String> {
    if text.contains(char::is_control) {
        return Err(format!("{:?} has control characters", one_line(text)));
    }
    text.parse()
        .map_err(|error| format!("{text:?} cannot be used: {error}"))
}
