//! Files on the simulated board: what a small file system gives a module, with its power cuts.
//!
//! Depends on [`flash`](crate::flash) for the power supply only; the content is in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::flash::{Outcome, PowerSupply};

/// Files that survive a restart. Cloning gives another handle onto the same files.
///
/// They stand in for a file system such as littlefs, and for modules whose payload goes elsewhere than into flash. Each
/// change is one operation of the chip's power supply: power can be cut before, within and after it. What a cut
/// *within* leaves: of a [`write`](Files::write) the first part of the new content, of a [`rename`](Files::rename) or
/// [`remove`](Files::remove) all or nothing, as a journalling file system promises.
///
/// No call returns after the power was lost, and none fails otherwise.
#[derive(Clone, Debug)]
pub struct Files {
    power: PowerSupply,
    content: Arc<Mutex<Content>>,
}

type Content = BTreeMap<String, Vec<u8>>;

/// There is no file of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound(pub String);

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no file `{}`", self.0)
    }
}

impl std::error::Error for NotFound {}

impl Files {
    /// No files yet.
    pub(crate) fn new(power: PowerSupply) -> Files {
        Files {
            power,
            content: Arc::default(),
        }
    }

    /// The same files on another power supply, apart from these from now on.
    pub(crate) fn fork(&self, power: PowerSupply) -> Files {
        Files {
            power,
            content: Arc::new(Mutex::new(self.content().clone())),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in a file, or `None` if there is none of that name.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.content().get(name).cloned()
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.content().keys().cloned().collect()
    }

    /// Writes a file, in place of an earlier one of that name.
    pub async fn write(&self, name: &str, bytes: &[u8]) {
        self.change(|content, reached| {
            let len = bytes.len() * usize::from(reached) / usize::from(u8::MAX);
            content.insert(name.to_owned(), bytes[..len].to_vec());
        })
        .await;
    }

    /// Gives a file another name, in place of an earlier one of that name.
    ///
    /// # Errors
    ///
    /// [`NotFound`]: there is none of the old name.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), NotFound> {
        if self.read(from).is_none() {
            return Err(NotFound(from.to_owned()));
        }
        self.change(|content, reached| {
            if reached > u8::MAX / 2
                && let Some(bytes) = content.remove(from)
            {
                content.insert(to.to_owned(), bytes);
            }
        })
        .await;
        Ok(())
    }

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// [`NotFound`]: there is none of this name.
    pub async fn remove(&self, name: &str) -> Result<(), NotFound> {
        if self.read(name).is_none() {
            return Err(NotFound(name.to_owned()));
        }
        self.change(|content, reached| {
            if reached > u8::MAX / 2 {
                content.remove(name);
            }
        })
        .await;
        Ok(())
    }

    /// One operation; the closure is told how far it gets, `u8::MAX` for all of it.
    async fn change(&self, change: impl FnOnce(&mut Content, u8)) {
        let reached = match self.power.operation() {
            Outcome::Done => {
                change(&mut self.content(), u8::MAX);
                return;
            }
            Outcome::DoneThenOff => Some(u8::MAX),
            Outcome::Torn(reached) => Some(reached),
            Outcome::NotDone => None,
        };
        if let Some(reached) = reached {
            change(&mut self.content(), reached);
        }
        std::future::pending().await
    }
}
