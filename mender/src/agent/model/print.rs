//! What an agent's `Debug` text says of its future: the text, with times relative to now and without the random number.
//!
//! Deadlines and moments are counted in ticks, because the clock has nothing between them: see [`TICK`].

extern crate std;

use core::fmt::Write;
use std::string::String;
use std::vec::Vec;

use super::run::TICK;
use crate::agent::Agent;

/// Moments further back are all alike: every deadline that counts from one is over.
const LONG_AGO: u64 = 3;

/// Room for a text, used again and again.
#[derive(Default)]
pub(super) struct Print {
    text: String,
    print: Vec<u8>,
}

impl Print {
    pub(super) fn of(&mut self, agent: &Agent<'_>, now: u64) -> &[u8] {
        self.text.clear();
        write!(self.text, "{agent:?}").expect("a text has room");
        self.print.clear();
        let mut rest = self.text.as_str();
        // The configuration does not change.
        if let Some(at) = rest.find("}, random: ") {
            rest = &rest[at..];
        }
        while let Some(at) = rest.find(['D', 'I', 'r']) {
            let (before, here) = rest.split_at(at);
            self.print.extend_from_slice(before.as_bytes());
            if let Some(after) = here.strip_prefix("random: ") {
                rest = number(after).1;
            } else if let Some(after) = here.strip_prefix("Deadline { set: Instant(") {
                let (set, after) = number(after);
                let (wait, after) = number(after.strip_prefix("), wait: Millis(").expect("a deadline"));
                let left = wait.saturating_sub(now - set).div_ceil(TICK);
                self.print.extend_from_slice(&[b'D', u8::try_from(left).unwrap_or(u8::MAX)]);
                rest = after;
            } else if let Some(after) = here.strip_prefix("Instant(") {
                let (moment, after) = number(after);
                let age = ((now - moment) / TICK).min(LONG_AGO);
                self.print.extend_from_slice(&[b'I', age as u8]);
                rest = after;
            } else {
                self.print.extend_from_slice(&here.as_bytes()[..1]);
                rest = &here[1..];
            }
        }
        self.print.extend_from_slice(rest.as_bytes());
        &self.print
    }
}

/// The number at the front, and the rest.
fn number(text: &str) -> (u64, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.parse().expect("a number"), rest)
}
