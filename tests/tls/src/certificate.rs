//! Certificates: made anew at each start, always with the same bytes.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType,
    date_time_ymd,
};

use crate::key::Key;

/// The time of the tests' clocks: 2026-06-01 00:00 UTC, in seconds since 1970.
pub const NOW: u64 = 1_780_272_000;

/// Chain and key of a server.
#[derive(Clone)]
pub struct Identity {
    /// Certificates, the server's own first.
    pub chain: Vec<Vec<u8>>,
    /// Key of the first.
    pub key: Key,
}

impl Identity {
    /// The chain as programs read it.
    pub fn chain_pem(&self) -> String {
        self.chain
            .iter()
            .map(|certificate| pem("CERTIFICATE", certificate))
            .collect()
    }

    /// The key as programs read it.
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key.pkcs8())
    }
}

/// A PEM block.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: String = text
        .as_bytes()
        .chunks(64)
        .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
        .collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

/// Who signs certificates: a name and a key.
#[derive(Clone)]
pub struct Authority {
    name: &'static str,
    key: Key,
}

/// What a certificate says beside its subject and key.
pub type Change<'c> = &'c dyn Fn(&mut CertificateParams);

impl Authority {
    /// One of this name.
    pub fn new(name: &'static str, key: Key) -> Authority {
        Authority { name, key }
    }

    /// Its certificate, signed by itself.
    pub fn root(&self) -> Vec<u8> {
        self.signed_by(self, &|_| {})
    }

    /// Its certificate, signed by another.
    pub fn signed_by(&self, issuer: &Authority, change: Change<'_>) -> Vec<u8> {
        let mut params = params(self.name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        change(&mut params);
        issuer.sign(&params, &self.key)
    }

    /// A server's certificate.
    pub fn leaf(&self, key: &Key, names: &[&str], change: Change<'_>) -> Vec<u8> {
        let mut params = params(names.first().copied().unwrap_or("nameless"));
        params.subject_alt_names = names.iter().map(|name| subject_name(name)).collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        self.sign(&params, key)
    }

    /// A certificate that says this.
    ///
    /// # Panics
    ///
    /// If no certificate can.
    pub fn sign(&self, params: &CertificateParams, subject: &Key) -> Vec<u8> {
        let issuer = Issuer::new(self::params(self.name), self.key.clone());
        params
            .signed_by(subject, &issuer)
            .expect("it can be said")
            .der()
            .to_vec()
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Tests");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2099, 12, 31);
    params.use_authority_key_identifier_extension = true;
    params
}

/// A name in a certificate: of an address, if it is one.
///
/// # Panics
///
/// If it is not ASCII.
pub fn subject_name(name: &str) -> SanType {
    match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into().expect("ASCII")),
    }
}
