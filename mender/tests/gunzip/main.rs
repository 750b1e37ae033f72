//! gzip, unpacked in little memory: against flate2, which is the oracle, and against streams made by hand.

mod against_flate2;
mod by_hand;
mod packer;
mod support;
