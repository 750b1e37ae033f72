//! Tests of downloads that are cut short and come again: how much of them comes again, and what is never used.
//!
//! For files, and once for folders, which share all of it. What follows a download is in `deployments.rs`, where longer files go through
//! all flows too.

use std::fs;
use std::os::unix::fs::symlink;
use std::task::{Context, Poll};

use mender::update_module::{Artifact, Payload, PayloadError, PayloadEvent, PayloadSource};
use mender_testkit::flash::{CutAt, PowerCut, SimFlash};
use mender_testkit::folder::Folder;
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use super::crashes::{Tree, tree};
use super::deployments::{Place, fill};
use super::partial::PART_LEN;
use super::witness::Witness;
use super::{Disk, Step};
use crate::file::{Error, SingleFile};

const PART: usize = PART_LEN as usize;
const CHUNK: usize = 300;
/// Six parts and a half.
const LEN: usize = 6 * PART + PART / 2;

/// What is where a download was cut short: something else in each file.
fn content(file: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 * 31) as u8 ^ file).collect()
}

/// A device with a file system, whose power can go.
struct Device {
    place: Place,
    chip: SimFlash<4, 4096>,
    folder: Folder,
}

impl Device {
    fn new() -> Device {
        let place = Place::new();
        let chip = SimFlash::new(1);
        let folder = Folder::on_chip(&chip, &place.at);
        folder.fill(|at| fill(at, |_| {}));
        Device { place, chip, folder }
    }

    fn module(&self) -> (SingleFile, Witness) {
        let witness = Witness::of_board(self.folder.clone(), true);
        let disk = Disk {
            witness: witness.clone(),
        };
        (SingleFile::on(disk, &self.place.work, &self.place.root), witness)
    }

    fn payload(&self, content: &[u8]) -> MemoryPayload {
        let source = MemoryPayload::new("single-file", CHUNK)
            .file("dest_dir", self.place.root.to_str().unwrap())
            .file("filename", "app");
        source.file("app", content)
    }

    /// What comes of the payload besides the file.
    fn around(&self) -> usize {
        self.place.root.as_os_str().len() + "app".len()
    }

    /// A download by a program that starts; how many bytes of the file came.
    fn receives(&self, mut source: MemoryPayload) -> (Result<(), Error>, usize) {
        let (mut module, _) = self.module();
        let done = block_on(module.receive(&mut Payload::new(&mut source)));
        (done, source.handed_out().saturating_sub(self.around()))
    }

    /// One that ends when so many bytes of the file came, without a cleanup.
    fn ends_after(&self, content: &[u8], len: usize) {
        let source = self.payload(content);
        let source = source.breaks_after(self.around() + len, PayloadError::Connection);
        let (done, came) = self.receives(source);
        assert!(
            matches!(done, Err(Error::Payload(PayloadError::Connection))),
            "{done:?}"
        );
        assert_eq!(came, len);
    }

    /// The power goes at this operation from now on.
    fn cut(&self, operation: u64, at: CutAt) {
        self.chip.cut_power(PowerCut { operation, at });
    }

    fn power_comes_back(&self) {
        self.chip.restore_power();
        self.folder.show();
    }

    /// As root or somebody else may do it.
    fn changes(&self, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let path = self.place.work.join(name);
        self.folder
            .fill(|_| fs::write(&path, change(fs::read(&path).unwrap())).unwrap());
    }

    fn work(&self) -> Tree {
        tree(&self.place.work)
    }

    /// The rest of a deployment, after which nothing but the file is there.
    fn installs(&self, content: &[u8], case: &str) {
        let (mut module, _) = self.module();
        block_on(module.replace()).unwrap();
        block_on(module.tidy()).unwrap();
        assert_eq!(self.work(), Tree::new(), "{case}");
        let names: Vec<_> = tree(&self.place.root).into_keys().collect();
        assert_eq!(names, [std::path::PathBuf::from("app")], "{case}");
        assert_eq!(fs::read(self.place.root.join("app")).unwrap(), content, "{case}");
    }
}

