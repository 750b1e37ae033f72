//! What is asked of random numbers. A trait of its own for its message only.

use rand_core::CryptoRng;

/// A generator of random numbers for cryptography: whatever implements [`CryptoRng`] of rand_core 0.10, which is
/// [`mender::rand_core`](crate::rand_core). Not to be implemented by hand.
///
/// One of rand_core 0.6 or 0.9, as those of most HALs, is wrapped: see [`adapters::random`](crate::adapters).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a random number generator of rand_core 0.10",
    label = "does not implement `CryptoRng` of rand_core 0.10 (`mender::rand_core`)",
    note = "for a generator of rand_core 0.9, as in embassy's HALs, enable mender's feature `rand-core-09` and pass `&Random::new(RandCore09(generator))?`; of rand_core 0.6 likewise `rand-core-06` and `RandCore06`",
    note = "a generator of rand_core 0.10 that may fail goes into `Random::new(generator)?`, feature `random`: see `mender::adapters::random`"
)]
pub trait SecureRng: CryptoRng {}

impl<R: CryptoRng + ?Sized> SecureRng for R {}
