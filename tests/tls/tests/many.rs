//! Several connections, many of them, and long ones.

use embassy_futures::join::{join, join3};
use embedded_io_async::{Read, Write};
use mender::net::Connector;
use mender::tls::{Roots, TlsConnector, TlsMemory};
use mender_tls_tests::chains::usual;
use mender_tls_tests::client::{self, Client, Seeded, endpoint};
use mender_tls_tests::line::{Manner, Network};
use mender_tls_tests::peer::{Await, Parcel, Peer, Script, Step, source_byte};
use mender_tls_tests::poll::{Task, at_most, until_end};
use mender_tls_tests::visit::beside;

async fn echo<C: Connector>(connector: &C, bytes: &[u8]) {
    let case = usual();
    let mut connection = connector.connect(endpoint(&case)).await.unwrap();
    for piece in bytes.chunks(700) {
        connection.write_all(piece).await.unwrap();
        connection.flush().await.unwrap();
        let mut back = vec![0; piece.len()];
        connection
            .read_exact(&mut back)
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(back, piece);
    }
}

fn peers(count: usize) -> impl Iterator<Item = Peer> {
    (0..count).map(|_| Peer::new(usual().identity, Script::right()))
}

fn assert_right(network: &Network, sent: &[&[u8]]) {
    let wires = network.wires();
    let mut data: Vec<Vec<u8>> = wires.iter().map(|wire| wire.peer.application_data()).collect();
    let mut sent: Vec<Vec<u8>> = sent.iter().map(|bytes| bytes.to_vec()).collect();
    data.sort();
    sent.sort();
    assert_eq!(data, sent);
    assert!(wires.iter().all(|wire| wire.peer.fault().is_none() && wire.is_left));
}

#[test]
fn two_connections_at_once() {
    let (one, other): (Vec<u8>, Vec<u8>) = ((0..20_000).map(|at| at as u8).collect(), vec![9; 15_000]);
    let network = Network::new(Manner::ROUGH, peers(2));
    client::with(&network, &usual(), |client: &Client<'_, &Network>| {
        let both = join(echo(client, &one), echo(client, &other));
        until_end(beside(client, both)).ready("two connections");
        until_end(beside(client, mender_tls_tests::poll::let_others(40))).ready("their ends");
    });
    assert_right(&network, &[&one, &other]);
}

#[test]
fn a_third_waits_for_its_place() {
    let network = Network::new(Manner::ROUGH, peers(3));
    client::with(&network, &usual(), |client: &Client<'_, &Network>| {
        let all = join3(
            echo(client, &[1; 2000]),
            echo(client, &[2; 3000]),
            echo(client, &[3; 1000]),
        );
        until_end(beside(client, all)).ready("three connections");
        until_end(beside(client, mender_tls_tests::poll::let_others(40))).ready("their ends");
    });
    assert_right(&network, &[&[1; 2000], &[2; 3000], &[3; 1000]]);
}

#[test]
fn a_hundred_one_after_the_other() {
    let network = Network::new(Manner::SMOOTH, peers(100));
    client::with(&network, &usual(), |client: &Client<'_, &Network>| {
        let all = async {
            for _ in 0..100 {
                echo(client, b"again").await;
            }
            mender_tls_tests::poll::let_others(10).await;
        };
        until_end(beside(client, all)).ready("a hundred connections");
    });
    assert_right(&network, &[&b"again"[..]; 100]);
    // Each has keys and random numbers of its own.
    let wires = network.wires();
    let mut hellos: Vec<Vec<u8>> = wires
        .iter()
        .map(|wire| wire.peer.client_hello().unwrap().random.to_vec())
        .collect();
    let mut shares: Vec<Vec<u8>> = wires
        .iter()
        .map(|wire| wire.peer.client_hello().unwrap().share().unwrap().to_vec())
        .collect();
    for list in [&mut hellos, &mut shares] {
        list.sort();
        list.dedup();
        assert_eq!(list.len(), 100);
    }
}

