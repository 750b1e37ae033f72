//! Futures that are dropped at any poll: no nonce protects two records, nothing is sent that nobody wrote, and the connector serves the next
//! connection as if nothing had been.

use embedded_io_async::{Read, Write};
use mender::net::Connector;
use mender_tls_tests::chains::{Case, accepted};
use mender_tls_tests::client::{self, Client, endpoint};
use mender_tls_tests::line::{Manner, Network};
use mender_tls_tests::peer::{Level, Peer, Script};
use mender_tls_tests::poll::{Polled, at_most, given_up, let_others, until_end};
use mender_tls_tests::visit::beside;

/// More than a record of the client, less than two.
const FIRST: usize = 1200;
const SECOND: &[u8] = b"and another one";

fn case() -> Case {
    accepted()
        .into_iter()
        .find(|case| case.name == "no intermediate")
        .unwrap()
}

fn first() -> Vec<u8> {
    (0..FIRST).map(|at| at as u8).collect()
}

/// What is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    Connect,
    Write,
    Flush,
    Read,
    /// Nothing but the connection.
    Connection,
}

/// What comes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Drop,
    GoOn,
}

/// One connection of which something is dropped behind so many polls. Says what was written for certain, what may have been, and whether
/// the operation came to its end.
async fn one<C: Connector>(
    connector: &C,
    case: &Case,
    what: Dropped,
    then: Then,
    polls: usize,
) -> (Vec<Vec<u8>>, bool) {
    let given = |of| if what == of { polls } else { usize::MAX };
    let connected = given_up(given(Dropped::Connect), connector.connect(endpoint(case))).await;
    let Some(connected) = connected else {
        return (vec![Vec::new()], false);
    };
    let mut connection = connected.unwrap();
    if what == Dropped::Connect || what == Dropped::Connection {
        let_others(polls).await;
        drop(connection);
        return (vec![Vec::new()], what == Dropped::Connect || polls > 20);
    }
    let bytes = first();
    let written = given_up(given(Dropped::Write), connection.write_all(&bytes)).await;
    // Of a write that was dropped any part may have been written.
    let mut all: Vec<Vec<u8>> = match written {
        Some(_) => vec![bytes.clone()],
        None => (0..=FIRST).map(|len| bytes[..len].to_vec()).collect(),
    };
    let mut is_done = written.is_some();
    if what != Dropped::Write {
        is_done = given_up(given(Dropped::Flush), connection.flush()).await.is_some();
        if what == Dropped::Read {
            let mut buffer = [0; 100];
            let read = given_up(polls, connection.read(&mut buffer)).await;
            if let Some(len) = &read {
                assert_eq!(buffer[..*len.as_ref().unwrap()], bytes[..*len.as_ref().unwrap()]);
            }
            is_done = read.is_some();
        }
    }
    if then == Then::GoOn {
        connection.write_all(SECOND).await.unwrap();
        connection.flush().await.unwrap();
        all.iter_mut().for_each(|bytes| bytes.extend(SECOND));
        // What was sent comes back, whole and in its order.
        let mut received = Vec::new();
        let mut buffer = [0; 300];
        while !received.ends_with(SECOND) {
            let len = connection.read(&mut buffer).await.unwrap();
            assert_ne!(len, 0);
            received.extend(&buffer[..len]);
        }
        // What the read that was dropped had taken is not lost.
        let is_whole = all.contains(&received);
        let is_rest = what == Dropped::Read && is_done && all.iter().any(|bytes| bytes[100..] == received);
        assert!(
            is_whole || is_rest,
            "{what:?} behind {polls}: {} bytes came back",
            received.len()
        );
    }
    drop(connection);
    (all, is_done)
}

/// A whole conversation.
async fn converse<C: Connector>(connector: &C, case: &Case) {
    let mut connection = connector.connect(endpoint(case)).await.unwrap();
    connection.write_all(SECOND).await.unwrap();
    connection.flush().await.unwrap();
    let mut buffer = [0; SECOND.len()];
    connection
        .read_exact(&mut buffer)
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(buffer, SECOND);
}

fn peer(case: &Case) -> Peer {
    Peer::new(case.identity.clone(), Script::right())
}

fn assert_sound(network: &Network, number: usize, written: &[Vec<u8>], what: &str) {
    let wires = network.wires();
    let wire = &wires[number];
    let sound: Vec<Result<(), String>> = written.iter().map(|bytes| wire.peer.is_sound(bytes)).collect();
    assert!(sound.iter().any(Result::is_ok), "{what}: {:?}", sound.first());
    assert!(wire.is_left, "{what}: it is still open");
}

fn each_poll(what: Dropped, then: Then) -> usize {
    let case = case();
    let network = Network::new(Manner::ROUGH, []);
    client::with(&network, &case, |client: &Client<'_, &Network>| {
        let all = beside(client, async {
            for polls in 0.. {
                assert!(polls < 2000, "{what:?} never ends");
                network.add(peer(&case));
                let opened = network.wires().len();
                let (written, is_done) = one(client, &case, what, then, polls).await;
                // Where the connect was dropped early nobody may have been called.
                let was_called = network.wires().len() > opened;
                converse_with(client, &network, &case).await;
                if was_called {
                    assert_sound(
                        &network,
                        opened,
                        &written,
                        &format!("{what:?}, {then:?} behind {polls} polls"),
                    );
                }
                if is_done {
                    return polls;
                }
            }
            unreachable!("the numbers do not end");
        });
        until_end(all).ready("a connection behind a dropped future")
    })
}

