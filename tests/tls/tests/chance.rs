//! Connections that are dropped by chance, two at a time: whatever comes together, the connector goes on, and no nonce comes twice.

use embassy_futures::join::join;
use embedded_io_async::{Read, Write};
use mender::net::Connector;
use mender_tls_tests::chains::{Case, accepted};
use mender_tls_tests::client::{self, Client, Seeded, endpoint};
use mender_tls_tests::line::{Manner, Network};
use mender_tls_tests::peer::{Peer, Script};
use mender_tls_tests::poll::{given_up, let_others, until_end};
use mender_tls_tests::visit::beside;
use rand_core::Rng;

/// Connections of each of two that run beside each other.
const EACH: usize = 150;

fn case() -> Case {
    accepted()
        .into_iter()
        .find(|case| case.name == "no intermediate")
        .unwrap()
}

/// What every connection writes, if it comes so far.
fn bytes() -> Vec<u8> {
    (0..3000_u32).map(|at| (at ^ at >> 8) as u8).collect()
}

/// Writes all of it and reads it back.
async fn whole<C: Connector>(connector: &C, case: &Case) {
    let bytes = bytes();
    let mut connection = connector.connect(endpoint(case)).await.unwrap();
    for piece in bytes.chunks(900) {
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

/// Many of them, each given up behind some polls. How many came to their end.
async fn many(client: &Client<'_, &Network>, network: &Network, case: &Case, chance: &mut Seeded) -> usize {
    let mut done = 0;
    for _ in 0..EACH {
        network.add(Peer::new(case.identity.clone(), Script::right()));
        let polls = chance.next_u32() as usize % 600;
        done += usize::from(given_up(polls, whole(client, case)).await.is_some());
        let_others(chance.next_u32() as usize % 5).await;
    }
    done
}

#[test]
fn three_hundred_dropped_by_chance() {
    let case = case();
    let network = Network::new(Manner::ROUGH, []);
    let (one, other) = client::with(&network, &case, |client: &Client<'_, &Network>| {
        let all = async {
            let (mut first, mut second) = (Seeded(1), Seeded(2));
            let both = join(
                many(client, &network, &case, &mut first),
                many(client, &network, &case, &mut second),
            )
            .await;
            let_others(100).await;
            network.take_servers();
            network.add(Peer::new(case.identity.clone(), Script::right()));
            whole(client, &case).await;
            let_others(100).await;
            both
        };
        until_end(beside(client, all)).ready("three hundred connections")
    });
    assert!(
        one > EACH / 10 && other > EACH / 10,
        "{one} and {other} came to their end"
    );
    assert!(
        one < EACH * 9 / 10 && other < EACH * 9 / 10,
        "{one} and {other} came to their end"
    );
    let written = bytes();
    let wires = network.wires();
    assert!(wires.len() > EACH);
    for (number, wire) in wires.iter().enumerate() {
        assert_eq!(wire.peer.is_sound(&written), Ok(()), "connection {number}");
        assert!(wire.is_left, "connection {number} is still open");
    }
    // No two connections have the same keys.
    let mut shares: Vec<&[u8]> = wires
        .iter()
        .filter_map(|wire| wire.peer.client_hello()?.share())
        .collect();
    let count = shares.len();
    shares.sort();
    shares.dedup();
    assert_eq!(shares.len(), count);
}
