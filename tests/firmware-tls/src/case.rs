//! Which handshakes there are: chains and layouts of records.

use mender::net::{Endpoint, Peer, Security};

/// The server's name.
pub const HOST: &str = "mender.example.com";
/// The client's time, in seconds since 1970.
pub const NOW: u64 = 1_780_272_000;

/// Where the client connects to.
pub const ENDPOINT: Endpoint<'static> = Endpoint {
    host: HOST,
    port: 443,
    security: Security::Tls,
    peer: Peer::Server,
    unix_time: Some(core::time::Duration::from_secs(NOW)),
};

/// A chain of certificates.
pub struct Chain {
    /// Its name in `tests/tls/src/chains.rs`.
    pub name: &'static str,
    /// Its name here.
    #[cfg_attr(
        target_os = "none",
        expect(dead_code, reason = "the firmware names the files itself")
    )]
    pub file: &'static str,
}

/// Those that are played.
pub const CHAINS: &[Chain] = &[
    Chain {
        name: "P-256 x 3",
        file: "p256",
    },
    Chain {
        name: "RSA-2048 x 3",
        file: "rsa2048",
    },
    Chain {
        name: "P-256, P-384, RSA-4096",
        file: "p384",
    },
];