/// Those of a cut at one operation.
fn cuts(operation: u64) -> impl Iterator<Item = CutAt> {
    let remains = match std::env::var_os("MENDER_TESTKIT_ALL") {
        Some(_) => 24,
        None => 4,
    };
    let within = (0..remains).map(move |seed| CutAt::Within {
        seed: operation * 100 + seed,
    });
    [CutAt::Before, CutAt::After].into_iter().chain(within)
}

/// Operations of a whole download.
fn operations(content: &[u8]) -> u64 {
    let device = Device::new();
    device.receives(device.payload(content)).0.unwrap();
    device.chip.operations()
}

/// At most a part comes again, and the chunk that had come and was not a part's yet.
fn at_most(content: &[u8], before: usize) -> usize {
    content.len() - before + PART + CHUNK
}

#[test]
fn after_every_power_cut_little_comes_again() {
    let content = content(1, LEN);
    let (mut most, mut played) = (0, 0);
    for operation in 1..=operations(&content) {
        for at in cuts(operation) {
            let case = format!("{at:?} {operation}");
            let device = Device::new();
            device.cut(operation, at);
            let (broken, before) = device.receives(device.payload(&content));
            assert!(matches!(broken, Err(Error::Disk(_))), "{case}: {broken:?}");
            device.power_comes_back();
            let (done, came) = device.receives(device.payload(&content));
            done.unwrap();
            assert!(came <= at_most(&content, before), "{case}: {came} after {before}");
            most = most.max(came + before - content.len());
            device.installs(&content, &case);
            played += 1;
        }
    }
    println!("{played} cuts, at most {most} bytes again, of which a part is {PART}");
    assert!(played > 200 && most > PART, "{played}, {most}");
}

/// Also where what follows is cut again: nothing that was there is lost by that.
#[test]
fn cuts_in_a_download_that_goes_on_lose_nothing() {
    let content = content(1, LEN);
    for begun in [PART - 1, PART, 2 * PART + 1, 5 * PART - 1, LEN - 1, LEN] {
        for operation in 1.. {
            let mut came_to_its_end = false;
            for at in cuts(operation) {
                let case = format!("{begun}, {at:?} {operation}");
                let device = Device::new();
                // A program that was killed, and no power cut: so far.
                device.ends_after(&content, begun);
                device.cut(operation, at);
                let (broken, more) = device.receives(device.payload(&content));
                if broken.is_ok() {
                    came_to_its_end = true;
                    break;
                }
                device.power_comes_back();
                let (done, came) = device.receives(device.payload(&content));
                done.unwrap();
                // The one in the middle has begun at a part's end.
                let before = begun.max(begun / PART * PART + more.saturating_sub(CHUNK) / PART * PART);
                assert!(
                    came <= at_most(&content, before),
                    "{case}: {came} after {begun} and {more}"
                );
                device.installs(&content, &case);
            }
            if came_to_its_end {
                assert!(operation > 4, "{begun}: {operation}");
                break;
            }
        }
    }
}

#[test]
fn another_file_begins_anew_and_nothing_is_left_of_the_first() {
    let (first, second) = (content(1, LEN), content(2, 3 * PART));
    for begun in [2 * PART + 1, LEN] {
        for operation in 0.. {
            let mut came_to_its_end = operation == 0;
            for at in cuts(operation) {
                let case = format!("{begun}, {at:?} {operation}");
                let device = Device::new();
                device.ends_after(&first, begun);
                if operation > 0 {
                    device.cut(operation, at);
                    let (broken, _) = device.receives(device.payload(&second));
                    if broken.is_ok() {
                        came_to_its_end = true;
                        break;
                    }
                    device.power_comes_back();
                }
                // Whichever of the two comes, or a third one.
                let third = content(3, 5 * PART + 9);
                let next = [&second, &first, &third][(operation % 3) as usize];
                let (done, came) = device.receives(device.payload(next));
                done.unwrap();
                if operation == 0 || operation % 3 == 2 {
                    assert_eq!(came, next.len(), "{case}");
                }
                let names: Vec<_> = device.work().into_keys().collect();
                assert_eq!(
                    names,
                    ["ready", "ready/content", "ready/plan", "ready/received"].map(std::path::PathBuf::from),
                    "{case}"
                );
                device.installs(next, &case);
            }
            if came_to_its_end && operation > 0 {
                assert!(operation > 10);
                break;
            }
        }
    }
}

