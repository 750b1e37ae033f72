//! What the disk holds, and what only the kernel knows so far.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rand_core::TryRng;

use super::Change;
use crate::device::SeededRng;
use crate::flash::CutAt;

/// All files and folders, also those without a name; the first one is the folder of the board.
#[derive(Clone, Debug)]
pub(crate) struct Model(Vec<Node>);

type Id = usize;
const ROOT: Id = 0;

#[derive(Clone, Debug)]
struct Node {
    what: What,
    properties: Twice<Properties>,
}

#[derive(Clone, Debug)]
enum What {
    File(Content),
    /// Never changes.
    Link(PathBuf),
    /// What was in it, one change after the other: first as it is on the disk, last as programs see it. Never empty.
    Folder(Vec<Names>),
}

type Names = BTreeMap<OsString, Id>;

#[derive(Clone, Debug)]
struct Content {
    bytes: Twice<Vec<u8>>,
    /// So many of the first ones have not been touched since they were synced.
    kept: usize,
}

/// On the disk, and as programs see it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Twice<T> {
    synced: T,
    seen: T,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Properties {
    mode: u32,
    uid: u32,
    gid: u32,
    modified: SystemTime,
}

impl<T: Clone> Twice<T> {
    fn new(value: T) -> Twice<T> {
        Twice {
            synced: value.clone(),
            seen: value,
        }
    }

    fn sync(&mut self) {
        self.synced = self.seen.clone();
    }
}

impl Content {
    fn new(bytes: Vec<u8>) -> Content {
        Content {
            kept: bytes.len(),
            bytes: Twice::new(bytes),
        }
    }

    fn write(&mut self, seen: Vec<u8>) {
        self.bytes.seen = seen;
        self.kept = 0;
    }

    /// Only the end has changed.
    fn write_end(&mut self, seen: Vec<u8>) -> io::Result<()> {
        let before = &self.bytes.seen;
        let front = before.len().min(seen.len());
        if before[..front] != seen[..front] {
            return Err(io::Error::other("not only its end was written"));
        }
        self.kept = self.kept.min(front);
        self.bytes.seen = seen;
        Ok(())
    }

    fn sync(&mut self) {
        self.bytes.sync();
        self.kept = self.bytes.seen.len();
    }

    fn lose(&mut self, chance: &mut Chance) {
        let Twice { synced, seen } = &self.bytes;
        if synced != seen {
            let (front, new) = seen.split_at(self.kept);
            let rest = chance.content(&synced[self.kept..], new);
            *self = Content::new([front, &rest].concat());
        }
    }
}

impl Properties {
    fn of(metadata: &fs::Metadata) -> io::Result<Properties> {
        Ok(Properties {
            mode: metadata.permissions().mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            modified: metadata.modified()?,
        })
    }

    fn set(&self, path: &Path) -> io::Result<()> {
        let now = fs::symlink_metadata(path)?;
        if now.is_file() {
            fs::File::options()
                .write(true)
                .open(path)?
                .set_modified(self.modified)?;
        }
        if (now.uid(), now.gid()) != (self.uid, self.gid) {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))?;
        }
        if !now.is_symlink() {
            fs::set_permissions(path, fs::Permissions::from_mode(self.mode))?;
        }
        Ok(())
    }
}

impl Default for Model {
    fn default() -> Model {
        let properties = Properties {
            mode: 0o755,
            uid: 0,
            gid: 0,
            modified: SystemTime::UNIX_EPOCH,
        };
        Model(vec![Node {
            what: What::Folder(vec![Names::new()]),
            properties: Twice::new(properties),
        }])
    }
}

impl Model {
    /// All below a folder of the host.
    pub(super) fn scan(at: &Path) -> io::Result<Model> {
        let mut model = Model::default();
        model.scan_folder(ROOT, at, &mut HashMap::new())?;
        model.settle();
        Ok(model)
    }

