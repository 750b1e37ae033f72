//! Makes the recordings: the connector against the server of `tests/tls`, without a network between them.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embedded_io_async::{ErrorType, Read, Write};
use mender::net::{Connector, Endpoint};
use mender::tls::{Roots, TlsConnector, TlsMemory};
use mender_tls_tests::chains::{self, Case};
use mender_tls_tests::peer::{Peer, Script};

use crate::case::{CHAINS, Chain, ENDPOINT};
use crate::numbers::Numbers;

/// A server, and what it has sent.
struct Tape {
    peer: Peer,
    sent: Vec<u8>,
}

struct Network(RefCell<Tape>);

struct Connection<'n>(&'n RefCell<Tape>);

impl Connector for &Network {
    type Connection<'c>
        = Connection<'c>
    where
        Self: 'c;
    type Error = Infallible;

    async fn connect<'c>(&'c self, _: Endpoint<'_>) -> Result<Connection<'c>, Infallible> {
        Ok(Connection(&self.0))
    }
}

impl ErrorType for Connection<'_> {
    type Error = Infallible;
}

impl Read for Connection<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        loop {
            {
                let mut tape = self.0.borrow_mut();
                let bytes = tape.peer.take(buffer.len());
                if !bytes.is_empty() || tape.peer.at_end() {
                    tape.sent.extend(&bytes);
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    return Ok(bytes.len());
                }
            }
            yield_now().await;
        }
    }
}

impl Write for Connection<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.0.borrow_mut().peer.receive(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What a server sends until the client has its connection.
fn record(case: &Case, script: Script) -> Vec<u8> {
    let network = Network(RefCell::new(Tape {
        peer: Peer::new(case.identity.clone(), script),
        sent: Vec::new(),
    }));
    let roots: Vec<&[u8]> = case.roots.iter().map(Vec::as_slice).collect();
    let mut memory: Box<TlsMemory> = Box::default();
    let connector = TlsConnector::new(&network, &mut memory, Numbers::new(), Roots::same(&roots)).expect("good roots");
    match pollster::block_on(select(connector.work(), connector.connect(ENDPOINT))) {
        Either::First(never) => match never {},
        Either::Second(connected) => drop(connected.expect("the chain is good")),
    }
    network.0.borrow_mut().sent.split_off(0)
}

/// Names of files, and what is to be in them.
fn recordings() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    let cases = [vec![chains::usual()], chains::accepted()].concat();
    let of = |Chain { name, file }: &Chain| {
        let case = cases
            .iter()
            .find(|case| case.name == *name)
            .expect("there is this chain");
        [
            ("root", case.roots[0].clone()),
            ("records", record(case, Script::right())),
            ("record", record(case, Script::in_one_record())),
        ]
        .map(|(kind, bytes)| (folder.join(format!("{file}.{kind}")), bytes))
    };
    CHAINS.iter().flat_map(of).collect()
}

/// Writes all files.
pub fn all() {
    for (path, bytes) in recordings() {
        println!("{} bytes in {}", bytes.len(), path.display());
        fs::write(path, bytes).expect("the folder can be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_what_the_client_gets_today() {
        for (path, bytes) in recordings() {
            assert!(
                fs::read(&path).ok() == Some(bytes),
                "{} is another one now: make it anew as main.rs says",
                path.display()
            );
        }
    }

    #[test]
    fn host_and_time_are_those_of_the_chains() {
        assert_eq!(crate::case::HOST, chains::HOST);
        assert_eq!(crate::case::NOW, mender_tls_tests::certificate::NOW);
    }
}