/// It is found by the file's checksum, once.
#[test]
fn what_is_not_the_files_fails_once_and_is_gone() {
    let content = content(1, LEN);
    for at in [0, PART, 3 * PART - 1] {
        for power_goes in [false, true] {
            let device = Device::new();
            device.ends_after(&content, 3 * PART + 5);
            device.changes("incoming/content", |mut there| {
                there[at] ^= 1;
                there
            });
            let (done, came) = device.receives(device.payload(&content));
            assert!(
                matches!(done, Err(Error::Payload(PayloadError::Artifact))),
                "{at}: {done:?}"
            );
            assert_eq!(came, LEN - 3 * PART, "{at}");
            if power_goes {
                device.cut(1, CutAt::Before);
                assert!(device.receives(device.payload(&content)).0.is_err());
                device.power_comes_back();
            }
            assert_eq!(device.work(), Tree::new(), "{at}");
            let (done, came) = device.receives(device.payload(&content));
            done.unwrap();
            assert_eq!(came, LEN, "{at}");
            device.installs(&content, "damaged");
        }
    }
    // Behind the parts that count nothing is looked at.
    let device = Device::new();
    device.ends_after(&content, 3 * PART + 500);
    device.changes("incoming/content", |mut there| {
        there[3 * PART] ^= 1;
        there.resize(2 * LEN, 0xff);
        there
    });
    let (done, came) = device.receives(device.payload(&content));
    done.unwrap();
    assert_eq!(came, LEN - 3 * PART);
    device.installs(&content, "behind the parts");
}

/// What is not the file's and cannot be removed is said: the next download would begin with it.
#[test]
fn a_disk_that_keeps_what_is_not_the_files_is_told() {
    let content = content(1, LEN);
    let damaged = || {
        let device = Device::new();
        device.ends_after(&content, 3 * PART + 5);
        device.changes("incoming/content", |mut there| {
            there[PART] ^= 1;
            there
        });
        device.chip.reset_counters();
        device
    };
    let device = damaged();
    assert!(device.receives(device.payload(&content)).0.is_err());
    // The last one is the removal's sync.
    let operation = device.chip.operations();
    let device = damaged();
    device.cut(operation, CutAt::Before);
    let (done, came) = device.receives(device.payload(&content));
    assert!(matches!(done, Err(Error::Disk(_))), "{done:?}");
    assert_eq!(came, LEN - 3 * PART);
}

/// Records that say what cannot be are none.
#[test]
fn what_cannot_be_begins_anew() {
    let file = content(1, LEN);
    type Change = fn(Vec<u8>) -> Vec<u8>;
    let changes: [(&str, Change); 7] = [
        ("received", |_| Vec::new()),
        ("received", |_| b"\n".into()),
        ("received", |record| [b"x", &record[..]].concat()),
        ("received", |record| record[..record.len() - 6].into()),
        ("received", |record| record[..record.len() - 3].into()),
        ("received", |record| [&record[..], b"...."].concat()),
        ("content", |there| there[..3 * PART - 1].into()),
    ];
    for (index, (name, change)) in changes.into_iter().enumerate() {
        let device = Device::new();
        device.ends_after(&file, 3 * PART + 5);
        device.changes(&format!("incoming/{name}"), change);
        let (done, came) = device.receives(device.payload(&file));
        done.unwrap();
        assert_eq!(came, LEN, "{index}");
        device.installs(&file, name);
    }
    // What was torn of a dot does not matter to those before and after it.
    let device = Device::new();
    device.ends_after(&file, 3 * PART + 5);
    device.changes("incoming/received", |record| [&record[..], b"\0"].concat());
    device.ends_after(&file, PART + 1);
    let (done, came) = device.receives(device.payload(&file));
    done.unwrap();
    assert_eq!(came, LEN - 4 * PART);
    device.installs(&file, "torn");
}

