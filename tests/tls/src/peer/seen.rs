//! What the client sent, record by record. Each record must be protected with the next nonce of the right key: so no nonce protects
//! two of them. Of a record that was sent in part, that part is looked at too ([`Log::tail`]).

use super::LONGEST;
use super::schedule::{Traffic, finished};

/// What protects a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing.
    Plain,
    /// The handshake's keys.
    Handshake,
    /// Those of application data.
    Application,
}

/// A record of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What protects it.
    pub level: Level,
    /// Its number with these keys.
    pub sequence: u64,
    /// Its true content type.
    pub kind: u8,
    /// Its content.
    pub content: Vec<u8>,
}

/// What no client may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A record that no key opens with its next number.
    Undecipherable(Level, u64),
    /// A record with a number that was there before.
    NonceTwice(Level, u64),
    /// A head that no record has, at this level.
    Head([u8; 5]),
    /// A ChangeCipherSpec that is none.
    ChangeCipherSpec(Vec<u8>),
    /// A record behind the client's fatal alert or close_notify.
    AfterEnd,
    /// A hello that no server takes.
    Hello(&'static str),
    /// A Finished that does not fit.
    Finished,
}

/// All records of a client.
#[derive(Default)]
pub struct Log {
    buffer: Vec<u8>,
    handshake: Option<Traffic>,
    application: Option<Traffic>,
    is_finished: bool,
    is_ended: bool,
    seen: Vec<Seen>,
    fault: Option<Fault>,
}

impl Log {
    /// Takes bytes of the client.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
    }

    /// The next record, if it is complete. Nothing comes behind a fault.
    pub fn next_record(&mut self) -> Option<Seen> {
        if self.fault.is_some() {
            return None;
        }
        let head = *self.buffer.first_chunk::<5>()?;
        let [kind, 3, minor, high, low] = head else {
            return self.give_up(Fault::Head(head));
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        let is_hello = kind == 22 && self.seen.is_empty();
        if !matches!(kind, 20..=23) || len > LONGEST + 256 || (minor != 3 && !(is_hello && minor == 1)) {
            return self.give_up(Fault::Head(head));
        }
        if self.buffer.len() < 5 + len {
            return None;
        }
        let record: Vec<u8> = self.buffer.drain(..5 + len).collect();
        if self.is_ended {
            return self.give_up(Fault::AfterEnd);
        }
        let seen = match kind {
            23 => self.open(&record)?,
            20 if record[5..] != [1] => return self.give_up(Fault::ChangeCipherSpec(record[5..].to_vec())),
            _ => Seen {
                level: Level::Plain,
                sequence: 0,
                kind,
                content: record[5..].to_vec(),
            },
        };
        if (seen.kind, seen.level) == (22, Level::Plain) && self.seen.iter().any(|seen| seen.level != Level::Plain) {
            return self.give_up(Fault::Head(head));
        }
        self.is_ended = seen.kind == 21;
        self.seen.push(seen.clone());
        Some(seen)
    }

    fn level(&self) -> Level {
        match (&self.handshake, self.is_finished) {
            (None, _) => Level::Plain,
            (Some(_), false) => Level::Handshake,
            (Some(_), true) => Level::Application,
        }
    }

    fn traffic(&self, level: Level) -> Option<&Traffic> {
        match level {
            Level::Plain => None,
            Level::Handshake => self.handshake.as_ref(),
            Level::Application => self.application.as_ref(),
        }
    }

    fn open(&mut self, record: &[u8]) -> Option<Seen> {
        let level = self.level();
        let sequence = self.traffic(level).map_or(0, |keys| keys.sequence);
        let Some(plaintext) = self.traffic(level).and_then(|keys| keys.open(sequence, record)) else {
            let fault = self.again(record).unwrap_or(Fault::Undecipherable(level, sequence));
            return self.give_up(fault);
        };
        match level {
            Level::Handshake => self.handshake.as_mut(),
            Level::Plain | Level::Application => self.application.as_mut(),
        }?
        .sequence += 1;
        let Some(end) = plaintext.iter().rposition(|byte| *byte != 0) else {
            return self.give_up(Fault::Undecipherable(level, sequence));
        };
        Some(Seen {
            level,
            sequence,
            kind: plaintext[end],
            content: plaintext[..end].to_vec(),
        })
    }

    /// Whether a record has a nonce that was used before.
    fn again(&self, record: &[u8]) -> Option<Fault> {
        [Level::Handshake, Level::Application].into_iter().find_map(|level| {
            let keys = self.traffic(level)?;
            let sequence = (0..keys.sequence).find(|sequence| keys.open(*sequence, record).is_some())?;
            Some(Fault::NonceTwice(level, sequence))
        })
    }

    fn give_up(&mut self, fault: Fault) -> Option<Seen> {
        self.blame(fault);
        None
    }

    /// Notes what the client did wrong.
    pub fn blame(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// Gives the client's keys of a level.
    pub fn keys(&mut self, level: Level, keys: Traffic) {
        match level {
            Level::Plain => {}
            Level::Handshake => self.handshake = Some(keys),
            Level::Application => self.application = Some(keys),
        }
    }

    /// What the client's Finished must hold.
    pub fn finished(&self, transcript: &[u8; 32]) -> Option<Vec<u8>> {
        let keys = self.handshake.as_ref()?;
        Some(finished(&keys.finished_key(), transcript).to_vec())
    }

    /// The client's handshake is done.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// The records.
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// The first fault.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Whether bytes of an incomplete record are there.
    pub fn has_tail(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The content of an incomplete record, as far as it came, with what follows it there: its bytes cannot be verified, but who adds
    /// others behind them, or protects another content with the same nonce, is found out by what they are.
    pub fn tail(&self) -> Vec<u8> {
        let Some(body) = self.buffer.get(5..) else {
            return Vec::new();
        };
        let level = self.level();
        let stream = self.traffic(level).map(|keys| keys.stream(keys.sequence, body.len()));
        let stream = stream.unwrap_or_else(|| vec![0; body.len()]);
        body.iter().zip(stream).map(|(byte, with)| byte ^ with).collect()
    }

    /// The same without content type and tag, what protects it, and the content type if it has come.
    pub fn unfinished(&self) -> Option<(Level, Vec<u8>, Option<u8>)> {
        let [_, _, _, high, low] = *self.buffer.first_chunk::<5>()?;
        let len = usize::from(u16::from_be_bytes([high, low])).saturating_sub(17);
        let mut content = self.tail();
        let kind = content.get(len).copied();
        content.truncate(len);
        Some((self.level(), content, kind))
    }
}
