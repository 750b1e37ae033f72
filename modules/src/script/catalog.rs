//! The programs in the folder of update modules, and their tables.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

use mender::update_module::{CallbackState, Descriptor, Failure, ModuleIndex, States};

use super::answers::Answers;

/// Why something in the folder of update modules is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoModule {
    /// Its name is none that a payload type can have: hidden, with control characters, or not in UTF-8.
    Name,
    /// It is no file.
    NotAFile,
    /// It is not executable.
    NotExecutable,
    /// There are more modules than places for them, which are 256.
    TooMany,
}

/// The tables grow at their end only, so that a module keeps its place. They are never given back: the client holds on to them.
#[derive(Debug)]
pub(super) struct Catalog {
    folder: PathBuf,
    table: Vec<Descriptor>,
    shown: &'static [Descriptor],
    told: BTreeMap<String, NoModule>,
}

impl Catalog {
    pub(super) fn new(folder: PathBuf) -> Catalog {
        Catalog {
            folder,
            table: Vec::new(),
            shown: &[],
            told: BTreeMap::new(),
        }
    }

    /// Reads the folder; tells of each thing in it that is no module, once. No folder is an empty one.
    pub(super) fn read(&mut self, answers: Option<&Answers>, tell: &mut dyn FnMut(&str, NoModule)) -> io::Result<()> {
        let found = match self.look() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            found => found?,
        };
        self.told.retain(|name, _| found.contains_key(name));
        for (name, judged) in found {
            let judged = judged.and_then(|()| self.add(&name, answers));
            match judged {
                Ok(()) => {
                    self.told.remove(&name);
                }
                Err(reason) if self.told.get(&name) == Some(&reason) => {}
                Err(reason) => {
                    tell(&name, reason);
                    self.told.insert(name, reason);
                }
            }
        }
        if self.shown.len() < self.table.len() {
            self.shown = self.table.clone().leak();
        }
        Ok(())
    }

    /// What was read.
    pub(super) fn table(&self) -> &'static [Descriptor] {
        self.shown
    }

    pub(super) fn name(&self, module: ModuleIndex) -> Result<&'static str, Failure> {
        let descriptor = self.shown.get(usize::from(module.get()));
        let name = descriptor.map(|descriptor| descriptor.artifact_type);
        name.ok_or_else(|| Failure::of("no such update module"))
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// In the order of their names.
    fn look(&self) -> io::Result<BTreeMap<String, Result<(), NoModule>>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let judged = match name.to_str() {
                Some(name) if is_type(name) => judge(&entry.path()),
                Some(_) | None => Err(NoModule::Name),
            };
            found.insert(name.to_string_lossy().into_owned(), judged);
        }
        Ok(found)
    }

    fn add(&mut self, name: &str, answers: Option<&Answers>) -> Result<(), NoModule> {
        if self.table.iter().any(|known| known.artifact_type == name) {
            return Ok(());
        }
        if u8::try_from(self.table.len()).is_err() {
            return Err(NoModule::TooMany);
        }
        let answers = answers.filter(|answers| answers.module == name);
        self.table.push(Descriptor {
            artifact_type: String::from(name).leak(),
            other_types: &[],
            requires_reboot: answers.is_some_and(Answers::requires_reboot),
            supports_rollback: answers.is_some_and(|answers| answers.supports_rollback),
            states: CallbackState::ALL.into_iter().fold(States::NONE, States::with),
        });
        Ok(())
    }
}

fn is_type(name: &str) -> bool {
    !name.starts_with('.') && !name.contains(char::is_control)
}

/// Links are followed.
fn judge(path: &Path) -> Result<(), NoModule> {
    match fs::metadata(path) {
        Ok(there) if !there.is_file() => Err(NoModule::NotAFile),
        Ok(there) if there.permissions().mode() & 0o111 == 0 => Err(NoModule::NotExecutable),
        Ok(_) => Ok(()),
        // A link to nothing, or gone since.
        Err(_) => Err(NoModule::NotAFile),
    }
}