/// A conversation with a server that comes for it, which finds nothing of those before.
async fn converse_with(client: &Client<'_, &Network>, network: &Network, case: &Case) {
    // What was dropped is put away by the connector's work.
    let_others(40).await;
    network.take_servers();
    network.add(peer(case));
    converse(client, case).await;
    let_others(40).await;
    let wires = network.wires();
    let wire = wires.last().unwrap();
    assert_eq!(wire.peer.is_sound(SECOND), Ok(()));
    assert_eq!(wire.peer.application_data(), SECOND);
}

#[test]
fn connect_dropped_at_each_poll() {
    assert!(each_poll(Dropped::Connect, Then::Drop) > 20);
}

#[test]
fn write_dropped_at_each_poll() {
    assert!(each_poll(Dropped::Write, Then::Drop) > 10);
    assert!(each_poll(Dropped::Write, Then::GoOn) > 10);
}

#[test]
fn flush_dropped_at_each_poll() {
    assert!(each_poll(Dropped::Flush, Then::Drop) > 2);
    assert!(each_poll(Dropped::Flush, Then::GoOn) > 2);
}

#[test]
fn read_dropped_at_each_poll() {
    assert!(each_poll(Dropped::Read, Then::Drop) > 2);
    assert!(each_poll(Dropped::Read, Then::GoOn) > 2);
}

#[test]
fn connection_dropped_at_each_poll_of_its_close() {
    assert!(each_poll(Dropped::Connection, Then::Drop) > 20);
}

#[test]
fn everything_dropped_at_each_poll() {
    let case = case();
    let network = Network::new(Manner::ROUGH, []);
    client::with(&network, &case, |client: &Client<'_, &Network>| {
        let bytes = first();
        for polls in 0..2000 {
            network.add(peer(&case));
            let opened = network.wires().len();
            let whole = async {
                let mut connection = client.connect(endpoint(&case)).await.unwrap();
                connection.write_all(&bytes).await.unwrap();
                connection.flush().await.unwrap();
                let mut buffer = [0; FIRST];
                connection
                    .read_exact(&mut buffer)
                    .await
                    .unwrap_or_else(|error| panic!("{error:?}"));
            };
            let polled = at_most(polls, beside(client, whole));
            if network.wires().len() > opened {
                let what = format!("all dropped behind {polls} polls");
                assert_sound(&network, opened, std::slice::from_ref(&bytes), &what);
            }
            network.take_servers();
            // The same connector, driven anew.
            until_end(beside(client, converse_with(client, &network, &case))).ready("a connection behind a restart");
            match polled {
                Polled::Dropped => {}
                Polled::Ready(()) => {
                    assert!(polls > 50);
                    return;
                }
                Polled::Waits => panic!("it waits behind {polls} polls"),
            }
        }
        panic!("it never ends");
    });
}

#[test]
fn a_connection_that_is_dropped_says_so() {
    let case = case();
    for write_first in [false, true] {
        let network = Network::new(Manner::SMOOTH, [peer(&case)]);
        client::with(&network, &case, |client: &Client<'_, &Network>| {
            let all = beside(client, async {
                let mut connection = client.connect(endpoint(&case)).await.unwrap();
                if write_first {
                    // Not flushed: it goes out before the end.
                    connection.write_all(SECOND).await.unwrap();
                }
                drop(connection);
                let_others(10).await;
            });
            until_end(all).ready("a drop");
        });
        let wires = network.wires();
        assert_eq!(wires[0].peer.fault(), None);
        let last = wires[0].peer.seen().last().unwrap();
        assert_eq!(
            (last.level, last.kind, &last.content[..]),
            (Level::Application, 21, &[1, 0][..])
        );
        assert_eq!(wires[0].peer.application_data(), if write_first { SECOND } else { b"" });
        assert!(wires[0].is_left);
    }
}

#[test]
fn a_write_that_failed_is_the_last() {
    let case = case();
    let total = {
        let (_, peer) = client::visit_peer(&case, Script::right(), Manner::SMOOTH);
        peer.seen().len()
    };
    assert!(total > 2);
    for fails in 0..2500 {
        let manner = Manner {
            write_fails: Some(fails),
            hesitates: false,
            ..Manner::ROUGH
        };
        if fails % 17 != 0 && fails % 100 != 0 {
            continue;
        }
        let network = Network::new(manner, [peer(&case)]);
        let bytes = first();
        client::with(&network, &case, |client: &Client<'_, &Network>| {
            let all = beside(client, async {
                let Ok(mut connection) = client.connect(endpoint(&case)).await else {
                    return;
                };
                let mut failures = 0;
                for _ in 0..3 {
                    let written = match connection.write_all(&bytes).await {
                        Ok(()) => connection.flush().await,
                        Err(error) => Err(error),
                    };
                    failures += usize::from(written.is_err());
                    // Behind an error come none but errors.
                    assert!(failures == 0 || written.is_err());
                }
                drop(connection);
                let_others(10).await;
            });
            until_end(all).ready("a failed write");
        });
        let wires = network.wires();
        let all = bytes.repeat(3);
        assert_eq!(wires[0].peer.is_sound(&all), Ok(()), "behind {fails} bytes");
    }
}
