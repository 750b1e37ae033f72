//! How a run ended, and the exit status that says so.

use std::process::ExitCode;

use tool_style::Wrong;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked for was done; with `--once`: the server has no update for this device.
    Done,
    /// With `--once`: an update was installed and committed.
    Updated,
    /// With `--once`: an update failed; the old software is in use, or the artifact's name says `_INCONSISTENT`.
    UpdateFailed,
    /// With `--once`: the server has not accepted this device (yet).
    NotAccepted,
    /// With `--once`: the server was not reached, or does not answer as a Mender server does; the text says why.
    NotReached(String),
    /// Done, and this host has to be restarted for it; the text says what for. Of `--install`, `commit` and `rollback`.
    NeedsRestart(String),
    /// Something else failed; the text says what.
    Failed(String),
    /// Wrong usage; the text says what.
    Usage(String),
}

/// The table of `--help`. A test holds it to [`Outcome::status`].
pub const TABLE: &str = "\
Exit status:
  0  done; with --once: the server has no update for this device
  1  failed, also by a file that is missing or no good; the last line on standard error says why
  2  wrong usage: an option, or an environment variable in its place
  3  --once: an update was installed and committed
  4  --once: an update failed; the old software is in use
  5  --once: the server has not accepted this device yet
  6  --once: the server was not reached
  7  --install, commit, rollback: done, and this host has to be restarted";

impl Outcome {
    /// The exit status.
    pub const fn status(&self) -> u8 {
        match self {
            Outcome::Done => 0,
            Outcome::Failed(_) => 1,
            Outcome::Usage(_) => 2,
            Outcome::Updated => 3,
            Outcome::UpdateFailed => 4,
            Outcome::NotAccepted => 5,
            Outcome::NotReached(_) => 6,
            Outcome::NeedsRestart(_) => 7,
        }
    }

    /// What is said on standard error.
    pub fn message(&self) -> Option<&str> {
        match self {
            Outcome::Failed(message)
            | Outcome::Usage(message)
            | Outcome::NotReached(message)
            | Outcome::NeedsRestart(message) => Some(message),
            Outcome::Done | Outcome::Updated | Outcome::UpdateFailed | Outcome::NotAccepted => None,
        }
    }
}

impl From<Wrong> for Outcome {
    fn from(wrong: Wrong) -> Outcome {
        match wrong {
            Wrong::Failed(message) => Outcome::Failed(message),
            Wrong::Usage(message) => Outcome::Usage(message),
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(outcome.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_status_once() {
        let all = [
            Outcome::Done,
            Outcome::Failed(String::new()),
            Outcome::Usage(String::new()),
            Outcome::Updated,
            Outcome::UpdateFailed,
            Outcome::NotAccepted,
            Outcome::NotReached(String::new()),
            Outcome::NeedsRestart(String::new()),
        ];
        let lines: Vec<&str> = TABLE.lines().skip(1).collect();
        assert_eq!(lines.len(), all.len());
        for (line, outcome) in lines.iter().zip(all) {
            assert!(line.starts_with(&format!("  {}  ", outcome.status())), "{line}");
        }
    }
}
