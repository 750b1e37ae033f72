//! The program `mender-rs` as a process, against the test server on sockets of the loopback.
//!
//! | file | what is tried |
//! |---|---|
//! | `rig.rs` | server, data directory, the program |
//! | `deployments.rs` | deployments that succeed, fail, are aborted; outages |
//! | `control.rs` | signals, the lock, what is said |
//! | `tls.rs` | HTTPS and proxies |
//! | `starts.rs` | starts that cannot be; keys; a full disk |
//! | `kills.rs` | the program killed, at each report and at random |
//! | `restarts.rs` | the program ended in the middle of a download |
//! | `modules.rs` | programs as update modules, restarts of the host |
//! | `standalone.rs` | `--install`, `commit`, `rollback` |
//! | `papers.rs` | man page, systemd unit, Debian package |
//! | `readme.rs` | the commands of the README |

mod control;
mod deployments;
mod kills;
mod modules;
mod papers;
mod readme;
mod restarts;
mod rig;
mod standalone;
mod starts;
mod tls;