#[test]
fn a_link_in_the_place_of_the_file_is_not_followed() {
    let file = content(1, LEN);
    let device = Device::new();
    device.ends_after(&file, PART + 1);
    let (path, elsewhere) = (
        device.place.work.join("incoming/content"),
        device.place.at.join("var/other"),
    );
    device.folder.fill(|_| {
        fs::rename(&path, &elsewhere).unwrap();
        // It is as long as what the record says is there.
        let to = format!("{}{}", "/.".repeat(PART / 2), elsewhere.display());
        symlink(to, &path).unwrap();
    });
    let before = fs::read(&elsewhere).unwrap();
    assert!(fs::read(&path).unwrap() == before);
    let (done, came) = device.receives(device.payload(&file));
    done.unwrap();
    assert_eq!(came, LEN);
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
}

/// A cleanup ends it for good.
#[test]
fn a_cleanup_removes_what_was_begun() {
    let file = content(1, LEN);
    let device = Device::new();
    device.ends_after(&file, 3 * PART);
    block_on(device.module().0.tidy()).unwrap();
    assert_eq!(device.work(), Tree::new());
    let (done, came) = device.receives(device.payload(&file));
    done.unwrap();
    assert_eq!(came, LEN);
}

/// A payload whose files cannot be had from elsewhere, as if it came compressed.
struct Compressed(MemoryPayload);

impl PayloadSource for Compressed {
    fn artifact(&self) -> Artifact<'_> {
        self.0.artifact()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<PayloadEvent, PayloadError>> {
        self.0.poll_next(cx)
    }

    fn file_name(&self) -> &str {
        self.0.file_name()
    }

    fn data(&self) -> &[u8] {
        self.0.data()
    }
}

#[test]
fn a_file_that_comes_compressed_begins_anew() {
    let file = content(1, LEN);
    let device = Device::new();
    device.ends_after(&file, 3 * PART);
    for limit in [4 * PART, usize::MAX] {
        let mut source = Compressed(device.payload(&file).breaks_after(limit, PayloadError::Connection));
        if limit == usize::MAX {
            source = Compressed(device.payload(&file));
        }
        let (mut module, _) = device.module();
        let done = block_on(module.receive(&mut Payload::new(&mut source)));
        assert_eq!(done.is_ok(), limit == usize::MAX);
        assert!(!device.place.work.join("incoming/received").exists());
    }
    device.installs(&file, "compressed");
}

/// The steps of a download after the folders are there.
fn steps(len: usize) -> Vec<Step> {
    let folder = super::crashes::temporary();
    let (work, root) = (folder.path().join("work"), folder.path().join("root"));
    fs::create_dir(&root).unwrap();
    let disk = Disk::default();
    let mut source = MemoryPayload::new("single-file", CHUNK)
        .file("dest_dir", root.to_str().unwrap())
        .file("filename", "app")
        .file("app", content(1, len));
    let mut module = SingleFile::on(disk.clone(), &work, &root);
    block_on(module.receive(&mut Payload::new(&mut source))).unwrap();
    let relative = |path: &std::path::Path| path.strip_prefix(&work).is_ok_and(|path| path.starts_with("incoming"));
    let steps = disk.witness.steps().into_iter();
    let steps = steps.filter(|step| match step {
        Step::Create(path) | Step::Sync(path) => relative(path),
        _ => false,
    });
    steps.collect()
}

/// What fits into one part costs what it did without all this.
#[test]
fn a_small_file_has_no_record() {
    for len in [0, 1, PART - 1, PART] {
        // The file and the plan are made and synced, then the folder.
        assert_eq!(steps(len).len(), 5, "{len}");
    }
    // File, record, folder.
    assert_eq!(steps(PART + CHUNK).len(), 5 + 4);
    assert_eq!(steps(2 * PART).len(), 5 + 4);
    // The file and the record once more.
    assert_eq!(steps(2 * PART + CHUNK).len(), 5 + 6);
}
