//! What the client gets: an open stream, which asks the work for one operation after the other.

use core::cell::RefCell;

use embedded_io_async::{Error, ErrorType, Read, Write};

use super::error::StreamError;
use super::memory::{Door, Operation, State, stream_until};

/// An open connection, encrypted or, for an [`Endpoint`](crate::net::Endpoint) that wants it so, plain.
///
/// Dropping it closes it. If nothing was under way the server is told (`close_notify`), as far as the plain connection takes that
/// at once.
///
/// # Cancellation
///
/// Its futures may be dropped at any time: what was begun is brought to its end by the work. Bytes that it reads are kept
/// for the next read.
#[derive(Debug)]
pub struct TlsStream<'c, P>(pub(super) Kind<'c, P>);

#[derive(Debug)]
pub(super) enum Kind<'c, P> {
    Plain(P),
    Tls(Tls<'c>),
}

/// A place in use.
#[derive(Debug)]
pub(super) struct Tls<'c> {
    pub(super) door: &'c RefCell<Door>,
}

impl Tls<'_> {
    /// Has an operation done, if there is still a need for it when nothing else is under way.
    async fn operate(
        &self,
        operation: Operation,
        mut prepare: impl FnMut(&mut Door) -> bool,
    ) -> Result<usize, StreamError> {
        let begun = stream_until(self.door, |door| {
            match door.state {
                State::Idle => {}
                // Of a future that was dropped. Its bytes are where they belong; what it wrote was written.
                State::Done(Ok(_)) => door.state = State::Idle,
                State::Done(Err(error)) => return Some(Err(error)),
                State::Asked(_) => return None,
                // Not of a stream that is open.
                State::Free | State::Connect | State::Failed(_) | State::Close | State::Abort => {
                    return Some(Err(StreamError::Over));
                }
            }
            let is_needed = prepare(door);
            if is_needed {
                door.set(State::Asked(operation));
            }
            Some(Ok(is_needed))
        });
        if !begun.await? {
            return Ok(0);
        }
        let done = stream_until(self.door, |door| {
            let State::Done(result) = door.state else {
                return None;
            };
            if result.is_ok() {
                door.state = State::Idle;
            }
            Some(result)
        });
        done.await
    }
}

impl Drop for Tls<'_> {
    fn drop(&mut self) {
        let mut door = self.door.borrow_mut();
        let next = match door.state {
            State::Idle | State::Done(Ok(_)) => State::Close,
            State::Free
            | State::Connect
            | State::Failed(_)
            | State::Asked(_)
            | State::Done(Err(_))
            | State::Close
            | State::Abort => State::Abort,
        };
        door.set(next);
    }
}

impl<P> ErrorType for TlsStream<'_, P> {
    type Error = StreamError;
}

impl<P: Read> Read for TlsStream<'_, P> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        let tls = match &mut self.0 {
            Kind::Plain(plain) => return plain.read(buffer).await.map_err(|error| StreamError::Io(error.kind())),
            Kind::Tls(tls) => tls,
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        tls.operate(Operation::Read, |door| door.read_at == door.read_len)
            .await?;
        let mut door = tls.door.borrow_mut();
        let bytes = door.read.get(door.read_at..door.read_len).unwrap_or(&[]);
        let len = bytes.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(bytes) {
            *place = *byte;
        }
        door.read_at += len;
        Ok(len)
    }
}

impl<P: Write> Write for TlsStream<'_, P> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        let tls = match &mut self.0 {
            Kind::Plain(plain) => return plain.write(bytes).await.map_err(|error| StreamError::Io(error.kind())),
            Kind::Tls(tls) => tls,
        };
        if bytes.is_empty() {
            return Ok(0);
        }
        tls.operate(Operation::Write, |door| {
            door.write_len = bytes.len().min(door.write.len());
            for (place, byte) in door.write.iter_mut().zip(bytes) {
                *place = *byte;
            }
            true
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), StreamError> {
        match &mut self.0 {
            Kind::Plain(plain) => plain.flush().await.map_err(|error| StreamError::Io(error.kind())),
            Kind::Tls(tls) => tls.operate(Operation::Flush, |_| true).await.map(|_| ()),
        }
    }
}
