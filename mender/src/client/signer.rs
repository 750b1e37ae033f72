//! A key that the device keeps, instead of the client's own in storage.

use core::fmt::Debug;
use core::future::Future;

#[cfg(feature = "key")]
use {crate::api::key::DeviceKey, core::future::ready};

use crate::api::key::{DigestSignature, KeyError, POINT_LEN};

/// A P-256 key that the device keeps itself: in a secure element, behind a TrustZone, or a provided one.
/// [`Device::signer`](super::Device::signer) hands it to the client, which then makes and stores no key.
///
/// The key is the device's identity to the server, beside the identity attributes: with another key it has to be accepted again.
///
/// ```
/// use mender::api::key::{DeviceKey, KeyError};
/// use mender::client::{Device, Signer};
///
/// /// A key that was written in production.
/// struct Board {
///     key: DeviceKey,
/// }
///
/// impl Board {
///     fn new(provisioned: &[u8; 32]) -> Result<Board, KeyError> {
///         Ok(Board { key: DeviceKey::from_bytes(provisioned)? })
///     }
/// }
///
/// impl Device for Board {
///     fn identity(&self) -> impl AsRef<[(&str, &str)]> {
///         [("serial", "4711")]
///     }
///
///     async fn restart(&self) {}
///
///     fn signer(&self) -> Option<impl Signer> {
///         Some(&self.key)
///     }
/// }
/// # assert!(Board::new(&[7; 32]).is_ok());
/// ```
pub trait Signer {
    /// Why the key cannot be used now. Logged.
    type Error: Debug;

    /// The public key as an uncompressed point: 0x04, then x and y, 32 bytes each. Asked once, when the client starts.
    ///
    /// # Errors
    ///
    /// End [`Client::run`](super::Client::run).
    fn public_point(&self) -> impl Future<Output = Result<[u8; POINT_LEN], Self::Error>>;

    /// ECDSA over a SHA-256 digest. [`DigestSignature::from_numbers`] and [`DigestSignature::from_der`] take what the hardware gives.
    ///
    /// May take its time, up to [`Config::network_timeout`](super::Config::network_timeout).
    ///
    /// # Errors
    ///
    /// The login is tried again with backoff.
    ///
    /// # Cancellation
    ///
    /// Must be safe to drop at any time.
    fn sign_digest(&self, digest: &[u8; 32]) -> impl Future<Output = Result<DigestSignature, Self::Error>>;
}

impl<S: Signer> Signer for &S {
    type Error = S::Error;

    fn public_point(&self) -> impl Future<Output = Result<[u8; POINT_LEN], Self::Error>> {
        (*self).public_point()
    }

    fn sign_digest(&self, digest: &[u8; 32]) -> impl Future<Output = Result<DigestSignature, Self::Error>> {
        (*self).sign_digest(digest)
    }
}

/// A provided key, kept in memory.
#[cfg(feature = "key")]
impl Signer for DeviceKey {
    type Error = KeyError;

    fn public_point(&self) -> impl Future<Output = Result<[u8; POINT_LEN], KeyError>> {
        ready(Ok(DeviceKey::public_point(self)))
    }

    fn sign_digest(&self, digest: &[u8; 32]) -> impl Future<Output = Result<DigestSignature, KeyError>> {
        ready(DeviceKey::sign_digest(self, digest))
    }
}

/// The signer of a device that has none: there is no value of it, so that its code need not be linked.
#[derive(Debug)]
pub(super) enum NoSigner {}

impl Signer for NoSigner {
    type Error = KeyError;

    async fn public_point(&self) -> Result<[u8; POINT_LEN], KeyError> {
        match *self {}
    }

    async fn sign_digest(&self, _: &[u8; 32]) -> Result<DigestSignature, KeyError> {
        match *self {}
    }
}
