//! The program `mender-rs` as a process, against the test server on sockets of the loopback.
//!
//! | file | what is tried |
//! |---|---|
//! | `rig.rs` | server, data directory, the program |
//! | `deployments.rs` | deployments that succeed, fail, are aborted; outages |
//! | `control.rs` | signals, the lock, what is said |

mod control;
mod deployments;
mod rig;
