//! Each mode on one geometry, with a sample of the power cuts; all of them with `MENDER_TESTKIT_ALL=1`.

use mender_modules::mcuboot::{DirectXip, Overwrite, SwapMove, SwapOffset, SwapScratch};

use crate::deployments::{Geometry, passes};

#[test]
fn swap_move() {
    passes::<8, 512, SwapMove>(Geometry::of::<8, 512, SwapMove>(12));
}

#[test]
fn swap_offset() {
    passes::<4, 512, SwapOffset>(Geometry::of::<4, 512, SwapOffset>(12));
}

#[test]
fn swap_scratch() {
    passes::<8, 512, SwapScratch>(Geometry::of::<8, 512, SwapScratch>(12));
}

#[test]
fn overwrite() {
    passes::<4, 512, Overwrite>(Geometry::of::<4, 512, Overwrite>(12));
    passes::<4, 512, Overwrite>(Geometry::of::<4, 512, Overwrite>(12).whole());
}

#[test]
fn direct_xip() {
    passes::<8, 512, DirectXip>(Geometry::of::<8, 512, DirectXip>(12));
}
