//! `mender::adapters::random`: sources of each version, that work, fail at once, fail later, or are stuck.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;

use mender::adapters::random::{OldError, RandCore06, RandCore09, Random, RandomError};
use rand_core::{TryCryptoRng, TryRng};

/// What a source does from its so-and-so-many-th call on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// It says so, and has written zeros.
    Fails,
    /// It says the same number for ever.
    Stuck(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the clock stands still")
    }
}

impl std::error::Error for Broken {}

/// A source whose bytes are easily known: a counter through a permutation. The fault can be changed from outside.
#[derive(Debug)]
struct Source<'f> {
    at: u64,
    calls: &'f Cell<u32>,
    fault: &'f Cell<(u32, Fault)>,
}

impl Source<'_> {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), Broken> {
        self.calls.set(self.calls.get() + 1);
        let (from, fault) = self.fault.get();
        let fault = if self.calls.get() >= from { fault } else { Fault::None };
        for byte in out {
            self.at += 1;
            *byte = match fault {
                Fault::None => (self.at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as u8,
                Fault::Fails => 0,
                Fault::Stuck(byte) => byte,
            };
        }
        if fault == Fault::Fails { Err(Broken) } else { Ok(()) }
    }
}

impl TryRng for Source<'_> {
    type Error = Broken;

    fn try_next_u32(&mut self) -> Result<u32, Broken> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Broken> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Broken> {
        self.fill(out)
    }
}

impl TryCryptoRng for Source<'_> {}

/// The same with the traits of 0.6 and 0.9.
struct Old<'f>(Source<'f>);

impl rand_core_09::TryRngCore for Old<'_> {
    type Error = Broken;

    fn try_next_u32(&mut self) -> Result<u32, Broken> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Broken> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Broken> {
        self.0.fill(out)
    }
}

impl rand_core_09::TryCryptoRng for Old<'_> {}

struct Oldest<'f>(Source<'f>);

const CODE: u32 = rand_core_06::Error::CUSTOM_START + 7;

impl rand_core_06::RngCore for Oldest<'_> {
    fn next_u32(&mut self) -> u32 {
        unreachable!("it would have to panic where it fails")
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("it would have to panic where it fails")
    }

    fn fill_bytes(&mut self, _: &mut [u8]) {
        unreachable!("it would have to panic where it fails")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core_06::Error> {
        let code = std::num::NonZeroU32::new(CODE).unwrap();
        self.0.fill(out).map_err(|Broken| code.into())
    }
}

impl rand_core_06::CryptoRng for Oldest<'_> {}

/// Numbers of all three calls.
fn draw(mut rng: impl rand_core::CryptoRng) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    rng.fill_bytes(&mut bytes);
    bytes.extend(rng.next_u32().to_le_bytes());
    bytes.extend(rng.next_u64().to_le_bytes());
    bytes
}

/// A source of the given kind, and what it does.
fn with(from: u32, fault: Fault, test: impl Fn(&dyn Fn() -> Source<'static>, &'static Cell<(u32, Fault)>)) {
    let fault = Box::leak(Box::new(Cell::new((from, fault))));
    let make = || Source {
        at: 0,
        calls: Box::leak(Box::new(Cell::new(0))),
        fault,
    };
    test(&make, fault);
}

#[test]
fn a_source_that_works_is_what_is_heard() {
    with(0, Fault::None, |make, _| {
        let mut alone = make();
        // The samples of the start.
        alone.fill(&mut [0; 64]).unwrap();
        let mut expected = vec![0; 28];
        alone.fill(&mut expected).unwrap();
        let current = Random::new(make()).unwrap();
        let old = Random::new(RandCore09(Old(make()))).unwrap();
        let oldest = Random::new(RandCore06(Oldest(make()))).unwrap();
        assert_eq!(draw(&current), expected);
        assert_eq!(draw(&old), expected);
        assert_eq!(draw(&oldest), expected);
        assert_eq!(current.failures() + old.failures() + oldest.failures(), 0);
    });
}

