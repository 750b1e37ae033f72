//! Random numbers: one source, shared, that may be older or fail. Feature `random`; `rand-core-06` and `rand-core-09` for sources with
//! the traits of these versions.
//!
//! The client wants a [`CryptoRng`](rand_core::CryptoRng) of rand_core 0.10, which never fails; a TLS stack beside it wants one
//! too, perhaps of another version; and a chip has one generator, which may fail. [`Random`] goes between.
//!
//! ```
//! use mender::adapters::random::{OldError, RandCore09, Random, RandomError};
//! use mender::rand_core::CryptoRng;
//! use rand_core_09::TryCryptoRng;
//!
//! fn client_gets(_: impl CryptoRng) {}
//!
//! /// As the generators of embassy's HALs are.
//! fn share<R: TryCryptoRng>(generator: R) -> Result<(), RandomError<OldError<R::Error>>> {
//!     let random = Random::new(RandCore09(generator))?; // in a static, where tasks share it
//!     client_gets(&random);
//!     client_gets(&random); // and somebody else
//!     Ok(())
//! }
//! ```

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::fmt;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};

/// Bytes of a seed.
const SEED_LEN: usize = 32;

/// One source of random numbers for several users: `&Random` is a [`CryptoRng`](rand_core::CryptoRng).
///
/// # Sources that fail
///
/// [`new`](Random::new) takes two samples of 32 bytes from the source, and refuses a source that fails or is stuck: a device
/// whose generator does not work must not make a key. From the samples it seeds a generator of its own, ChaCha20.
///
/// What is asked for later comes from the source itself. Should it fail, the whole request is answered by the seeded
/// generator instead, which has seen nothing but the source's good numbers: what comes is as unpredictable as they were, never
/// a constant, never the same twice. Nothing panics, and the client goes on. [`failures`](Random::failures) counts it, for an
/// inventory or a log. A source that cannot fail (its error is [`Infallible`]) leaves nothing of this in the firmware but the check
/// at the start.
///
/// # Sharing
///
/// For tasks of one executor: it is not `Sync`. Put it into a `static` by `static_cell::StaticCell`. A source that is used in interrupts
/// too needs a lock of its own.
pub struct Random<R> {
    source: RefCell<R>,
    spare: RefCell<ChaCha20Rng>,
    failures: Cell<u32>,
}

impl<R> fmt::Debug for Random<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random")
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

/// Why a source of random numbers was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RandomError<E> {
    /// It failed.
    Source(E),
    /// It says the same again and again: is its clock on? (Two samples of 32 bytes are equal, or all bytes of one are: by
    /// chance that does not happen.)
    Stuck,
}

impl<E: fmt::Display> fmt::Display for RandomError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RandomError::Source(error) => write!(f, "the source of random numbers fails: {error}"),
            RandomError::Stuck => f.write_str("the source of random numbers is stuck"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for RandomError<E> {}

impl<R: TryCryptoRng> Random<R> {
    /// Shares `source`, after it was tried.
    ///
    /// # Errors
    ///
    /// [`RandomError`]: the source does not work.
    pub fn new(mut source: R) -> Result<Random<R>, RandomError<R::Error>> {
        let mut samples = [[0; SEED_LEN]; 2];
        for sample in &mut samples {
            source.try_fill_bytes(sample).map_err(RandomError::Source)?;
        }
        let [first, second] = &samples;
        let is_constant = |sample: &[u8; SEED_LEN]| sample.iter().all(|byte| *byte == sample[0]);
        if first == second || is_constant(first) || is_constant(second) {
            return Err(RandomError::Stuck);
        }
        let mut seed = *first;
        for (byte, other) in seed.iter_mut().zip(second) {
            *byte ^= other;
        }
        Ok(Random {
            source: RefCell::new(source),
            spare: RefCell::new(ChaCha20Rng::from_seed(seed)),
            failures: Cell::new(0),
        })
    }

    /// How often the source has failed since [`new`](Random::new), and the seeded generator has stood in for it.
    pub fn failures(&self) -> u32 {
        self.failures.get()
    }

    /// What the source says, if it says anything.
    fn source<T>(&self, ask: impl FnOnce(&mut R) -> Result<T, R::Error>) -> Option<T> {
        // Borrowed already where a source asks itself.
        let answer = self
            .source
            .try_borrow_mut()
            .ok()
            .and_then(|mut source| ask(&mut source).ok());
        if answer.is_none() {
            self.failures.set(self.failures.get().saturating_add(1));
        }
        answer
    }

    fn u32(&self) -> u32 {
        self.source(R::try_next_u32)
            .unwrap_or_else(|| self.spare.borrow_mut().next_u32())
    }

    fn u64(&self) -> u64 {
        self.source(R::try_next_u64)
            .unwrap_or_else(|| self.spare.borrow_mut().next_u64())
    }

    fn fill(&self, out: &mut [u8]) {
        if self.source(|source| source.try_fill_bytes(out)).is_none() {
            // All of it: a source that failed may have written a half, or zeros.
            self.spare.borrow_mut().fill_bytes(out);
        }
    }
}

impl<R: TryCryptoRng> TryRng for &Random<R> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl<R: TryCryptoRng> TryCryptoRng for &Random<R> {}

/// The error of a source with the traits of an older rand_core, whose errors are no `core::error::Error`.
#[cfg(any(feature = "rand-core-06", feature = "rand-core-09"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OldError<E>(
    /// What the source says.
    pub E,
);

