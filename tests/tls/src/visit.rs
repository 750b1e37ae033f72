//! What becomes of a connection to a server.

use std::fmt;

use embassy_futures::select::{Either, select};
use embedded_io_async::{Read, Write};
use mender::net::{Connector, Endpoint};
use mender::tls::{StreamError, TlsConnector, TlsError};

use crate::client::Seeded;
use crate::poll::{Polled, until_end};

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visit<E> {
    /// There was none.
    Refused(E),
    /// The connect waits for the server.
    Waits,
    /// These bytes came, and this end.
    Open(Vec<u8>, End),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The end of the stream, again and again.
    Closed,
    /// A read failed, and those behind it.
    Failed(StreamError),
    /// A write failed.
    Unwritten(StreamError),
    /// A read waits for the server.
    Waits,
    /// A read behind the end or behind an error gave something else: this.
    Unsteady(&'static str),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Closed => write!(f, "closed"),
            End::Failed(error) => write!(f, "{}", name(*error)),
            End::Unwritten(error) => write!(f, "write: {}", name(*error)),
            End::Waits => write!(f, "waits"),
            End::Unsteady(what) => write!(f, "unsteady: {what}"),
        }
    }
}

/// A short name of an error.
fn name(error: StreamError) -> String {
    match error {
        StreamError::Io(kind) => format!("io: {kind:?}"),
        StreamError::Truncated => "truncated".to_owned(),
        StreamError::Malformed => "malformed".to_owned(),
        StreamError::RecordTooLarge => "record too large".to_owned(),
        StreamError::Alert => "alert".to_owned(),
        StreamError::ClientCertificate => "client certificate".to_owned(),
        StreamError::Over => "over".to_owned(),
    }
}

/// Calls a server, asks, and reads until the end.
pub fn visit<C: Connector, const RX: usize>(
    connector: &TlsConnector<'_, C, Seeded, RX>,
    endpoint: Endpoint<'_>,
    question: &[u8],
) -> Visit<TlsError> {
    let mut so_far = Visit::Waits;
    let whole = async {
        let mut connection = match connector.connect(endpoint).await {
            Ok(connection) => connection,
            Err(error) => {
                so_far = Visit::Refused(error);
                return;
            }
        };
        so_far = Visit::Open(Vec::new(), End::Waits);
        let Visit::Open(received, end) = &mut so_far else {
            return;
        };
        let asked = match connection.write_all(question).await {
            Ok(()) => connection.flush().await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(()) => read_to_end(&mut connection, received, end).await,
            Err(error) => *end = End::Unwritten(error),
        }
    };
    // Where it waits for ever, what is known is what was known before.
    let _: Polled<()> = until_end(beside(connector, whole));
    so_far
}

/// Reads until the end, and then twice more: nothing may come behind it.
async fn read_to_end(connection: &mut impl Read<Error = StreamError>, received: &mut Vec<u8>, end: &mut End) {
    *end = End::Waits;
    let mut buffer = [0; 1000];
    let first = loop {
        match connection.read(&mut buffer).await {
            Ok(0) => break End::Closed,
            Ok(len) => received.extend(&buffer[..len]),
            Err(error) => break End::Failed(error),
        }
    };
    *end = End::Unsteady("it waits behind the end");
    for _ in 0..2 {
        *end = match (connection.read(&mut buffer).await, first) {
            (Ok(0), End::Closed) | (Err(_), End::Failed(_)) => continue,
            (Ok(0), _) => End::Unsteady("an end behind an error"),
            (Ok(_), _) => End::Unsteady("bytes behind the end"),
            (Err(_), _) => End::Unsteady("an error behind the end"),
        };
        return;
    }
    *end = first;
}

/// Does what connections need beside what is awaited of them.
pub async fn beside<C: Connector, F: Future>(connector: &C, future: F) -> F::Output {
    match select(future, connector.work()).await {
        Either::First(output) => output,
        Either::Second(never) => match never {},
    }
}