    fn scan_folder(&mut self, id: Id, folder: &Path, known: &mut HashMap<u64, Id>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let inode = fs::symlink_metadata(&path)?.ino();
            let there = match known.get(&inode) {
                Some(there) => *there,
                None => self.take(&path)?,
            };
            known.insert(inode, there);
            if let Some(content) = self.content(there) {
                content.write(fs::read(&path)?);
            }
            self.name(id, |names| {
                names.insert(name_of(&path), there);
            });
            if let What::Folder(_) = self.0[there].what {
                self.scan_folder(there, &path, known)?;
            }
        }
        Ok(())
    }

    /// A node for what was just made at a path of the host, without content.
    fn take(&mut self, path: &Path) -> io::Result<Id> {
        let metadata = fs::symlink_metadata(path)?;
        let what = if metadata.is_dir() {
            What::Folder(vec![Names::new()])
        } else if metadata.is_symlink() {
            What::Link(fs::read_link(path)?)
        } else {
            What::File(Content::new(Vec::new()))
        };
        let properties = Twice::new(Properties::of(&metadata)?);
        self.0.push(Node { what, properties });
        Ok(self.0.len() - 1)
    }

    fn content(&mut self, id: Id) -> Option<&mut Content> {
        match &mut self.0[id].what {
            What::File(content) => Some(content),
            What::Link(_) | What::Folder(_) => None,
        }
    }

    /// What programs see in a folder.
    fn names(&self, folder: Id) -> Option<&Names> {
        match &self.0[folder].what {
            What::Folder(states) => states.last(),
            What::File(_) | What::Link(_) => None,
        }
    }

    /// Changes the names in a folder.
    fn name(&mut self, folder: Id, change: impl FnOnce(&mut Names)) {
        if let What::Folder(states) = &mut self.0[folder].what
            && let Some(last) = states.last()
        {
            let mut names = last.clone();
            change(&mut names);
            states.push(names);
        }
    }

    /// What is at a path, as programs see it.
    fn find(&self, path: &Path) -> Option<Id> {
        path.iter()
            .try_fold(ROOT, |id, name| self.names(id)?.get(name).copied())
    }

    /// After this was done at a place of the host.
    pub(super) fn after(&self, change: Change<'_>, at: &Path) -> Model {
        let mut after = self.clone();
        let applied = after.try_apply(change, at);
        applied.unwrap_or_else(|error| panic!("{change:?} does not fit what is in {}: {error}", at.display()));
        after
    }

    fn try_apply(&mut self, change: Change<'_>, at: &Path) -> io::Result<()> {
        let missing = || io::Error::other("it is not there");
        let inner = |path: &Path| {
            path.strip_prefix(at)
                .map(Path::to_path_buf)
                .map_err(|_| io::Error::other("it is outside"))
        };
        let find = |model: &Model, path: &Path| model.find(&inner(path)?).ok_or_else(missing);
        let parent = |model: &Model, path: &Path| find(model, path.parent().ok_or_else(missing)?);
        match change {
            Change::Make(path) => {
                let folder = parent(self, path)?;
                let id = self.take(path)?;
                self.name(folder, |names| {
                    names.insert(name_of(path), id);
                });
            }
            Change::Link { from, to } => {
                let (id, folder) = (find(self, from)?, parent(self, to)?);
                self.name(folder, |names| {
                    names.insert(name_of(to), id);
                });
            }
            Change::Write(path) => {
                let id = find(self, path)?;
                let seen = fs::read(path)?;
                self.content(id).ok_or_else(missing)?.write(seen);
            }
            Change::WriteEnd(path) => {
                let id = find(self, path)?;
                let seen = fs::read(path)?;
                self.content(id).ok_or_else(missing)?.write_end(seen)?;
            }
            Change::Set(path) => {
                let id = find(self, path)?;
                self.0[id].properties.seen = Properties::of(&fs::symlink_metadata(path)?)?;
            }
            Change::Rename { from, to } => {
                let (id, folder) = (find(self, from)?, parent(self, to)?);
                if folder != parent(self, from)? {
                    return Err(io::Error::other("a rename from folder to folder is not modelled"));
                }
                if find(self, to).is_ok_and(|there| there == id) {
                    // Two names of one file: POSIX leaves both.
                    return Ok(());
                }
                self.name(folder, |names| {
                    names.remove(&name_of(from));
                    names.insert(name_of(to), id);
                });
            }
            Change::Remove(path) => {
                let (id, folder) = (find(self, path)?, parent(self, path)?);
                self.empty(id);
                self.name(folder, |names| {
                    names.remove(&name_of(path));
                });
            }
            Change::Sync(path) => {
                let id = find(self, path)?;
                let seen = Properties::of(&fs::symlink_metadata(path)?)?;
                let node = &mut self.0[id];
                node.properties = Twice::new(seen);
                match &mut node.what {
                    What::File(content) => content.sync(),
                    What::Folder(states) => drop(states.drain(..states.len() - 1)),
                    What::Link(_) => return Err(io::Error::other("a link cannot be opened")),
                }
            }
        }
        Ok(())
    }

    /// Takes away all that is in a folder, name by name.
    fn empty(&mut self, id: Id) {
        let names = self.names(id).cloned().unwrap_or_default();
        for (name, inner) in names {
            self.empty(inner);
            self.name(id, |names| {
                names.remove(&name);
            });
        }
    }

    /// All that programs see is on the disk.
    fn settle(&mut self) {
        self.lose(CutAt::After);
    }

    /// What the disk holds after a cut: see the parent module.
    pub(crate) fn after_power_cut(&self, cut: CutAt) -> Model {
        let mut after = self.clone();
        after.lose(cut);
        after
    }

    fn lose(&mut self, cut: CutAt) {
        for (id, node) in self.0.iter_mut().enumerate() {
            let mut chance = match cut {
                CutAt::Before => Chance::None,
                CutAt::Within { seed } => Chance::Some(SeededRng::new(seed ^ (id as u64) << 32)),
                CutAt::After => Chance::All,
            };
            match &mut node.what {
                What::File(content) => content.lose(&mut chance),
                What::Folder(states) => {
                    let last = states.len() - 1;
                    *states = vec![states.swap_remove(chance.up_to(last))];
                }
                What::Link(_) => {}
            }
            let Twice { synced, seen } = &node.properties;
            node.properties = Twice::new(if chance.up_to(1) == 0 { synced } else { seen }.clone());
        }
    }

    fn hash_node<H: Hasher>(&self, id: Id, hasher: &mut H, known: &mut HashMap<Id, usize>) {
        let number = known.len();
        if let Some(known) = known.get(&id) {
            known.hash(hasher);
            return;
        }
        known.insert(id, number);
        number.hash(hasher);
        let Node { what, properties } = &self.0[id];
        for Properties {
            mode,
            uid,
            gid,
            modified: _,
        } in [&properties.synced, &properties.seen]
        {
            (mode, uid, gid).hash(hasher);
        }
        std::mem::discriminant(what).hash(hasher);
        match what {
            What::File(Content { bytes, kept }) => (&bytes.synced, &bytes.seen, kept).hash(hasher),
            What::Link(target) => target.hash(hasher),
            What::Folder(states) => {
                states.len().hash(hasher);
                for names in states {
                    names.len().hash(hasher);
                    for (name, id) in names {
                        name.hash(hasher);
                        self.hash_node(*id, hasher, known);
                    }
                }
            }
        }
    }

    /// Puts everything into an empty folder of the host, as programs see it.
    pub(super) fn write_to(&self, at: &Path) -> io::Result<()> {
        self.write_folder(ROOT, at, &mut HashMap::new())
    }

    fn write_folder(&self, id: Id, at: &Path, written: &mut HashMap<Id, PathBuf>) -> io::Result<()> {
        for (name, id) in self.names(id).into_iter().flatten() {
            let path = at.join(name);
            let node = &self.0[*id];
            if let Some(same) = written.get(id) {
                fs::hard_link(same, &path)?;
                continue;
            }
            match &node.what {
                What::File(content) => fs::write(&path, &content.bytes.seen)?,
                What::Link(target) => std::os::unix::fs::symlink(target, &path)?,
                What::Folder(_) => {
                    fs::create_dir(&path)?;
                    self.write_folder(*id, &path, written)?;
                }
            }
            node.properties.seen.set(&path)?;
            written.insert(*id, path);
        }
        Ok(())
    }
}

/// Equal for disks that hold the same and can lose the same, however they came to it. Times of modification are left out:
/// they come from the host's clock.
impl Hash for Model {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.hash_node(ROOT, hasher, &mut HashMap::new());
    }
}

fn name_of(path: &Path) -> OsString {
    path.file_name().map(OsStr::to_os_string).unwrap_or_default()
}

/// How much of what was not synced is on the disk all the same.
enum Chance {
    None,
    Some(SeededRng),
    All,
}

impl Chance {
    /// A number in `0..=most`.
    fn up_to(&mut self, most: usize) -> usize {
        match self {
            Chance::None => 0,
            Chance::Some(rng) => {
                let Ok(number) = rng.try_next_u32();
                number as usize % (most + 1)
            }
            Chance::All => most,
        }
    }

    fn content(&mut self, synced: &[u8], seen: &[u8]) -> Vec<u8> {
        let len = seen.len();
        match self.up_to(3) {
            0 => synced.to_vec(),
            1 => vec![0; len],
            2 => seen[..self.up_to(len)].to_vec(),
            _ => seen.to_vec(),
        }
    }
}
