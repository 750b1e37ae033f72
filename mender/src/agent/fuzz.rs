//! For the fuzzer: what has no public door. Bytes in; out comes what must be the same however the bytes come.
//!
//! Only with the feature `__fuzz`, and no part of the public interface.

use super::answer::{Answer, Polled};
use super::journal::{self, Journal};
use super::memory::Memory;
use super::message::Call;
use super::records;
use crate::api::auth::AuthRefused;
use crate::api::next::NextError;
use crate::api::status::DeploymentStatus;
use crate::deployment::record::DeploymentNumber;
use crate::net::Url;
use crate::net::http::HttpError;
use crate::net::url;
use crate::storage::LogSlot;

/// What was asked, which decides what is read of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A token.
    Token,
    /// A deployment.
    Deployment,
    /// Nothing but the status.
    Status,
}

/// What the client makes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// As `Answer::push` returned it last: whether the connection can be used again.
    pub end: Result<Option<bool>, HttpError>,
    /// The status, as it came.
    pub code: u16,
    /// The status that counts.
    pub status: u16,
    /// The wait that `Retry-After` asks for.
    pub retry_after: Option<core::time::Duration>,
    /// Length of `Location`, if it is to be followed.
    pub location: Option<usize>,
    /// The token's length.
    pub token: Result<u16, AuthRefused>,
    /// The link's length.
    pub link: Result<Option<u16>, NextError>,
    /// The deployment's id.
    pub id: super::answer::DeploymentId,
    /// Bytes that were taken.
    pub taken: usize,
}

/// Memory for what is kept of an answer.
pub struct Lent<'m> {
    /// For the token.
    pub token: &'m mut [u8],
    /// For the link, or a `Location`.
    pub link: &'m mut [u8],
    /// For the artifact's name.
    pub spare: &'m mut [u8],
}

/// Reads an answer that comes in pieces of these lengths, at most 256 bytes each; then the connection ends.
pub fn answer(asked: Asked, stream: &[u8], pieces: impl Iterator<Item = usize>, lent: Lent<'_>) -> Outcome {
    let mut window = [0; 256];
    let room = lent.token.len();
    let mut memory = Memory {
        token: lent.token,
        link: lent.link,
        link_len: 0,
        window: &mut window,
        front: &mut [],
        installed_len: 0,
        spare: lent.spare,
        block: &mut [],
    };
    let mut answer = Answer::new();
    answer.begin(match asked {
        Asked::Token => Call::Login,
        Asked::Deployment => Call::PollV2,
        Asked::Status => Call::Status(DeploymentStatus::Installing),
    });
    let mut rest = stream;
    let mut end = Ok(None);
    for len in pieces {
        let (piece, after) = rest.split_at(len.clamp(1, memory.window.len()).min(rest.len()));
        rest = after;
        for (place, byte) in memory.window.iter_mut().zip(piece) {
            *place = *byte;
        }
        end = answer.push(piece.len(), &mut memory);
        if end != Ok(None) || piece.is_empty() {
            break;
        }
    }
    Outcome {
        end,
        code: answer.code(),
        status: answer.status(),
        retry_after: Some(answer.retry_after())
            .filter(|wait| !wait.is_zero())
            .map(|wait| wait.as_duration()),
        location: answer.location(),
        token: answer.token(room),
        link: answer.polled().map(|polled| match polled {
            Polled::Nothing => None,
            Polled::Offer { link_len } => Some(link_len),
        }),
        id: answer.id.clone(),
        taken: stream.len() - rest.len(),
    }
}

/// Resolves a `Location` behind the URL that was asked; the length of the new one, which is at the front then.
pub fn redirect(buffer: &mut [u8], base_len: usize, location_len: usize, server: &Url<'_>) -> Option<usize> {
    url::redirect(buffer, base_len, location_len, server)
}

/// The installed record that a deployment record of `len` bytes becomes, in its place; its length.
pub fn commit(record: &mut [u8], len: usize, number: DeploymentNumber) -> Option<usize> {
    records::commit(record, len, number).ok()
}

/// An installed record of `len` bytes with its artifact name marked as inconsistent; its length.
pub fn mark(record: &mut [u8], len: usize, number: DeploymentNumber) -> Option<usize> {
    records::mark(record, len, number, "default").ok()
}

/// The slots of the entries of this deployment's log, if these are the records of all slots; each entry's text is handed out.
pub fn log(number: DeploymentNumber, records: &[&[u8]], mut text: impl FnMut(LogSlot, &str)) {
    let mut journal = Journal::new();
    journal.begin(number);
    records.iter().for_each(|record| journal.seen(record));
    let (from, to) = journal.kept();
    for seq in from..to {
        let slot = journal::slot(seq);
        let record = records.get(usize::from(slot.index()));
        if let Some(entry) = record.and_then(|record| journal.entry(seq, record)) {
            text(slot, entry.text);
        }
    }
}
