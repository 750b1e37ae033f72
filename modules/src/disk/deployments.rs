//! For tests: power cuts. What one leaves of the disk is said by [`mender_testkit::folder`].
//!
//! Twice: with the client's own state machine, at every step, where nothing may be left behind; and with the whole client in
//! the kit's test of update modules, in every flow. The client keeps its records in the board's simulated flash there; on a Linux
//! device they would be in [`mender::storage::FileStorage`], which has power cuts of its own in its tests.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mender::deployment::{Action, Event};
use mender::update_module::UpdateModule;
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::flash::{CutAt, PowerCut, SimFlash};
use mender_testkit::folder::Folder;
use mender_testkit::module_test::{Board, ModuleTest};
use mender_testkit::payload::MemoryPayload;
use tempfile::TempDir;

use super::Disk;
use super::crashes::{Case, Release, Tree, temporary, tree};
use super::witness::Witness;
use crate::support::{Outcome, Surroundings, deploy};

/// So many remains of what was cut within a step are tried; more with the kit's variable.
fn remains() -> u64 {
    match std::env::var_os("MENDER_TESTKIT_ALL") {
        Some(_) => 16,
        None => 2,
    }
}

/// A temporary folder with the paths in it.
pub(super) struct Place {
    pub(super) at: PathBuf,
    pub(super) work: PathBuf,
    pub(super) root: PathBuf,
    _folder: TempDir,
}

impl Place {
    pub(super) fn new() -> Place {
        let folder = temporary();
        let at = fs::canonicalize(folder.path()).unwrap();
        Place {
            work: at.join("var/lib/work"),
            root: at.join("root"),
            at,
            _folder: folder,
        }
    }
}

/// What the factory does: the root with what is in it, and a folder for the work folder.
pub(super) fn fill(at: &Path, before: fn(&Path)) {
    fs::create_dir(at.join("root")).unwrap();
    fs::create_dir(at.join("var")).unwrap();
    before(&at.join("root"));
}

/// A board with nothing but a disk.
struct Powered<'c, M> {
    case: &'c Case<M>,
    place: Place,
    chip: SimFlash<4, 4096>,
    folder: Folder,
    cuts: std::vec::IntoIter<PowerCut>,
}

impl<M: UpdateModule> Powered<'_, M> {
    fn next_cut(&mut self) {
        if let Some(cut) = self.cuts.next() {
            self.chip.cut_power(cut);
        }
    }
}

impl<M: UpdateModule> Surroundings for Powered<'_, M> {
    type Module = M;

    fn start(&mut self) -> M {
        let witness = Witness::of_board(self.folder.clone(), self.case.links);
        (self.case.start)(Disk { witness }, &self.place.work, &self.place.root)
    }

    fn restart(&mut self) -> bool {
        self.chip.restore_power();
        self.folder.show();
        self.next_cut();
        true
    }

    fn is_down(&self) -> bool {
        !self.chip.power_is_on()
    }

    fn payload(&self) -> MemoryPayload {
        self.case.payload(&self.place.root)
    }

    fn answer(&mut self, action: Action, event: Event) -> Event {
        (self.case.answer)(&self.place.work, action, event)
    }
}

impl<M: UpdateModule> Case<M> {
    /// One deployment with these cuts: as [`run`](Case::run), and gives the number of steps.
    fn run_with_cuts(&self, cuts: &[PowerCut]) -> (u64, Outcome) {
        let place = Place::new();
        let chip = SimFlash::new(1);
        let folder = Folder::on_chip(&chip, &place.at);
        folder.fill(|at| fill(at, self.before));
        let before = tree(&place.root);
        let mut board = Powered {
            case: self,
            place,
            chip,
            folder,
            cuts: Vec::from(cuts).into_iter(),
        };
        board.next_cut();
        let outcome = deploy(&mut board).expect("no restart is refused");
        let operations = board.chip.operations();
        // What was reported stays true when the power goes once more.
        board.chip.switch_off();
        board.chip.restore_power();
        board.folder.show();
        let case = format!("{cuts:?}: {}", outcome.log);
        assert!(!outcome.inconsistent, "{case}");
        let root = &board.place.root;
        if outcome.succeeded() {
            (self.after)(root, before);
        } else {
            assert_eq!(tree(root), before, "{case}");
        }
        // Of the download a removal may come back that nobody waited for; the next one removes it again.
        let left = tree(&board.place.work)
            .into_keys()
            .find(|name| !name.starts_with("incoming"));
        assert_eq!(left, None, "{case}");
        (operations, outcome)
    }

