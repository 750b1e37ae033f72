//! Names and addresses: which are asked for, which are tried, and why none is reached.

use embassy_futures::join::join;
use embassy_time::Instant;
use embedded_io_async::{Read as _, Write as _};
use mender::adapters::embassy_net::{ADDRESS_PATIENCE, ConnectError};
use mender::net::{Connector as _, Endpoint, Peer, Security};

use crate::site::{NOBODY, SERVER_V4, SERVER_V6, Site, on_site};

const HOST: &str = "mender.example.com";
const A: u16 = 1;
const AAAA: u16 = 28;

fn asked(site: &Site) -> Vec<(String, u16)> {
    site.names.asked.borrow().clone()
}

/// Connects, and has the server send the port back that it was called at.
async fn talks(site: &Site, host: &str) {
    let serve = async {
        let mut socket = site.accept(80).await;
        socket.write_all(b"hello").await.unwrap();
        let mut word = [0; 3];
        socket.read_exact(&mut word).await.unwrap();
        word
    };
    let call = async {
        let mut connection = site.connect(host, 80).await.unwrap();
        connection.write_all(b"yes").await.unwrap();
        connection.flush().await.unwrap();
        let mut word = [0; 5];
        connection.read_exact(&mut word).await.unwrap();
        word
    };
    assert_eq!(join(serve, call).await, (*b"yes", *b"hello"));
}

#[test]
fn a_name_is_asked_for_and_its_address_connected_to() {
    on_site(&[(HOST, &[SERVER_V4.into()])], 5, async |site| {
        talks(site, HOST).await;
        assert_eq!(asked(site), [(HOST.to_owned(), A)]);
    });
}

#[test]
fn a_name_with_aaaa_records_only_is_connected_to() {
    on_site(&[(HOST, &[SERVER_V6.into()])], 5, async |site| {
        talks(site, HOST).await;
        assert_eq!(asked(site), [(HOST.to_owned(), A), (HOST.to_owned(), AAAA)]);
    });
}

#[test]
fn an_address_needs_no_name_server() {
    for host in ["10.0.0.1", "fd00::1"] {
        on_site(&[], 5, async |site| {
            talks(site, host).await;
            assert_eq!(asked(site), []);
        });
    }
}

#[test]
fn an_address_that_is_not_reached_is_no_name() {
    for host in ["10.0.0.1", "fd00::1"] {
        on_site(&[], 5, async |site| {
            assert_eq!(site.connect(host, 81).await.unwrap_err(), ConnectError::Refused);
            assert_eq!(asked(site), []);
        });
    }
}

#[test]
fn the_next_address_is_tried_when_one_is_silent() {
    on_site(&[(HOST, &[NOBODY.into(), SERVER_V4.into()])], 30, async |site| {
        site.wire.lose(NOBODY.into());
        let start = Instant::now();
        talks(site, HOST).await;
        let waited = start.elapsed().as_millis();
        let patience = ADDRESS_PATIENCE.as_millis() as u64;
        assert!((patience..patience + 1500).contains(&waited), "{waited} ms");
    });
}

#[test]
fn aaaa_records_are_tried_when_no_a_record_leads_anywhere() {
    on_site(&[(HOST, &[NOBODY.into(), SERVER_V6.into()])], 30, async |site| {
        site.wire.lose(NOBODY.into());
        talks(site, HOST).await;
        assert_eq!(asked(site), [(HOST.to_owned(), A), (HOST.to_owned(), AAAA)]);
    });
}

#[test]
fn the_last_address_has_as_long_as_the_client_gives() {
    on_site(&[], 120, async |site| {
        site.wire.lose(NOBODY.into());
        let connect = site.connect("10.0.0.99", 80);
        let patience = embassy_time::Duration::from_secs(60);
        assert!(embassy_time::with_timeout(patience, connect).await.is_err());
        // The socket is free again.
        talks(site, "10.0.0.1").await;
    });
}

#[test]
fn what_went_wrong_is_named() {
    on_site(
        &[("no-address", &[]), ("closed", &[SERVER_V4.into()])],
        60,
        async |site| {
            assert_eq!(site.connect("unknown", 80).await.unwrap_err(), ConnectError::Name);
            assert_eq!(site.connect("no-address", 80).await.unwrap_err(), ConnectError::Name);
            assert_eq!(site.connect("closed", 80).await.unwrap_err(), ConnectError::Refused);
            // Neither in the network nor behind a gateway, which there is none of.
            assert_eq!(site.connect("0.0.0.0", 80).await.unwrap_err(), ConnectError::NoRoute);
            let tls = Endpoint {
                host: "10.0.0.1",
                port: 443,
                security: Security::Tls,
                peer: Peer::Server,
                unix_time: None,
            };
            assert_eq!(site.network.connect(tls).await.unwrap_err(), ConnectError::Tls);
            site.wire.cut(true);
            assert_eq!(site.connect("closed", 80).await.unwrap_err(), ConnectError::Name);
        },
    );
}
