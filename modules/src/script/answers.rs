//! What the module of the present deployment has said of itself, kept in a file across restarts.
//!
//! ```text
//! script answers 1
//! module MODULE
//! rollback No | Yes
//! install begun                     once ArtifactInstall has begun
//! reboot No | Yes | Automatic       once it was asked
//! ```

use std::format;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::string::String;

use super::error::Error;
use super::tree;

const TITLE: &str = "script answers 1";

/// The answer to `NeedsArtifactReboot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reboot {
    /// Nothing has to restart.
    No,
    /// The module restarts what has to, in `ArtifactReboot`: something else than this device, or this device.
    Yes,
    /// The client restarts the device.
    Automatic,
}

impl Reboot {
    const ALL: [Reboot; 3] = [Reboot::No, Reboot::Yes, Reboot::Automatic];

    fn name(self) -> &'static str {
        match self {
            Reboot::No => "No",
            Reboot::Yes => "Yes",
            Reboot::Automatic => "Automatic",
        }
    }

    pub(super) fn parse(answer: &str) -> Option<Reboot> {
        match answer {
            "" => Some(Reboot::No),
            answer => Self::ALL.into_iter().find(|reboot| reboot.name() == answer),
        }
    }
}

/// The answer to a query that is answered by yes or no.
pub(super) fn parse_yes(answer: &str) -> Option<bool> {
    match answer {
        "Yes" => Some(true),
        "No" | "" => Some(false),
        _ => None,
    }
}

/// How far the install is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Install {
    /// `ArtifactInstall` has not begun.
    NotBegun,
    /// It has, and what has to restart is not known.
    Begun,
    /// The module was asked what has to restart.
    Answered(Reboot),
}

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) module: String,
    pub(super) supports_rollback: bool,
    pub(super) install: Install,
}

impl Answers {
    pub(super) fn new(module: &str, supports_rollback: bool) -> Answers {
        Answers {
            module: module.into(),
            supports_rollback,
            install: Install::NotBegun,
        }
    }

    pub(super) fn requires_reboot(&self) -> bool {
        match self.install {
            Install::Answered(Reboot::Yes | Reboot::Automatic) => true,
            Install::Answered(Reboot::No) | Install::NotBegun | Install::Begun => false,
        }
    }

    fn to_text(&self) -> String {
        let rollback = if self.supports_rollback { "Yes" } else { "No" };
        let text = format!("{TITLE}\nmodule {}\nrollback {rollback}\n", self.module);
        match self.install {
            Install::NotBegun => text,
            Install::Begun => text + "install begun\n",
            Install::Answered(reboot) => text + "install begun\nreboot " + reboot.name() + "\n",
        }
    }

    /// `None` if it is none that [`to_text`](Answers::to_text) made.
    fn parse(text: &str) -> Option<Answers> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != TITLE {
            return None;
        }
        let module = lines.next()?.strip_prefix("module ")?;
        let rollback = lines.next()?.strip_prefix("rollback ")?;
        let mut answers = Answers::new(module, parse_yes(rollback)?);
        for line in lines {
            answers.install = match (answers.install, line.split_once(' ')?) {
                (Install::NotBegun, ("install", "begun")) => Install::Begun,
                (Install::Begun, ("reboot", answer)) => Install::Answered(Reboot::parse(answer)?),
                (_, (_, _)) => return None,
            };
        }
        Some(answers)
    }
}

/// Where they are kept.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    path: PathBuf,
}

impl Kept {
    pub(super) fn new(folder: &Path) -> Kept {
        Kept {
            folder: folder.into(),
            path: folder.join("answers"),
        }
    }

    /// `None` if there are none; an error too if they are damaged.
    pub(super) fn read(&self) -> io::Result<Option<Answers>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => match Answers::parse(&text) {
                Some(answers) => Ok(Some(answers)),
                None => Err(io::ErrorKind::InvalidData.into()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// In one step: the old ones or the new ones are there, and on the disk.
    pub(super) fn write(&self, answers: &Answers) -> Result<(), Error> {
        let write = || {
            let new = self.folder.join("answers.new");
            tree::remove(&new)?;
            tree::write(&new, &answers.to_text())?;
            File::open(&new)?.sync_all()?;
            fs::rename(&new, &self.path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(Error::tree("answers"))
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        tree::remove(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path());
        assert_eq!(kept.read().unwrap(), None);
        let answered = Reboot::ALL.map(Install::Answered);
        for install in [Install::NotBegun, Install::Begun].into_iter().chain(answered) {
            for supports_rollback in [false, true] {
                let answers = Answers {
                    module: "a module".into(),
                    supports_rollback,
                    install,
                };
                kept.write(&answers).unwrap();
                assert_eq!(kept.read().unwrap(), Some(answers));
            }
        }
        kept.remove().unwrap();
        assert_eq!(kept.read().unwrap(), None);
    }

    #[test]
    fn what_was_not_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path());
        for text in [
            "",
            "script answers 1\nmodule m\nrollback Yes",
            "script answers 2\nmodule m\nrollback Yes\n",
            "script answers 1\nmodule m\nrollback Perhaps\n",
            "script answers 1\nmodule m\nrollback Yes\nreboot Never\n",
            "script answers 1\nmodule m\nrollback Yes\nreboot Yes\n",
            "script answers 1\nmodule m\nrollback Yes\ninstall begun\nreboot Never\n",
            "script answers 1\nmodule m\nrollback Yes\ninstall begun\nreboot Yes\nreboot Yes\n",
            "script answers 1\nmodule m\nrollback Yes\nnoise\n",
        ] {
            fs::write(folder.path().join("answers"), text).unwrap();
            assert_eq!(kept.read().unwrap_err().kind(), io::ErrorKind::InvalidData, "{text}");
        }
    }

    #[test]
    fn answers_are_those_of_the_protocol() {
        assert_eq!(Reboot::parse("Automatic"), Some(Reboot::Automatic));
        assert_eq!(Reboot::parse(""), Some(Reboot::No));
        assert_eq!(Reboot::parse("yes"), None);
        assert_eq!(parse_yes("Yes\n"), None);
    }
}
