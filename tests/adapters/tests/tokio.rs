//! `mender::adapters::tokio` on real sockets of the loopback, with a certificate authority made on the spot.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use embedded_io_async::{ErrorKind, Read as _, Write as _};
use mender::adapters::tokio::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use mender::adapters::tokio::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto};
use mender::adapters::tokio::{TokioClock, TokioNet};
use mender::client::Clock as _;
use mender::net::{Connector as _, Endpoint, Peer, Security};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const SOON: Duration = Duration::from_secs(20);

/// An authority, and what a server and a client of it are configured with.
struct Authority {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Authority {
            server: Arc::new(server),
            client: Arc::new(client),
        }
    }
}

fn endpoint(host: &str, port: u16, security: Security, peer: Peer) -> Endpoint<'_> {
    Endpoint {
        host,
        port,
        security,
        peer,
        unix_time: None,
    }
}

/// A server that takes connections and sends everything back, a `!` behind it, until it was said `end` to.
async fn echo(tls: Option<Arc<ServerConfig>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match &tls {
                None => {
                    tokio::spawn(serve(stream));
                }
                Some(config) => {
                    let acceptor = TlsAcceptor::from(Arc::clone(config));
                    tokio::spawn(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream).await;
                        }
                    });
                }
            }
        }
    });
    port
}

async fn serve(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let mut buffer = [0; 64];
    loop {
        let Ok(len) = stream.read(&mut buffer).await else {
            return;
        };
        if len == 0 || buffer[..len] == *b"cut" {
            // Without close_notify.
            return;
        }
        if buffer[..len] == *b"end" {
            stream.shutdown().await.unwrap();
            return;
        }
        stream.write_all(&buffer[..len]).await.unwrap();
        stream.write_all(b"!").await.unwrap();
        stream.flush().await.unwrap();
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(SOON, test).await.unwrap() })
}

async fn talks(network: &TokioNet, to: Endpoint<'_>) {
    let mut connection = network.connect(to).await.unwrap();
    for word in ["one", "two"] {
        connection.write_all(word.as_bytes()).await.unwrap();
        connection.flush().await.unwrap();
        let mut answer = [0; 4];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, *format!("{word}!").as_bytes());
    }
    connection.write_all(b"end").await.unwrap();
    connection.flush().await.unwrap();
    assert_eq!(connection.read(&mut [0; 8]).await.unwrap(), 0);
}

#[test]
fn plain_connections_talk() {
    run(async {
        let port = echo(None).await;
        for host in ["127.0.0.1", "localhost"] {
            talks(&TokioNet::new(), endpoint(host, port, Security::Plain, Peer::Server)).await;
        }
    });
}

#[test]
fn connections_with_tls_talk_by_name_and_by_address() {
    run(async {
        let authority = Authority::new("ours");
        let port = echo(Some(authority.server)).await;
        let network = TokioNet::new().with_tls(authority.client);
        for host in ["127.0.0.1", "localhost"] {
            for peer in [Peer::Server, Peer::ArtifactHost] {
                talks(&network, endpoint(host, port, Security::Tls, peer)).await;
            }
        }
    });
}

#[test]
fn each_peer_is_vouched_for_by_its_own_roots() {
    run(async {
        let (ours, other) = (Authority::new("ours"), Authority::new("theirs"));
        let (port, other_port) = (echo(Some(ours.server)).await, echo(Some(other.server)).await);
        let network = TokioNet::new().with_tls(ours.client).with_artifact_tls(other.client);
        talks(&network, endpoint("localhost", port, Security::Tls, Peer::Server)).await;
        talks(
            &network,
            endpoint("localhost", other_port, Security::Tls, Peer::ArtifactHost),
        )
        .await;
        for (port, peer) in [(other_port, Peer::Server), (port, Peer::ArtifactHost)] {
            let error = network
                .connect(endpoint("localhost", port, Security::Tls, peer))
                .await
                .unwrap_err();
            assert!(error.to_string().contains("UnknownIssuer"), "{error}");
            assert_eq!(embedded_io_async::Error::kind(&error), ErrorKind::InvalidData);
        }
    });
}

#[test]
fn another_name_is_refused() {
    run(async {
        let authority = Authority::new("ours");
        let port = echo(Some(authority.server)).await;
        let network = TokioNet::new().with_tls(authority.client);
        // The same machine, under an address that the certificate does not name.
        let error = network
            .connect(endpoint("127.0.0.2", port, Security::Tls, Peer::Server))
            .await;
        let error = match error {
            Ok(_) => panic!("it has another name"),
            Err(error) => error,
        };
        // Nobody listens at 127.0.0.2 unless the system maps it: both are refusals.
        let text = error.to_string();
        assert!(
            text.contains("not valid for name") || text.contains("refused"),
            "{text}"
        );
        let error = network
            .connect(endpoint("a name", port, Security::Tls, Peer::Server))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("invalid dns name"), "{error}");
    });
}

#[test]
fn an_end_without_notice_is_an_error_and_no_end() {
    run(async {
        let authority = Authority::new("ours");
        let port = echo(Some(authority.server)).await;
        let network = TokioNet::new().with_tls(authority.client);
        let to = endpoint("localhost", port, Security::Tls, Peer::Server);
        let mut connection = network.connect(to).await.unwrap();
        connection.write_all(b"cut").await.unwrap();
        connection.flush().await.unwrap();
        let error = connection.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.0.kind(), std::io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn what_cannot_be_connected_to_is_told() {
    run(async {
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let network = TokioNet::new();
        let closed = network
            .connect(endpoint("127.0.0.1", port, Security::Plain, Peer::Server))
            .await;
        assert_eq!(
            embedded_io_async::Error::kind(&closed.unwrap_err()),
            ErrorKind::ConnectionRefused
        );
        let tls = network
            .connect(endpoint("127.0.0.1", port, Security::Tls, Peer::Server))
            .await;
        assert_eq!(tls.unwrap_err().to_string(), "no TLS configuration");
    });
}

#[test]
fn the_clock_is_that_of_tokio_and_of_the_system() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let clock = TokioClock::start();
        clock.sleep(Duration::from_secs(3600)).await;
        let hour = Duration::from_secs(3600);
        assert!(clock.uptime() >= hour && clock.uptime() < hour + Duration::from_secs(1));
        let system = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        assert!(clock.unix_time().unwrap().abs_diff(system) < Duration::from_secs(60));
    });
}
