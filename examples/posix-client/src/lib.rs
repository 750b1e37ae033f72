//! A Mender client for Linux on the library [`mender`]: for gateways, for trying things on a desk, and for proving the library
//! against real servers. The program is `mender-rs`.
//!
//! Each file knows only files that stand above it here:
//!
//! | file | job | knows |
//! |---|---|---|
//! | `span.rs` | a length of time as text | nothing |
//! | `lines.rs` | `key=value` lines, as identity and inventory scripts print them | nothing |
//! | `conf.rs` | the file `mender.conf` | `span` |
//! | `proxy.rs` | which proxy a connection takes | nothing |
//! | `outcome.rs` | exit status | nothing |
//! | `terminal.rs` | lines of the log, and the progress bar between them | nothing |
//! | `cli.rs` | arguments and environment | `lines`, `outcome`, `span` |
//! | `settings.rs` | arguments over file over defaults | `cli`, `conf`, `lines` |
//! | `script.rs` | runs a script with a time limit | nothing |
//! | `identity.rs` | who the device is | `lines`, `script`, `settings` |
//! | `inventory.rs` | what it tells of itself | `lines`, `script` |
//! | `key.rs` | keys from files | nothing |
//! | `lock.rs` | one process at a time in a data directory, and signals to it | nothing |
//! | `installed.rs` | what is installed, from the records | nothing |
//! | `tls.rs` | certificates | nothing |
//! | `net.rs` | connections, also by a proxy | `proxy`, `tls` |
//! | `modules.rs` | the update modules | `installed`, `settings` |
//! | `device.rs` | this host as the client sees it | `lines`, `outcome`, `terminal` |
//! | `fetch.rs` | an artifact from a file or URL | `net`, `terminal` |
//! | `standalone.rs` | `--install`, `commit`, `rollback` | those above |
//! | `serve.rs` | the client, signals and intervals together | those above |
//! | `run.rs` | what the arguments ask for | those above |
//!
//! `span`, `lines`, `conf`, `proxy`, `outcome`, `cli` and `settings` are pure: no IO, no await, no clock.

pub mod cli;
pub mod conf;
mod device;
mod fetch;
mod identity;
mod installed;
mod inventory;
mod key;
mod lines;
mod lock;
mod modules;
mod net;
mod outcome;
mod proxy;
pub mod run;
mod script;
mod serve;
pub mod settings;
mod span;
mod standalone;
pub mod terminal;
mod tls;
