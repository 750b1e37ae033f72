//! What the board finds on the network: a Mender server, its authority, a time server. Depends on nothing here.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use mender_test_server::{Identity, Options, RunningServer, spawn};
use mender_testkit::server::{Server, Settings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// This machine, as a board in QEMU's user network sees it.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// What is on the network.
#[derive(Debug)]
pub struct Site {
    /// The server.
    pub server: RunningServer,
    /// Its URL for the board.
    pub url: String,
    /// Certificate of the authority that vouches for it, if it speaks TLS.
    pub root: Vec<u8>,
    /// The time server for the board.
    pub time: SocketAddrV4,
}

impl Site {
    /// Starts all of it on free ports of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// No certificate, no port.
    pub fn start(tls: bool) -> Result<Site, Box<dyn Error>> {
        let (root, identity) = authority()?;
        let server = Arc::new(Mutex::new(Server::new(Settings::default())));
        let options = Options {
            public_host: Some(HOST.to_string()),
            tls: tls.then_some(identity),
            ..Options::default()
        };
        let server = spawn(server, options)?;
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://{HOST}:{}", server.api_address().port());
        Ok(Site {
            server,
            url,
            root,
            time: SocketAddrV4::new(HOST, time_server()?),
        })
    }
}

/// A new authority, and what it says of a server at [`HOST`].
fn authority() -> Result<(Vec<u8>, Identity), Box<dyn Error>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "The demo's authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec![HOST.to_string()])?.signed_by(&key, &issuer)?;
    let identity = Identity::new(vec![leaf.der().clone()], key.into())?;
    Ok((issuer.der().to_vec(), identity))
}

/// SNTP, as much as a client asks for (RFC 4330, section 6): it answers as long as this program runs.
fn time_server() -> io::Result<u16> {
    const TO_1970: u64 = 2_208_988_800;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = socket.local_addr()?.port();
    thread::spawn(move || {
        let mut question = [0; 48];
        while let Ok((len, from)) = socket.recv_from(&mut question) {
            let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else {
                continue;
            };
            if len != question.len() {
                continue;
            }
            // Version 4, server; a primary source.
            let mut answer = [0; 48];
            answer[..2].copy_from_slice(&[4 << 3 | 4, 1]);
            answer[24..32].copy_from_slice(&question[40..]);
            let seconds = (now.as_secs() + TO_1970) as u32;
            for place in [32, 40] {
                answer[place..place + 4].copy_from_slice(&seconds.to_be_bytes());
            }
            // The board asks again.
            let _ = socket.send_to(&answer, from);
        }
    });
    Ok(port)
}
