//! What an agent's `Debug` text says of its future: times relative to now, and without what nobody looks at again. Two agents with
//! the same print do the same.
//!
//! What is not found in the text is not left out: then more runs are different, and that is all.

extern crate std;

use core::fmt::Write;
use std::string::String;
use std::vec::Vec;

use super::run::TICK;
use super::world::KEPT_ENTRIES;
use crate::agent::Agent;

/// Moments further back are all alike: every deadline that counts from one is over.
const LONG_AGO: u64 = 3;

/// Where the machine is when the server has its verdict.
const AFTER_VERDICT: [&str; 3] = ["step: UploadLog", "step: StoreIdle", "step: End"];

/// Room for a text, used again and again.
#[derive(Default)]
pub(super) struct Print {
    text: String,
    print: Vec<u8>,
}

/// Which memory is looked at again.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    /// A log, an inventory or a name.
    pub(super) spare: bool,
    /// A record.
    pub(super) block: bool,
}

impl Print {
    /// What the agent printed last needs of its memory.
    pub(super) fn needs(&self) -> Needs {
        let has = |text: &str| self.text.contains(text);
        let is_exchanging = !has("session: Session { state: Idle,") && (has("call: Log {") || has("call: Inventory {"));
        let is_record_due =
            has("stage: Write") || has("stage: Log(") || has("step: Mark(") || has("(Deployment, Write(");
        Needs {
            spare: is_exchanging || has("stage: ReadLog") || has("stage: SendLog") || has("news: Some(Offered)"),
            block: is_record_due || (has("record_len: ") && !has("record_len: 0,")),
        }
    }

    pub(super) fn of(&mut self, agent: &Agent<'_>, now: u64) -> &[u8] {
        self.text.clear();
        write!(self.text, "{agent:?}").expect("a text has room");
        self.print.clear();
        let mut rest = self.text.as_str();
        if let Some((before, behind)) = rest.split_once(", random: ") {
            write_part(before, now, &mut self.print);
            rest = number(behind).1;
        }
        // The configuration does not change.
        if let Some((before, (_, behind))) = rest
            .split_once(", setup: ")
            .and_then(|(before, setup)| Some((before, setup.split_once("}, updates: ")?)))
        {
            write_part(before, now, &mut self.print);
            rest = behind;
        }
        // Whether the inventory is sent whole: it has no attributes here, and nothing else follows from it.
        if let Some((before, behind)) = rest.split_once("Inventory { method: ") {
            write_part(before, now, &mut self.print);
            rest = behind.trim_start_matches(char::is_alphabetic);
        }
        if let Some((before, (session, behind))) = rest
            .split_once(", session: ")
            .and_then(|(before, session)| Some((before, session.split_once("}, deployment: ")?)))
        {
            write_part(before, now, &mut self.print);
            for part in live(session) {
                write_part(part, now, &mut self.print);
            }
            rest = behind;
        }
        // When the gate was reached is of no matter elsewhere; nor how often a verdict may be refused that the server has.
        if !rest.contains("step: CommitGate")
            && let Some((before, gate)) = rest.split_once("gate: ")
            && let Some((_, behind)) = gate.split_once(", next_try")
        {
            write_part(before, now, &mut self.print);
            rest = behind;
        }
        if AFTER_VERDICT.iter().any(|step| self.text.contains(step))
            && let Some((before, behind)) = rest.split_once("refusals_left: ")
        {
            write_part(before, now, &mut self.print);
            rest = number(behind).1;
        }
        write_part(rest, now, &mut self.print);
        &self.print
    }
}

/// The parts of a session's text that matter: between exchanges what it knows of network and token; in one everything, but not
/// the answer, which comes in one piece and is read at once.
fn live(session: &str) -> [&str; 3] {
    let between = |from: &str, to: &str| {
        let at = session.find(from)?;
        let len = session[at..].find(to)?;
        Some(&session[at..at + len])
    };
    let is_in = |state: &str| session.starts_with("Session { state: ") && session.contains(state);
    if is_in("state: Idle,") {
        let authorized = between("authorized: ", ", tries_left");
        let network = between("network: ", ", reused");
        let token = between("token_len: ", ", signature");
        if let (Some(authorized), Some(network), Some(token)) = (authorized, network, token) {
            return [authorized, network, token];
        }
    }
    let exchange = session
        .split_once(", answer: ")
        .map_or(session, |(exchange, _)| exchange);
    [exchange, "", ""]
}

/// Deadlines and moments are counted in ticks, because the clock has nothing between them: see [`TICK`].
fn write_part(mut rest: &str, now: u64, print: &mut Vec<u8>) {
    while let Some(at) = rest.find(['D', 'I', 'S', 'n']) {
        let (before, here) = rest.split_at(at);
        print.extend_from_slice(before.as_bytes());
        if let Some(behind) = here.strip_prefix("next: Millis(") {
            // A backoff. However long its next pause is, it is over at the next tick.
            rest = number(behind).1;
        } else if let Some(behind) = here.strip_prefix("Sleep(Millis(") {
            // What was asked for last, and has passed. With its jitter it would make worlds different that are not.
            rest = number(behind).1;
        } else if let Some(behind) = here.strip_prefix("next: ")
            && behind.starts_with(|c: char| c.is_ascii_digit())
        {
            // The log's number of entries; one more changes nothing.
            let (entries, behind) = number(behind);
            print.push(entries.min(KEPT_ENTRIES as u64) as u8);
            rest = behind;
        } else if let Some(behind) = here.strip_prefix("Deadline { set: Instant(") {
            let (set, behind) = number(behind);
            let (wait, behind) = number(behind.strip_prefix("), wait: Millis(").expect("a deadline"));
            let left = wait.saturating_sub(now - set).div_ceil(TICK);
            print.extend_from_slice(&[b'D', u8::try_from(left).unwrap_or(u8::MAX)]);
            rest = behind;
        } else if let Some(behind) = here.strip_prefix("Instant(") {
            let (moment, behind) = number(behind);
            let age = ((now - moment) / TICK).min(LONG_AGO);
            print.extend_from_slice(&[b'I', age as u8]);
            rest = behind;
        } else {
            print.extend_from_slice(&here.as_bytes()[..1]);
            rest = &here[1..];
        }
    }
    print.extend_from_slice(rest.as_bytes());
}

/// The number at the front, and the rest.
fn number(text: &str) -> (u64, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.parse().expect("a number"), rest)
}
