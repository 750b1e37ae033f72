//! What the client decides. Pure: no await, no IO, no clock, no generics over what the user brings, no trait objects. It is
//! compiled once, and tested without a network, a flash or time.
//!
//! ```text
//!     driver                                                    agent
//!   ┌─────────┐   next(now, requests of other tasks, memory)   ┌───────────────────────────────────┐
//!   │         │ ─────────────────────────────────────────────► │ schedule: what is due             │
//!   │ awaits  │   Io: the one thing to do now                  │   ├─ boot                         │
//!   │         │ ◄───────────────────────────────────────────── │   ├─ deployment ─► download ──┐   │
//!   │         │                                                │   ├─ updates ─────────────────┤   │
//!   │         │   done(now, memory, how it went)               │   ├─ inventory ───────────────┤   │
//!   │         │ ─────────────────────────────────────────────► │   └─ sleep           session ◄┘   │
//!   └─────────┘                                                └───────────────────────────────────┘
//! ```
//!
//! | file | job | knows |
//! |---|---|---|
//! | `time.rs` | moments, pauses, backoff | nothing |
//! | `config.rs`, `event.rs` | what the user says and is told | `deployment`, `api`, `net` |
//! | `memory.rs` | the lent memory: who uses which bytes when | `provides`, `net` |
//! | `io.rs` | what is asked and answered | all above |
//! | `message.rs`, `answer.rs` | requests written, answers read | all above |
//! | `session.rs` | one exchange at a time: network, login, tries | all above |
//! | `download.rs` | link, `Range`, resume, blocks | session |
//! | `journal.rs`, `records.rs` | log entries, records | `deployment`, `storage` |
//! | `deployment/` | the machine's actions as requests, records and calls | download, session |
//! | `inventory.rs`, `updates.rs` | when to report, when to ask | session |
//! | `boot.rs` | what storage says at the start | deployment |
//! | `schedule/` | the agent: whose turn it is, and until when to sleep | all above |
//! | `fuzz.rs` | doors for the fuzzer, with the feature `__fuzz` | all above |
//!
//! Each part owns its state; none is borrowed by two. One exchange with the server is made at a time. While an artifact comes,
//! others get their turn between two blocks, in each pause, and while a restart is awaited: the inventory goes on, requests of
//! other tasks are heard. A module's callback delays them by its length.

mod answer;
mod boot;
pub(crate) mod config;
pub(crate) mod deployment;
pub(crate) mod download;
pub(crate) mod event;
#[cfg(test)]
mod fleet;
#[cfg(feature = "__fuzz")]
pub mod fuzz;
mod inventory;
pub(crate) mod io;
mod journal;
pub(crate) mod memory;
mod message;
#[cfg(test)]
mod model;
pub(crate) mod records;
mod schedule;
pub(crate) mod session;
mod time;
mod updates;

pub(crate) use answer::Lost;
pub(crate) use io::{Done, Fault, Io, Now, Requests};
pub(crate) use memory::Memory;
pub(crate) use schedule::{Agent, Setup};