#[test]
fn forty_megabytes() {
    const LEN: u64 = 40_000_000;
    let script = Script::then([
        Step::Await(Await::Data(3)),
        Step::Source(LEN),
        Step::Send(Parcel::close_notify()),
        Step::End,
    ]);
    let network = Network::new(Manner::SMOOTH, [Peer::new(usual().identity, script)]);
    let case = usual();
    client::with(&network, &case, |client: &Client<'_, &Network>| {
        let download = async {
            let mut connection = client.connect(endpoint(&case)).await.unwrap();
            connection.write_all(b"GET").await.unwrap();
            connection.flush().await.unwrap();
            let mut left = LEN;
            let mut buffer = [0; 4096];
            loop {
                let len = connection.read(&mut buffer).await.unwrap();
                if len == 0 {
                    return left;
                }
                for byte in &buffer[..len] {
                    assert_eq!(*byte, source_byte(left));
                    left -= 1;
                }
            }
        };
        assert_eq!(until_end(beside(client, download)).ready("the download"), 0);
    });
}

#[test]
fn a_long_upload() {
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| (at >> 3) as u8).collect();
    let script = Script::then([
        Step::Await(Await::Data(bytes.len())),
        Step::Send(Parcel::data(b"done")),
        Step::End,
    ]);
    let network = Network::new(Manner::SMOOTH, [Peer::new(usual().identity, script)]);
    let case = usual();
    client::with(&network, &case, |client: &Client<'_, &Network>| {
        let upload = async {
            let mut connection = client.connect(endpoint(&case)).await.unwrap();
            connection.write_all(&bytes).await.unwrap();
            connection.flush().await.unwrap();
            let mut back = [0; 4];
            connection
                .read_exact(&mut back)
                .await
                .unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(&back, b"done");
        };
        until_end(beside(client, upload)).ready("the upload");
    });
    let wires = network.wires();
    assert!(wires[0].peer.application_data() == bytes);
    assert_eq!(wires[0].peer.fault(), None);
}

/// Also where each future has a waker of its own, as in a `FuturesUnordered`.
#[test]
fn who_waits_for_a_place_is_woken() {
    let case = usual();
    let network = Network::new(Manner::SMOOTH, peers(3));
    client::with(&network, &case, |client: &Client<'_, &Network>| {
        let mut work = Box::pin(client.work());
        let mut task = Task::default();
        // Two connections take both places.
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut connect = Box::pin(client.connect(endpoint(&case)));
            let mut other = Task::default();
            loop {
                if let Some(connection) = other.poll(connect.as_mut()) {
                    open.push(connection.unwrap());
                    break;
                }
                assert!(task.poll(work.as_mut()).is_none());
            }
        }
        let mut connect = Box::pin(client.connect(endpoint(&case)));
        let mut waiting = Task::default();
        for _ in 0..5 {
            assert!(waiting.poll(connect.as_mut()).is_none());
            assert!(task.poll(work.as_mut()).is_none());
        }
        waiting.forget();
        drop(open.pop());
        assert!(task.is_woken(), "the work has a connection to close");
        while task.is_woken() {
            assert!(task.poll(work.as_mut()).is_none());
        }
        assert!(waiting.is_woken(), "there is a place");
        let mut polls = 0;
        while waiting.poll(connect.as_mut()).is_none() {
            assert!(task.poll(work.as_mut()).is_none());
            polls += 1;
            assert!(polls < 100);
        }
    });
}

/// The memory of a connector that is gone is as good as new, whatever went on in it.
#[test]
fn memory_can_be_lent_again() {
    let case = usual();
    let roots: Vec<&[u8]> = case.roots.iter().map(Vec::as_slice).collect();
    let mut memory = Box::new(TlsMemory::<16640, 1024>::new());
    for polls in [0, 1, 2, 5, 20, 40, 60, 80, 100, 150, 200, 1000] {
        let network = Network::new(Manner::ROUGH, peers(4));
        let client = TlsConnector::new(&network, &mut memory, Seeded(polls as u64), Roots::same(&roots)).unwrap();
        let both = join(echo(&client, &[1; 900]), echo(&client, &[2; 900]));
        let _ = at_most(polls, beside(&client, both));
        let whole = async {
            network.take_servers();
            peers(1).for_each(|peer| network.add(peer));
            echo(&client, b"again").await;
        };
        // Neither was driven to its end: what they left is put away by the next work, or by the next connector's.
        if polls % 2 == 0 {
            until_end(beside(&client, whole)).ready("a connection");
        }
    }
}
