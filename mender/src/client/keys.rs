//! The device's key: made at the first start and stored, or the device's own signer's.

use core::fmt;

use rand_core::CryptoRng;

use super::device::Device;
use super::signer::Signer;
use crate::api::key::{DigestSignature, KeyError, POINT_LEN, is_point};
use crate::fmt::{error, warning};
use crate::storage::{ReadError, Storage, WriteError};
#[cfg(feature = "key")]
use {
    crate::api::key::{DeviceKey, PRIVATE_KEY_LEN},
    crate::fmt::info,
    crate::storage::RecordKey,
};

/// Why a client cannot run: there is no device key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunError<E> {
    /// The storage cannot be read.
    Read(ReadError<E>),
    /// A new key cannot be stored.
    Write(WriteError<E>),
    /// A key cannot be made, the stored one is damaged, or the device's [`Signer`] does not tell its public key.
    Key(KeyError),
}

impl<E: fmt::Display> fmt::Display for RunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Read(error) => write!(f, "the device key cannot be read: {error}"),
            RunError::Write(error) => write!(f, "the device key cannot be stored: {error}"),
            RunError::Key(error) => write!(f, "the device key: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for RunError<E> {}

/// How often the key's record is read or written before that is an error: what failed may work at once.
#[cfg(feature = "key")]
const TRIES: u8 = 3;

/// In front of the private key in its record.
#[cfg(feature = "key")]
const KEY_VERSION: u8 = 1;

/// The public key, and the private one unless the device has a signer.
pub(super) struct Keys {
    pub(super) point: [u8; POINT_LEN],
    #[cfg(feature = "key")]
    key: Option<DeviceKey>,
}

impl Keys {
    /// Of the device's signer, or from storage, or new. `buffer` takes the record.
    pub(super) async fn load<D: Device, S: Storage, R: CryptoRng>(
        device: &D,
        storage: &mut S,
        rng: &mut R,
        buffer: &mut [u8],
    ) -> Result<Keys, RunError<S::Error>> {
        if let Some(signer) = device.signer() {
            let point = signer.public_point().await.map_err(|error| {
                error!("the device's signer: {error:?}");
                RunError::Key(KeyError::Signer)
            })?;
            if !is_point(&point) {
                return Err(RunError::Key(KeyError::Point));
            }
            return Ok(Keys {
                point,
                #[cfg(feature = "key")]
                key: None,
            });
        }
        #[cfg(feature = "key")]
        {
            let key = stored_key(storage, rng, buffer).await?;
            Ok(Keys {
                point: key.public_point(),
                key: Some(key),
            })
        }
        #[cfg(not(feature = "key"))]
        {
            let _ = (storage, rng, buffer);
            Err(RunError::Key(KeyError::Signer))
        }
    }

    pub(super) async fn sign<D: Device>(&self, device: &D, digest: &[u8; 32]) -> Result<DigestSignature, KeyError> {
        #[cfg(feature = "key")]
        if let Some(key) = &self.key {
            return key.sign_digest(digest);
        }
        let signer = device.signer().ok_or(KeyError::Signer)?;
        signer.sign_digest(digest).await.map_err(|error| {
            warning!("the device's signer: {error:?}");
            KeyError::Signer
        })
    }
}

/// The stored key, or a new one.
#[cfg(feature = "key")]
async fn stored_key<S: Storage, R: CryptoRng>(
    storage: &mut S,
    rng: &mut R,
    buffer: &mut [u8],
) -> Result<DeviceKey, RunError<S::Error>> {
    let mut tries_left = TRIES;
    let read = loop {
        let read = storage.read(RecordKey::DeviceKey, buffer).await;
        tries_left -= 1;
        if read.is_ok() || tries_left == 0 {
            break read;
        }
    };
    match read {
        Ok(Some(len)) => {
            let record = buffer.get_mut(..len).unwrap_or(&mut []);
            // A version byte, then the private key.
            let key = match record {
                [KEY_VERSION, key @ ..] => DeviceKey::from_bytes(key).map_err(RunError::Key),
                [] | [..] => Err(RunError::Key(KeyError::Invalid)),
            };
            record.fill(0);
            key
        }
        Ok(None) => {
            info!("no device key yet: making one");
            new_key(storage, rng).await
        }
        Err(error) => Err(RunError::Read(error)),
    }
}

/// A new key, stored.
#[cfg(feature = "key")]
pub(super) async fn new_key<S: Storage, R: CryptoRng>(
    storage: &mut S,
    rng: &mut R,
) -> Result<DeviceKey, RunError<S::Error>> {
    let key = DeviceKey::generate(rng).map_err(RunError::Key)?;
    let mut record = [KEY_VERSION; 1 + PRIVATE_KEY_LEN];
    if let Some(place) = record.get_mut(1..) {
        place.copy_from_slice(&key.to_bytes());
    }
    let mut tries_left = TRIES;
    let stored = loop {
        let stored = storage.write(RecordKey::DeviceKey, &record).await;
        tries_left -= 1;
        if stored.is_ok() || tries_left == 0 {
            break stored;
        }
    };
    record.fill(0);
    stored.map_err(RunError::Write)?;
    Ok(key)
}
