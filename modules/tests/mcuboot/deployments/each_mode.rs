//! Each mode on one geometry, with a sample of the power cuts; all of them with `MENDER_TESTKIT_ALL=1`.

use mender_modules::mcuboot::{DirectXip, Overwrite, SwapMove, SwapOffset, SwapScratch};

use crate::deployments::{Geometry, passes, test};

/// Cuts within the page markers of the client's storage, which have to be written again over their remains.
#[test]
fn cuts_within_a_marker_of_the_storage() {
    let bodies = [1500, 1800, 2100];
    let test1 = test::<1, 512, SwapMove>(Geometry::of::<1, 512, SwapMove>(16).with_bodies(bodies));
    let events = test1.play_one("the payload is damaged / cut 12 within 1012");
    assert!(events.is_ok(), "{}", events.unwrap_err());
    let test8 = test::<8, 512, SwapMove>(Geometry::of::<8, 512, SwapMove>(16).with_bodies(bodies));
    let two = "the server refuses the commit, a reset after failure / cut 107 before / cut 22 within 861";
    let events = test8.play_one(two);
    assert!(events.is_ok(), "{}", events.unwrap_err());
}

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
