//! Each mode on chips of many kinds: all write units, values of `BOOT_MAX_ALIGN` that go with them, sectors from 512 bytes to
//! 128 KiB, slots of different lengths.
//!
//! With `MENDER_TESTKIT_ALL=1`: every cut of every scenario on each chip (what a torn operation leaves is one of its many
//! possibilities), and a sample of second cuts. Without it a sample of the cuts.

use mender_modules::mcuboot::{DirectXip, Overwrite, SwapMove, SwapOffset, SwapScratch};

use crate::deployments::{Geometry, passes};
use crate::device::TestMode;

impl Geometry {
    fn with_max_align(self, max_align: u32) -> Geometry {
        Geometry { max_align, ..self }
    }

    fn with_slots(self, slot0: u32, slot1: u32) -> Geometry {
        Geometry {
            slots: (slot0, slot1),
            ..self
        }
    }

    fn with_few_second_cuts(self) -> Geometry {
        Geometry {
            few_second_cuts: true,
            ..self
        }
    }
}

/// A chip with small sectors and the smallest alignment that it allows.
fn small<const WRITE: usize, M: TestMode>() -> Geometry {
    Geometry::of::<WRITE, 512, M>(12).with_few_second_cuts()
}

/// Real sectors, few of them.
fn real<const WRITE: usize, const SECTOR: usize, M: TestMode>(sectors: u32) -> Geometry {
    Geometry::of::<WRITE, SECTOR, M>(sectors).with_few_second_cuts()
}

macro_rules! small_chips {
    ($($name:ident, $mode:ident;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn words_of_1_byte() {
                passes::<1, 512, $mode>(small::<1, $mode>());
            }

            #[test]
            fn words_of_2_bytes() {
                passes::<2, 512, $mode>(small::<2, $mode>());
            }

            #[test]
            fn words_of_4_bytes() {
                passes::<4, 512, $mode>(small::<4, $mode>().with_max_align(16));
            }

            #[test]
            fn words_of_8_bytes() {
                passes::<8, 512, $mode>(small::<8, $mode>().with_max_align(32));
            }

            #[test]
            fn words_of_16_bytes() {
                passes::<16, 512, $mode>(small::<16, $mode>());
            }

            #[test]
            fn words_of_32_bytes() {
                // The client's storage does not work with such words and less.
                passes::<32, 1024, $mode>(real::<32, 1024, $mode>(10));
            }
        }
    )*};
}

small_chips! {
    by_move, SwapMove;
    by_offset, SwapOffset;
    by_scratch, SwapScratch;
    overwriting, Overwrite;
    in_place, DirectXip;
}

#[test]
fn overwriting_the_whole_slot() {
    passes::<1, 512, Overwrite>(small::<1, Overwrite>().whole());
    passes::<32, 1024, Overwrite>(real::<32, 1024, Overwrite>(10).whole());
}

#[test]
fn slots_of_different_lengths() {
    passes::<8, 512, SwapMove>(small::<8, SwapMove>().with_slots(12, 11));
    passes::<4, 512, SwapOffset>(small::<4, SwapOffset>().with_slots(12, 12));
    passes::<8, 512, DirectXip>(small::<8, DirectXip>().with_slots(13, 10));
}

#[test]
fn sectors_of_2_kib() {
    passes::<8, 2048, SwapMove>(real::<8, 2048, SwapMove>(6));
}

#[test]
fn sectors_of_4_kib() {
    passes::<4, 4096, SwapOffset>(real::<4, 4096, SwapOffset>(6));
    passes::<4, 4096, SwapScratch>(real::<4, 4096, SwapScratch>(6));
}

#[test]
fn sectors_of_8_kib() {
    passes::<16, 8192, DirectXip>(real::<16, 8192, DirectXip>(4));
}

#[test]
fn sectors_of_16_kib() {
    passes::<1, 16384, Overwrite>(real::<1, 16384, Overwrite>(4));
}

#[test]
fn sectors_of_64_kib() {
    passes::<2, 65536, SwapOffset>(real::<2, 65536, SwapOffset>(4).with_bodies([700, 1200, 900]));
}

/// Images that reach into the sector of the note, so that the rules without one decide.
#[test]
fn without_a_note() {
    let bodies = [2440, 2450, 2460];
    passes::<8, 512, SwapMove>(small::<8, SwapMove>().with_slots(7, 6).with_bodies(bodies));
    passes::<8, 512, SwapOffset>(small::<8, SwapOffset>().with_slots(7, 7).with_bodies(bodies));
    passes::<8, 512, SwapScratch>(
        small::<8, SwapScratch>()
            .with_slots(7, 7)
            .with_bodies([2600, 2610, 2620]),
    );
}

/// Images that an overwrite leaves no trace of in slot 1.
#[test]
fn overwriting_one_sector() {
    let bodies = [700, 1200, 900];
    passes::<8, 131_072, Overwrite>(real::<8, 131_072, Overwrite>(4).with_bodies(bodies));
    passes::<4, 4096, Overwrite>(real::<4, 4096, Overwrite>(4).with_bodies(bodies).whole());
    passes::<16, 2048, Overwrite>(real::<16, 2048, Overwrite>(2).with_bodies(bodies));
}

#[test]
fn sectors_of_128_kib() {
    passes::<32, 131_072, SwapMove>(real::<32, 131_072, SwapMove>(4).with_bodies([700, 1200, 900]));
}
