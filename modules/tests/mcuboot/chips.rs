//! The module `zephyr-image` in the kit's test of update modules, on chips of many kinds. Takes minutes to compile and to run, so
//! that `cargo test` leaves it out: `.ci/cuts` runs it, or `cargo test -p mender-modules --test mcuboot_chips`.

#![allow(dead_code, reason = "shared with the target `mcuboot`, which uses all of it")]

mod deployments;
mod device;
#[path = "deployments/each_chip.rs"]
mod each_chip;
