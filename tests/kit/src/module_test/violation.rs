//! What a module did wrong, and everything one needs to see it again.

use std::fmt;

use crate::flash::{FlashError, Operation, PowerCut};
use crate::server::Status;

use super::case::Case;
use super::scenario::Callback;
use super::witness::Trace;

/// The environment variable that replays one case.
pub const REPLAY_VARIABLE: &str = "MENDER_TESTKIT_REPLAY";

/// What was broken. The invariants are those of the client's design: reported success ⇔ the new software runs and is
/// committed; reported failure ⇔ the old software runs, or the artifact name says that it is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broken {
    /// The server was told `success`, but after the next restart something else than the new software runs.
    SuccessWithoutNew {
        /// What runs.
        runs: String,
        /// What should; `None` if this is the deployment from which that is learned.
        expected: Option<String>,
    },
    /// The server was told `failure` (or had aborted the deployment), but something else than the old software runs.
    FailureWithoutOld {
        /// What runs.
        runs: String,
        /// What should.
        expected: String,
    },
    /// The new software was active before `install` was called.
    ActiveTooEarly {
        /// What runs.
        runs: String,
        /// What should.
        expected: String,
    },
    /// The module supports rollback and nothing but the power (or the one injected failure) was in its way, but it did not get
    /// back: the artifact name carries `_INCONSISTENT`.
    NoWayBack,
    /// The module broke a rule of the flash chip.
    Flash(FlashError),
    /// `reboot` or `rollback_reboot` returned `Ok`, but nothing pulled the reset line.
    NoRestart,
    /// The bootloader hook failed.
    Bootloader(FlashError),
    /// The deployment has to end one way and ended another.
    Ending {
        /// What it has to end with.
        expected: Vec<Status>,
        /// What it ended with.
        found: Option<Status>,
    },
    /// The deployment, or the client after it, does not come to an end: it waits for ever, or restarts for ever.
    Endless,
    /// What the device says of itself does not go with the ending.
    ArtifactName {
        /// What the server was told.
        status: Status,
        /// The artifact name in the inventory.
        found: Option<String>,
    },
    /// After the failed deployment, the same update again, undisturbed, did not work.
    NotUpdatable(Box<Broken>),
    /// Something panicked.
    Panic(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::SuccessWithoutNew {
                runs,
                expected: Some(expected),
            } => write!(
                f,
                "success was reported, but the new software does not run: found {runs}, expected {expected}"
            ),
            Broken::SuccessWithoutNew { runs, expected: None } => write!(
                f,
                "success was reported, but the old software still runs after the next restart: {runs}"
            ),
            Broken::FailureWithoutOld { runs, expected } => write!(
                f,
                "the deployment failed, but the old software does not run: found {runs}, expected {expected}"
            ),
            Broken::ActiveTooEarly { runs, expected } => write!(
                f,
                "nothing may be active before `install`: found {runs}, expected {expected}"
            ),
            Broken::NoWayBack => f.write_str(
                "the module supports rollback and was not kept from it, but the old software was given up \
                 (`_INCONSISTENT`)",
            ),
            Broken::Flash(FlashError::NotErased { offset }) => write!(
                f,
                "a write to the word at {offset:#x}, which was not erased before it: erase what you write, \
                 also what an interrupted call may have left there"
            ),
            Broken::Flash(error) => write!(f, "a rule of the flash chip was broken: {error}"),
            Broken::NoRestart => f.write_str("the callback that should restart the device returned, and nothing did"),
            Broken::Bootloader(error) => write!(f, "the bootloader failed: {error}"),
            Broken::Ending { expected, found } => {
                f.write_str("the deployment ended with ")?;
                match found {
                    Some(found) => write!(f, "`{}`", found.as_str())?,
                    None => f.write_str("nothing")?,
                }
                for (place, expected) in expected.iter().enumerate() {
                    let link = if place == 0 { ", expected" } else { " or" };
                    write!(f, "{link} `{}`", expected.as_str())?;
                }
                Ok(())
            }
            Broken::Endless => f.write_str("the deployment does not come to an end"),
            Broken::ArtifactName { status, found } => write!(
                f,
                "the deployment ended with `{}`, but the device calls its software {found:?}",
                status.as_str()
            ),
            Broken::NotUpdatable(broken) => {
                write!(f, "the device cannot be updated after the failed deployment: {broken}")
            }
            Broken::Panic(text) => write!(f, "panic: {text}"),
        }
    }
}

/// A power cut that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutMade {
    /// The cut.
    pub cut: PowerCut,
    /// What it struck.
    pub operation: Option<Operation>,
    /// The deployment's state: `boot` while the bootloader worked.
    pub state: String,
    /// The module's callback that was at work.
    pub callback: Option<Callback>,
}

impl CutMade {
    pub(super) fn of(cut: PowerCut, operation: Option<Operation>, trace: &Trace) -> CutMade {
        CutMade {
            cut,
            operation,
            state: trace
                .state
                .map_or("before the deployment", |state| state.name())
                .to_owned(),
            callback: trace.callback.filter(|_| trace.in_callback),
        }
    }
}

/// A deployment that broke an invariant.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What was broken.
    pub broken: Broken,
    /// The deployment: replay it with [`ModuleTest::replay`](super::ModuleTest::replay).
    pub case: Case,
    /// The power cuts that happened.
    pub cuts: Vec<CutMade>,
    /// The deployment's state when it was noticed.
    pub state: Option<String>,
    /// The module's callback that was at work then, or that was the last.
    pub callback: Option<Callback>,
    /// What happened last, the latest at the end.
    pub events: Vec<String>,
    /// The name of the test, if it runs in one.
    pub(super) test: Option<String>,
    /// The second update was made up by the kit.
    pub(super) next_is_made_up: bool,
}

/// So many of the last events are shown.
pub(super) const SHOWN_EVENTS: usize = 24;

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.broken)?;
        writeln!(f, "  scenario: {}", self.case.scenario)?;
        if self.next_is_made_up {
            writeln!(
                f,
                "            (the second update brings the first payload with each byte complemented: if the module cannot take \
                 that, say `next_payload`)"
            )?;
        }
        for made in &self.cuts {
            write!(f, "  power:    {}", made.cut)?;
            if let Some(operation) = made.operation {
                write!(f, ", {operation}")?;
            }
            write!(f, ", in state {}", made.state)?;
            if let Some(callback) = made.callback {
                write!(f, ", callback `{callback}` at work")?;
            }
            writeln!(f)?;
        }
        if let Some(state) = &self.state {
            writeln!(f, "  state:    {state}")?;
        }
        if let Some(callback) = self.callback {
            writeln!(f, "  callback: {callback}")?;
        }
        writeln!(f, "  last events:")?;
        for event in &self.events {
            writeln!(f, "    {event}")?;
        }
        writeln!(f, "  replay with: .replay(\"{}\")", self.case)?;
        let test = self.test.as_deref().unwrap_or("");
        write!(f, "  or: {REPLAY_VARIABLE}='{}' cargo test {test}", self.case)
    }
}

impl std::error::Error for Violation {}
