//! The connector under test, with what it needs.

use std::cell::RefCell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use mender::net::{Connector, Endpoint, Peer as Role, Security};
use mender::tls::{Refusal, Roots, TlsConnector, TlsError, TlsMemory};
use rand_core::{TryCryptoRng, TryRng};

use crate::chains::Case;
use crate::line::{Manner, Network};
use crate::peer::{Peer, Script};
use crate::visit::{Visit, visit};

/// What the client says first.
pub const QUESTION: &[u8] = b"a question";

/// Random numbers that are the same each time: SplitMix64.
#[derive(Clone, Debug)]
pub struct Seeded(pub u64);

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|number| number as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ mixed >> 31)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for part in bytes.chunks_mut(8) {
            let number = self.try_next_u64()?.to_le_bytes();
            part.iter_mut().zip(number).for_each(|(place, byte)| *place = byte);
        }
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

/// The connector.
pub type Client<'a, C> = TlsConnector<'a, C, Seeded>;

/// Makes a connector that trusts what the case says.
///
/// # Panics
///
/// If a root is none.
pub fn with<C: Connector, R>(plain: C, case: &Case, run: impl FnOnce(&Client<'_, C>) -> R) -> R {
    let roots: Vec<&[u8]> = case.roots.iter().map(Vec::as_slice).collect();
    let mut memory = Box::new(TlsMemory::new());
    let client = TlsConnector::new(plain, &mut memory, Seeded(1), Roots::same(&roots));
    run(&client.expect("the roots are certificates"))
}

/// Where the case wants to connect to.
pub fn endpoint(case: &Case) -> Endpoint<'_> {
    Endpoint {
        host: case.host,
        port: 443,
        security: Security::Tls,
        peer: Role::Server,
        unix_time: Some(Duration::from_secs(case.now)),
    }
}

/// What became of a visit to a server, and the server.
///
/// # Panics
///
/// If it is not called at all.
pub fn visit_peer(case: &Case, script: Script, manner: Manner) -> (Visit<TlsError>, Peer) {
    let peer = Peer::new(case.identity.clone(), script);
    let network = Network::new(manner, [peer]);
    let visit = with(&network, case, |client| visit(client, endpoint(case), QUESTION));
    let wire = network.wires().pop().expect("it was called");
    (visit, wire.peer)
}

/// What became of a visit, in a line.
pub fn line(visit: &Visit<TlsError>) -> String {
    match visit {
        Visit::Refused(error) => name(error),
        Visit::Waits => "waits".to_owned(),
        Visit::Open(bytes, end) if bytes.is_empty() => format!("open, {end}"),
        Visit::Open(bytes, end) => format!("open, {}, {end}", String::from_utf8_lossy(bytes).trim_end()),
    }
}

/// The same of a visit to a server, with panics, and what the client did that no client may.
pub fn outcome(case: &Case, script: Script, manner: Manner) -> String {
    let fault = RefCell::new(String::new());
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let (visit, peer) = visit_peer(case, script, manner);
        if let Some(found) = peer.fault() {
            *fault.borrow_mut() = format!("; the client's fault: {found:?}");
        }
        line(&visit)
    }));
    caught.unwrap_or_else(|_| "panic".to_owned()) + &fault.borrow()
}

/// A short name of an error.
pub fn name(error: &TlsError) -> String {
    match error {
        TlsError::Host => "host".to_owned(),
        TlsError::Connect => "connect".to_owned(),
        TlsError::NotDriven => "not driven".to_owned(),
        TlsError::NoTime => "no time".to_owned(),
        TlsError::Refused(refusal) => format!("refused: {}", reason(refusal)),
        TlsError::Version => "version".to_owned(),
        TlsError::NothingInCommon => "nothing in common".to_owned(),
        TlsError::RecordTooLarge => "record too large".to_owned(),
        TlsError::Alert(number) => format!("alert {number}"),
        TlsError::Split => "split".to_owned(),
        TlsError::Malformed => "malformed".to_owned(),
        TlsError::Io(kind) => format!("io: {kind:?}"),
    }
}

fn reason(refusal: &Refusal) -> String {
    match refusal {
        Refusal::UnknownRoot { issuer } => format!("unknown root {issuer}"),
        Refusal::Expired { certificate, until, .. } => format!("{certificate} expired at {until}"),
        Refusal::NotYetValid { certificate, from, .. } => format!("{certificate} not valid before {from}"),
        Refusal::WrongHost { names } if names.is_empty() => "it has no name".to_owned(),
        Refusal::WrongHost { names } => format!("it is {names}"),
        Refusal::WrongUse => "wrong use".to_owned(),
        Refusal::Malformed => "malformed".to_owned(),
        Refusal::Unsupported => "unsupported".to_owned(),
        Refusal::TooLong => "too long".to_owned(),
        Refusal::NoCertificate => "no certificate".to_owned(),
        Refusal::Unproved => "unproved".to_owned(),
    }
}
