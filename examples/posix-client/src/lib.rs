//! A Mender client for Linux on the library [`mender`]: for gateways, for trying things on a desk, and for proving the library
//! against real servers. The program is `mender-rs`.
//!
//! | file | job | knows |
//! |---|---|---|
//! | `span.rs` | a length of time as text | nothing |
//! | `lines.rs` | `key=value` lines, as identity and inventory scripts print them | nothing |
//! | `conf.rs` | the file `mender.conf` | nothing |
//! | `proxy.rs` | which proxy a connection takes | nothing |
//! | `cli.rs` | arguments and environment | `span`, `lines` |
//! | `settings.rs` | arguments over file over defaults | all above |
//! | `script.rs` | runs a script with a time limit | nothing |
//! | `identity.rs`, `inventory.rs`, `key.rs` | who the device is, what it tells of itself, its key | `lines`, `script` |
//! | `lock.rs` | one process at a time in a data directory, and signals to it | nothing |
//! | `installed.rs` | what is installed, from the records | nothing |
//! | `terminal.rs` | lines of the log, and the progress bar between them | nothing |
//! | `tls.rs`, `net.rs` | certificates; connections, also by a proxy | `proxy` |
//! | `modules.rs` | the update modules | `installed`, `settings` |
//! | `outcome.rs` | exit status | nothing |
//! | `device.rs` | this host as the client sees it | `inventory`, `modules`, `outcome`, `terminal` |
//! | `serve.rs` | the client, signals and intervals together | all above |
//! | `fetch.rs` | an artifact from a file or URL | `net`, `terminal` |
//! | `standalone.rs` | `--install`, `commit`, `rollback` | all above but `serve` |
//! | `run.rs` | what the arguments ask for | all above |
//!
//! Everything that decides is pure and has unit tests beside it; what is awaited is in `script.rs`, `net.rs`,
//! `modules.rs`, `device.rs` and `serve.rs`.

pub mod cli;
pub mod conf;
pub mod device;
pub mod fetch;
pub mod identity;
pub mod installed;
pub mod inventory;
pub mod key;
pub mod lines;
pub mod lock;
pub mod modules;
pub mod net;
pub mod outcome;
pub mod proxy;
pub mod run;
pub mod script;
pub mod serve;
pub mod settings;
pub mod span;
pub mod standalone;
pub mod terminal;
pub mod tls;