#[cfg(any(feature = "rand-core-06", feature = "rand-core-09"))]
impl<E: fmt::Display> fmt::Display for OldError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(any(feature = "rand-core-06", feature = "rand-core-09"))]
impl<E: fmt::Debug + fmt::Display> core::error::Error for OldError<E> {}

/// A source with the traits of rand_core 0.6, for a [`Random`]. All is asked for by `try_fill_bytes`, the only one of its calls
/// that may fail.
#[cfg(feature = "rand-core-06")]
#[derive(Clone, Debug)]
pub struct RandCore06<R>(
    /// The source.
    pub R,
);

#[cfg(feature = "rand-core-06")]
mod of_06 {
    use rand_core::{TryCryptoRng, TryRng};
    use rand_core_06::{CryptoRng, Error, RngCore};

    use super::{OldError, RandCore06, Random};

    impl<R: RngCore> TryRng for RandCore06<R> {
        type Error = OldError<Error>;

        fn try_next_u32(&mut self) -> Result<u32, OldError<Error>> {
            let mut bytes = [0; 4];
            self.try_fill_bytes(&mut bytes)?;
            Ok(u32::from_le_bytes(bytes))
        }

        fn try_next_u64(&mut self) -> Result<u64, OldError<Error>> {
            let mut bytes = [0; 8];
            self.try_fill_bytes(&mut bytes)?;
            Ok(u64::from_le_bytes(bytes))
        }

        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), OldError<Error>> {
            self.0.try_fill_bytes(out).map_err(OldError)
        }
    }

    impl<R: RngCore + CryptoRng> TryCryptoRng for RandCore06<R> {}

    impl<R: TryCryptoRng> RngCore for &Random<R> {
        fn next_u32(&mut self) -> u32 {
            self.u32()
        }

        fn next_u64(&mut self) -> u64 {
            self.u64()
        }

        fn fill_bytes(&mut self, out: &mut [u8]) {
            self.fill(out);
        }

        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
            self.fill(out);
            Ok(())
        }
    }

    impl<R: TryCryptoRng> CryptoRng for &Random<R> {}
}

/// A source with the traits of rand_core 0.9, for a [`Random`]: such that may fail (`TryRngCore`), and such that cannot.
#[cfg(feature = "rand-core-09")]
#[derive(Clone, Debug)]
pub struct RandCore09<R>(
    /// The source.
    pub R,
);

#[cfg(feature = "rand-core-09")]
mod of_09 {
    use rand_core_09::{CryptoRng, RngCore, TryCryptoRng as OldTryCryptoRng, TryRngCore};

    use super::{OldError, RandCore09, Random};

    impl<R: TryRngCore> rand_core::TryRng for RandCore09<R> {
        type Error = OldError<R::Error>;

        fn try_next_u32(&mut self) -> Result<u32, OldError<R::Error>> {
            self.0.try_next_u32().map_err(OldError)
        }

        fn try_next_u64(&mut self) -> Result<u64, OldError<R::Error>> {
            self.0.try_next_u64().map_err(OldError)
        }

        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), OldError<R::Error>> {
            self.0.try_fill_bytes(out).map_err(OldError)
        }
    }

    impl<R: OldTryCryptoRng> rand_core::TryCryptoRng for RandCore09<R> {}

    impl<R: rand_core::TryCryptoRng> RngCore for &Random<R> {
        fn next_u32(&mut self) -> u32 {
            self.u32()
        }

        fn next_u64(&mut self) -> u64 {
            self.u64()
        }

        fn fill_bytes(&mut self, out: &mut [u8]) {
            self.fill(out);
        }
    }

    impl<R: rand_core::TryCryptoRng> CryptoRng for &Random<R> {}
}
