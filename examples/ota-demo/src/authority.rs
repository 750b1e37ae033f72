//! A certificate authority made on the spot, for `--tls`.

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use mender::adapters::tokio::TokioNet;
use mender::net::{Connector, Endpoint, Peer, Security};
use mender::tls::{Roots, TlsConnector, TlsMemory};
use mender_test_server::Identity;
use mender_testkit::device::SeededRng;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// The authority's own certificate, and a server of 127.0.0.1 that it vouches for.
pub struct Authority {
    /// What devices have to have: the certificate as DER.
    pub root: Vec<u8>,
    /// What the server has.
    pub server: Identity,
}

impl Authority {
    /// A new one, with keys that nobody keeps.
    ///
    /// # Errors
    ///
    /// What the maker of certificates reports.
    pub fn new(name: &str) -> Result<Authority, Box<dyn Error>> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
        let root = issuer.der().to_vec();
        let server = Identity::new(vec![leaf.der().clone()], key.into())?;
        Ok(Authority { root, server })
    }
}

/// A source of random numbers for a board that lives for seconds; a real one has a hardware generator.
pub fn random() -> SeededRng {
    SeededRng::new(RandomState::new().hash_one("board"))
}

/// What a device with this root says of the server: why it refuses to talk to it, if it does.
///
/// # Errors
///
/// The root is no certificate.
pub async fn refusal(root: &[u8], server: SocketAddr) -> Result<Option<String>, Box<dyn Error>> {
    let roots = [root];
    let mut memory: Box<TlsMemory> = Box::default();
    let tls = TlsConnector::new(TokioNet::new(), &mut memory, random(), Roots::same(&roots))?;
    let host = server.ip().to_string();
    let endpoint = Endpoint {
        host: &host,
        port: server.port(),
        security: Security::Tls,
        peer: Peer::Server,
        unix_time: SystemTime::now().duration_since(UNIX_EPOCH).ok(),
    };
    let connect = async { tls.connect(endpoint).await.err().map(|error| error.to_string()) };
    Ok(tokio::select! {
        refused = connect => refused,
        never = Box::pin(tls.work()) => match never {},
    })
}
