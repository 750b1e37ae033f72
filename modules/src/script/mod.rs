//! Mender's update modules for Linux as they are: any program that speaks the protocol v3 is an update module, so the stock ones and
//! your own run unchanged.
//!
//! A program in the folder of modules takes the payload type that is its name. It is called with a state and the absolute path of a
//! folder, the *file tree*, which is its working directory too; the exit status 0 is success. All of the protocol is here: see below.
//! For Linux; needs the standard library and a Tokio runtime with IO and time enabled. Depends on
//! [`mod@mender::update_module`], `tokio`, `rustix` and `serde_json`.
//!
//! ```
//! use mender_modules::file::SingleFile;
//! use mender_modules::script::{Beside, Event, Host, Scripts, Settings};
//!
//! struct Gateway;
//!
//! impl Host for Gateway {
//!     fn artifact_name(&mut self) -> String {
//!         "release-1".into() // what the client's storage says
//!     }
//!
//!     fn observe(&mut self, event: Event<'_>) {
//!         println!("{event}"); // or log::info!
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let work = folder.path();
//! // let work = "/var/lib/mender/modules/v3";
//! let scripts = Scripts::open(Settings::new(work, "gateway-a"), Gateway).await;
//!
//! // Alone, or beside modules of our own: a set for `Client::new`.
//! let own = (SingleFile::new("/var/lib/mender/single-file", "/etc/my-app"),);
//! let mut modules = Beside::new(own, scripts);
//! # use mender::update_module::ModuleSet;
//! # assert_eq!(modules.descriptors()[0].artifact_type, "single-file");
//! # std::io::Result::Ok(())
//! # })?;
//! # std::io::Result::Ok(())
//! ```
//!
//! A set of your own that has scripts in it is no more than two matches; [`Beside`] is one.
//!
//! # What is called when
//!
//! | state of the deployment | calls, in this order |
//! |---|---|
//! | download | `ProvidePayloadFileSizes`; `Download`, or `DownloadWithFileSizes` if the answer was `Yes`; `SupportsRollback` |
//! | install | `ArtifactInstall`; `NeedsArtifactReboot` |
//! | reboot | `ArtifactReboot` if the answer was `Yes`; [`Settings::reboot`] if it was `Automatic` |
//! | verify_reboot | `ArtifactVerifyReboot` |
//! | commit | `ArtifactCommit` |
//! | rollback | `ArtifactRollback` |
//! | rollback_reboot | `ArtifactRollbackReboot`, or [`Settings::reboot`] likewise |
//! | rollback_verify_reboot | `ArtifactVerifyRollbackReboot` |
//! | failure | `ArtifactFailure` |
//! | cleanup | `Cleanup`; then the file tree is removed, whatever the module said |
//!
//! The client decides which of these there are, by the answers and by how each went: see [`mod@mender::deployment`]. An answer is one
//! line, `Yes`, `No` or, of `NeedsArtifactReboot`, `Automatic`; nothing is `No`; anything else is an error. `ArtifactReboot` that
//! comes back has restarted something else than this device (a peripheral), and the client goes on at once; after `Automatic` the client
//! waits for its own end.
//!
//! # The file tree
//!
//! `payloads/0000/tree` in [`Settings::work`], for the owner alone: `version`, `current_artifact_name`, `current_artifact_group`,
//! `current_device_type`, `header/artifact_name`, `header/artifact_group`, `header/payload_type`, `header/header-info`,
//! `header/type-info`, `header/meta-data`, `tmp/`. Values are bare, without an end of line. `meta-data` is the artifact's text, or `null`;
//! `header-info` and `type-info` say what the artifact's say, in JSON written anew.
//!
//! In the download `stream-next` is a named pipe. Each full read gives one line, `streams/NAME` (`streams/NAME SIZE` with sizes): another
//! named pipe, to be read once, to its end. An empty read of `stream-next` says that there is no file any more. A module that opens
//! `stream-next` must come to this end, or the download fails; one that never opens it finds the files in `files/` from
//! `ArtifactInstall` on. Files with a name that is no plain name are refused.
//!
//! # Time, output, processes
//!
//! A call runs in a process group of its own, with the client's environment and an empty standard input. After [`Settings::timeout`] the group
//! gets SIGTERM, and SIGKILL when its leader has ended or [`Settings::grace`] is over. What it writes goes to [`Host::observe`], line by
//! line. When a program has ended, nobody waits for others that hold its output open: a service that a module starts must have
//! its output elsewhere, because the pipe is closed then.
//!
//! The client's other work goes on while a module runs.
//!
//! # Power loss, and clients that are killed
//!
//! A call that was cut is repeated, or answered with a rollback, by the next client, as the protocol says: modules must be ready for it.
//! The file tree is on the disk before the client knows of the download, and every answer before it acts by it. A download that was cut
//! begins anew; the module of the old one gets its `Cleanup` first.
//!
//! A client that is killed leaves its module running. The next client ends that process group before it calls any module; it knows the
//! processes by their standard input, an empty file in the work folder that each call has of its own. A client that is dropped ends the
//! process group itself. Two clients at a time on one work folder are not kept apart.
//!
//! # Rules
//!
//! Mender's protocol v3 (`update-modules-v3-file-api.md` of the Linux client), and where that is silent, what the Linux client does. Not
//! here: its state scripts, and augmented artifacts.
//!
//! Within this folder, `set` depends on all but `beside`; `pipes` and `answers` on `tree` and `error`; `tree` on `header`; `process` on `leftover`,
//! `output` and `error`; `host` on `catalog` and `output`.

mod answers;
mod beside;
mod catalog;
mod error;
mod header;
mod host;
mod leftover;
mod output;
mod pipes;
mod process;
mod set;
mod tree;

pub use beside::Beside;
pub use catalog::NoModule;
pub use host::{Event, Host, Settings};
pub use output::Stream;
pub use set::Scripts;
