//! How long the three take that keep the processor to themselves: signing, verifying, hashing. Depends on `heart`.

use board::flash::Flash;
use board::map::MAP;
use board::say;
use embassy_time::{Instant, Timer};
use mender::adapters::flash::SharedFlash;
use mender::api::key::DeviceKey;
use mender::embedded_storage_async::nor_flash::ReadNorFlash;
use mender::rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use crate::heart;

const BLOCK: usize = 256;
const HASHED: u32 = 64 * 1024;

/// Times each once, and prints it.
pub async fn cryptography(flash: &SharedFlash<Flash>, mut rng: impl CryptoRng) {
    let start = Instant::now();
    let Ok(mut active) = flash.partition(const { MAP.range("active") }) else {
        return;
    };
    let mut hash = Sha256::new();
    for offset in (0..HASHED).step_by(BLOCK) {
        let mut block = [0; BLOCK];
        if active.read(offset, &mut block).await.is_err() {
            return;
        }
        hash.update(block);
    }
    let digest: [u8; 32] = hash.finalize().into();
    say!("@took hash bytes={HASHED} micros={}", start.elapsed().as_micros());

    let Ok(key) = DeviceKey::generate(&mut rng) else {
        return;
    };
    let start = Instant::now();
    if key.sign_digest(&digest).is_err() {
        return;
    }
    say!("@took sign micros={}", start.elapsed().as_micros());

    #[cfg(feature = "tls")]
    verify(&key, &digest);
    // What this took is no part of what the device does at its start.
    Timer::after_millis(1).await;
    heart::worst_micros();
    board::executor::longest_round_micros();
}

/// The work of verifying is the same for a signature that is refused.
#[cfg(feature = "tls")]
fn verify(key: &DeviceKey, digest: &[u8; 32]) {
    use mender::signature::{Hash, ecdsa};

    /// A signature in its form: both numbers are 1.
    const ONES: [u8; 8] = [0x30, 6, 2, 1, 1, 2, 1, 1];
    let point = key.public_point();
    let start = Instant::now();
    let verdict = ecdsa::verify_p256(&point, &Hash::Sha256(*digest), &ONES);
    say!(
        "@took verify micros={} {}",
        start.elapsed().as_micros(),
        verdict.is_ok()
    );
}