#[test]
fn a_source_that_fails_is_refused_with_its_error() {
    for from in [1, 2] {
        with(from, Fault::Fails, |make, _| {
            assert_eq!(Random::new(make()).unwrap_err(), RandomError::Source(Broken));
            let old = Random::new(RandCore09(Old(make()))).unwrap_err();
            assert_eq!(old, RandomError::Source(OldError(Broken)));
            let text = "the source of random numbers fails: the clock stands still";
            assert_eq!(old.to_string(), text);
            let RandomError::Source(OldError(error)) = Random::new(RandCore06(Oldest(make()))).unwrap_err() else {
                panic!("it failed");
            };
            assert_eq!(error.code().unwrap().get(), CODE);
        });
    }
}

#[test]
fn a_source_that_is_stuck_is_refused() {
    for (from, byte) in [(1, 0), (1, 0xff), (1, 0x5a), (2, 0)] {
        with(from, Fault::Stuck(byte), |make, _| {
            assert_eq!(Random::new(make()).unwrap_err(), RandomError::Stuck);
        });
    }
    /// Always the same 32 bytes.
    struct Again;
    impl TryRng for Again {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(7)
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(7)
        }
        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
            out.iter_mut().zip(0..).for_each(|(byte, at)| *byte = at);
            Ok(())
        }
    }
    impl TryCryptoRng for Again {}
    assert!(matches!(Random::new(Again), Err(RandomError::Stuck)));
}

#[test]
fn a_source_that_fails_later_is_stood_in_for() {
    with(3, Fault::Fails, |make, fault| {
        let random = Random::new(make()).unwrap();
        let mut seen = BTreeSet::new();
        for round in 1..=1000 {
            let numbers = draw(&random);
            assert_eq!(random.failures(), 3 * round);
            for piece in numbers.chunks(4) {
                // Of 7000 words of 32 bits, two are the same once in 175 runs; this is one run, and it stays.
                assert!(seen.insert(piece.to_vec()), "{numbers:x?}");
            }
        }
        // No byte of what a failing source has left behind.
        assert!(!seen.contains(&vec![0; 4]));
        // It works again, and is heard again.
        fault.set((0, Fault::Stuck(0xa5)));
        assert_eq!(draw(&random), vec![0xa5; 28]);
        assert_eq!(random.failures(), 3000);
    });
}

#[test]
fn two_devices_do_not_say_the_same_when_their_sources_fail() {
    with(3, Fault::Fails, |make, _| {
        let one = Random::new(make()).unwrap();
        let mut other = make();
        other.at = 1;
        let other = Random::new(other).unwrap();
        assert_ne!(draw(&one), draw(&other));
    });
}

#[test]
fn users_of_all_versions_share_one_source() {
    fn oldest(mut rng: impl rand_core_06::CryptoRng + rand_core_06::RngCore) -> u64 {
        let mut bytes = [0; 8];
        rng.try_fill_bytes(&mut bytes).unwrap();
        rng.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes) ^ rng.next_u64() ^ u64::from(rng.next_u32())
    }
    fn old(mut rng: impl rand_core_09::CryptoRng) -> u64 {
        let mut bytes = [0; 8];
        rng.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes) ^ rng.next_u64() ^ u64::from(rng.next_u32())
    }
    let (calls, fault) = (Cell::new(0), Cell::new((0, Fault::None)));
    let random = Random::new(Source {
        at: 0,
        calls: &calls,
        fault: &fault,
    })
    .unwrap();
    let said = RefCell::new(BTreeSet::new());
    for _ in 0..50 {
        assert!(said.borrow_mut().insert(oldest(&random)));
        assert!(said.borrow_mut().insert(old(&random)));
        draw(&random);
    }
    // Two samples, then each call once.
    assert_eq!(calls.get(), 2 + 50 * (4 + 3 + 3));
    fault.set((0, Fault::Fails));
    assert!(said.borrow_mut().insert(oldest(&random)));
    assert!(said.borrow_mut().insert(old(&random)));
    assert_eq!(random.failures(), 7);
}