    /// A cut at every step, and again at some of those that follow.
    pub(crate) fn is_cut_everywhere(&self) {
        let (operations, outcome) = self.run_with_cuts(&[]);
        assert_eq!(outcome.succeeded(), self.succeeds, "{}", outcome.log);
        let within = |seed| CutAt::Within { seed };
        let mut played = 0;
        for operation in 1..=operations {
            let remains = (0..remains()).map(|seed| within(operation * 100 + seed));
            for at in [CutAt::Before, CutAt::After].into_iter().chain(remains) {
                let first = PowerCut { operation, at };
                self.run_with_cuts(&[first]);
                // Recoveries are short.
                let operation = 1 + (operation + played) % 17;
                let at = [CutAt::Before, within(played), CutAt::After][played as usize % 3];
                self.run_with_cuts(&[first, PowerCut { operation, at }]);
                played += 1;
            }
        }
        println!("{operations} steps, {played} cuts, as many with a second one");
        assert!(played > 100, "{played}");
    }
}

/// User and group of every file and folder.
type Owners = BTreeMap<PathBuf, (u32, u32)>;

/// All below the root, but for what the module has beside the destination: where its cleanup was kept from running, that is there.
fn observe(root: &Path) -> (Tree, Owners) {
    let mut tree = tree(root);
    tree.retain(|name, _| !name.to_str().is_some_and(|name| name.contains(".mender-")));
    let owner = |name: &PathBuf| {
        let there = fs::symlink_metadata(root.join(name)).unwrap();
        (name.clone(), (there.uid(), there.gid()))
    };
    let owners = tree.keys().map(owner).collect();
    (tree, owners)
}

impl<M: UpdateModule + 'static> Case<M> {
    fn test(&self, place: &Place) -> ModuleTest<M> {
        let (start, before, files, links) = (self.start, self.before, self.files, self.links);
        let (work, root) = (place.work.clone(), place.root.clone());
        let disk = {
            let at = place.at.clone();
            move |board: &Board| board.folder(&at)
        };
        let module = {
            let (disk, root) = (disk.clone(), root.clone());
            move |board: &Board| {
                let witness = Witness::of_board(disk(board), links);
                start(Disk { witness }, &work, &root)
            }
        };
        let look = {
            let (disk, root) = (disk.clone(), root.clone());
            move |board: &Board| {
                let _shown = disk(board);
                observe(&root)
            }
        };
        let artifact = |release| {
            let root = root.clone();
            move |artifact: ArtifactWriter| {
                let files = files(&root, release).into_iter();
                files.fold(artifact, |artifact, (name, content)| artifact.file(name, &content))
            }
        };
        ModuleTest::new(module)
            .sectors(0)
            .factory(move |board| disk(board).fill(|at| fill(at, before)))
            .observe(look)
            .artifact(artifact(Release::First))
            .next_artifact(artifact(Release::Next))
    }

    /// Plays every flow of a deployment with power cuts at every step.
    pub(crate) fn passes_every_flow(&self) {
        let place = Place::new();
        let summary = self.test(&place).bound(60).run();
        let links = if self.links { "" } else { " without hard links" };
        println!("{}{links}: {summary}", M::DESCRIPTOR.artifact_type);
        assert!(summary.cuts > 50 && summary.excused == 0, "{summary}");
    }
}
