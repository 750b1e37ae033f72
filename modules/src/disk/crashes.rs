//! For tests: a root and a work folder, a module on them, and a program that ends at chosen steps.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mender::deployment::{Action, Event};
use mender::update_module::UpdateModule;
use mender_testkit::payload::MemoryPayload;
use tempfile::TempDir;

use super::{Disk, Step};
use crate::support::{Outcome, Surroundings, deploy};

/// A temporary folder, in memory where there is such a place: nothing here needs a real disk.
pub(crate) fn temporary() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        TempDir::new_in(memory).unwrap()
    } else {
        TempDir::new().unwrap()
    }
}

/// All below a folder: path to mode and content (of a link, where it leads).
pub(crate) type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

pub(crate) fn tree(root: &Path) -> Tree {
    fn collect(root: &Path, folder: &Path, tree: &mut Tree) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if metadata.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            let name = path.strip_prefix(root).unwrap().into();
            tree.insert(name, (metadata.permissions().mode() & 0o7777, content));
            if metadata.is_dir() {
                collect(root, &path, tree);
            }
        }
    }
    let mut tree = Tree::new();
    collect(root, root, &mut tree);
    tree
}

/// What becomes of an action.
pub(crate) type Answer = fn(&Path, Action, Event) -> Event;

pub(crate) struct Program<M> {
    pub(crate) folder: TempDir,
    disk: Disk,
    start: fn(Disk, &Path, &Path) -> M,
    payload: MemoryPayload,
    answer: Answer,
    stops: std::vec::IntoIter<usize>,
}

impl<M: UpdateModule> Program<M> {
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn next_stop(&mut self) {
        if let Some(step) = self.stops.next() {
            self.disk.witness.stop_at(step);
        }
    }
}

impl<M: UpdateModule> Surroundings for Program<M> {
    type Module = M;

    fn start(&mut self) -> M {
        (self.start)(self.disk.clone(), &self.work(), &self.root())
    }

    fn restart(&mut self) -> bool {
        self.disk.witness.restart();
        self.next_stop();
        true
    }

    fn is_down(&self) -> bool {
        self.disk.witness.is_down()
    }

    fn payload(&self) -> MemoryPayload {
        self.payload.clone()
    }

    fn answer(&mut self, action: Action, event: Event) -> Event {
        (self.answer)(&self.work(), action, event)
    }
}

/// What happens as it should.
pub(crate) fn succeeds(_: &Path, _: Action, event: Event) -> Event {
    event
}

/// The new software does not reach the server.
fn is_not_committed(_: &Path, action: Action, event: Event) -> Event {
    if action == Action::CommitGate {
        Event::Failed
    } else {
        event
    }
}

/// Tests of cases: the program ends at every step, and the power is cut at every step.
macro_rules! at_every_step {
    ($($name:ident: $case:expr,)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn the_program_ends() {
                $case.ends_everywhere();
            }

            #[test]
            fn the_power_is_cut() {
                $case.is_cut_everywhere();
            }
        }
    )*};
}

pub(crate) use at_every_step;

/// What a payload brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    First,
    /// By another update after it.
    Next,
}

/// One kind of deployment.
pub(crate) struct Case<M> {
    pub(crate) start: fn(Disk, &Path, &Path) -> M,
    /// Fills the root.
    pub(crate) before: fn(&Path),
    /// Those of the payload, given the root.
    pub(crate) files: fn(&Path, Release) -> Vec<(&'static str, Vec<u8>)>,
    pub(crate) answer: Answer,
    pub(crate) links: bool,
    /// Checks the root after a success, given what was there before.
    pub(crate) after: fn(&Path, Tree),
    pub(crate) succeeds: bool,
}

impl<M> Case<M> {
    pub(crate) const fn fails(self, answer: Answer) -> Self {
        Case {
            answer,
            succeeds: false,
            ..self
        }
    }

    pub(crate) const fn rolled_back(self) -> Self {
        self.fails(is_not_committed)
    }
}

impl<M: UpdateModule> Case<M> {
    /// Runs it with the program ending after so many steps of each of its runs. Whatever happens: what is there is the new
    /// software after a success, and else exactly what was there before; nothing else is left anywhere.
    pub(crate) fn run(&self, stops: &[usize]) -> (Vec<Step>, Outcome) {
        let folder = temporary();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        (self.before)(&root);
        let before = tree(&root);
        let disk = Disk::default();
        if !self.links {
            disk.witness.without_links();
        }
        let payload = self.payload(&root);
        let mut program = Program {
            payload,
            folder,
            disk: disk.clone(),
            start: self.start,
            answer: self.answer,
            stops: Vec::from(stops).into_iter(),
        };
        program.next_stop();
        let outcome = deploy(&mut program).expect("no restart is refused");
        let case = format!("{stops:?}: {}", outcome.log);
        assert!(!outcome.inconsistent, "{case}");
        if outcome.succeeded() {
            (self.after)(&root, before);
        } else {
            assert_eq!(tree(&root), before, "{case}");
        }
        assert_eq!(tree(&program.work()), Tree::new(), "{case}");
        (disk.witness.steps(), outcome)
    }

    /// The long files of it in four chunks.
    pub(crate) fn payload(&self, root: &Path) -> MemoryPayload {
        let files = (self.files)(root, Release::First);
        let longest = files.iter().map(|(_, content)| content.len()).max().unwrap_or(1);
        let empty = MemoryPayload::new(M::DESCRIPTOR.artifact_type, longest.div_ceil(4));
        let files = files.into_iter();
        files.fold(empty, |payload, (name, content)| payload.file(name, content))
    }

    /// Ends the program at every single step, and again at some of those that the next run then does: at each of them for some
    /// first step.
    pub(crate) fn ends_everywhere(&self) {
        let (steps, outcome) = self.run(&[]);
        assert_eq!(outcome.succeeded(), self.succeeds, "{}", outcome.log);
        renames_are_durable(&steps);
        let steps = steps.len();
        assert!(steps > 10);
        for first in 0..steps {
            self.run(&[first]);
            for second in (first % 11..steps).step_by(11) {
                self.run(&[first, second]);
            }
        }
        self.run(&[steps / 2; 5]);
    }
}

/// What is put in place by a rename was brought to the disk before, and the rename is right after.
fn renames_are_durable(steps: &[Step]) {
    for (index, step) in steps.iter().enumerate() {
        let Step::Rename(from, to) = step else {
            continue;
        };
        let touched = |path: &Path| path.starts_with(from);
        let dirty = steps[..index].iter().fold(BTreeMap::new(), |mut dirty, step| {
            match step {
                Step::Create(path) | Step::Write(path, _) | Step::Shorten(path) if touched(path) => {
                    dirty.insert(path.clone(), true);
                }
                Step::Sync(path) => {
                    dirty.remove(path);
                }
                Step::RemoveTree(path) | Step::Rename(path, _) => {
                    dirty.retain(|dirty, _| !dirty.starts_with(path));
                }
                _ => {}
            }
            dirty
        });
        assert!(dirty.is_empty(), "{step:?} before a sync of {dirty:?}");
        let next = steps.get(index + 1);
        let parent = to.parent().unwrap();
        assert!(
            next.is_some_and(|next| *next == Step::Sync(parent.into())),
            "{step:?} is followed by {next:?}"
        );
    }
}
