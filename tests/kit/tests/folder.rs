//! A folder of the host on the power supply of a simulated chip: what a power cut leaves of it.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use mender_testkit::flash::{CutAt, Operation, PowerCut, SimFlash};
use mender_testkit::folder::{Change, Folder};
use tempfile::TempDir;

struct Bench {
    at: TempDir,
    chip: SimFlash<4, 64>,
    folder: Folder,
}

impl Bench {
    /// With a file `old` and a folder `d`.
    fn new() -> Bench {
        let at = TempDir::new().unwrap();
        let chip = SimFlash::new(1);
        let folder = Folder::on_chip(&chip, at.path());
        folder.fill(|at| {
            fs::write(at.join("old"), "old content").unwrap();
            fs::create_dir(at.join("d")).unwrap();
        });
        Bench { at, chip, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.at.path().join(name)
    }

    fn makes(&self, name: &str) {
        let path = self.path(name);
        self.change(Change::Make(&path), |path| fs::write(path, "")).unwrap();
    }

    fn writes(&self, name: &str, content: &str) {
        let path = self.path(name);
        self.change(Change::Write(&path), |path| fs::write(path, content))
            .unwrap();
    }

    fn appends(&self, name: &str, content: &str) {
        let path = self.path(name);
        let append = |path: &Path| File::options().append(true).open(path)?.write_all(content.as_bytes());
        self.change(Change::WriteEnd(&path), append).unwrap();
    }

    fn shortens(&self, name: &str, len: u64) {
        let path = self.path(name);
        let shorten = |path: &Path| File::options().write(true).open(path)?.set_len(len);
        self.change(Change::WriteEnd(&path), shorten).unwrap();
    }

    fn syncs(&self, name: &str) {
        let path = self.path(name);
        self.change(Change::Sync(&path), |_| Ok(())).unwrap();
    }

    fn renames(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        let change = Change::Rename { from: &from, to: &to };
        self.folder.change(change, || fs::rename(&from, &to))
    }

    fn change(&self, change: Change<'_>, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        match change {
            Change::Make(path)
            | Change::Write(path)
            | Change::WriteEnd(path)
            | Change::Set(path)
            | Change::Remove(path)
            | Change::Sync(path)
            | Change::Link { to: path, .. }
            | Change::Rename { to: path, .. } => self.folder.change(change, || make(path)),
        }
    }

    /// The power goes at the next operation, which is one of the chip's.
    fn loses_power(&self, at: CutAt) {
        self.chip.cut_power(PowerCut { operation: 1, at });
        self.chip.erase_now(0..64).unwrap_err();
        self.chip.restore_power();
        self.folder.show();
    }

    fn names(&self, folder: &str) -> BTreeSet<String> {
        fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    fn content(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// In the file's folder, content, permissions and name of a new file are on the disk apart from each other.
#[test]
fn what_was_not_synced_is_lost() {
    for (file, name) in [(false, false), (true, false), (false, true), (true, true)] {
        let bench = Bench::new();
        bench.makes("d/new");
        bench.writes("d/new", "new content");
        let path = bench.path("d/new");
        let closed = fs::Permissions::from_mode(0o400);
        bench
            .change(Change::Set(&path), |path| fs::set_permissions(path, closed))
            .unwrap();
        if file {
            bench.syncs("d/new");
        }
        if name {
            bench.syncs("d");
        }
        bench.loses_power(CutAt::Before);
        assert_eq!(bench.names(""), set(["old", "d"]));
        let content = bench.content("d/new");
        let wanted = match (file, name) {
            (_, false) => None,
            (false, true) => Some(""),
            (true, true) => Some("new content"),
        };
        assert_eq!(content.as_deref(), wanted);
        if let Ok(there) = fs::metadata(&path) {
            assert_eq!(there.permissions().mode() & 0o777 == 0o400, file);
        }
    }
}

#[test]
fn a_cut_after_an_operation_loses_nothing() {
    let bench = Bench::new();
    bench.makes("d/new");
    bench.writes("d/new", "new content");
    bench.renames("d/new", "d/newer").unwrap();
    bench.loses_power(CutAt::After);
    assert_eq!(bench.names("d"), set(["newer"]));
    assert_eq!(bench.content("d/newer").as_deref(), Some("new content"));
}

#[test]
fn no_step_happens_without_power() {
    let bench = Bench::new();
    for (at, renamed) in [(CutAt::Before, false), (CutAt::After, true)] {
        bench.chip.cut_power(PowerCut { operation: 1, at });
        bench.renames("old", "moved").unwrap_err();
        assert_eq!(bench.chip.cut_operation(), Some(Operation::Other));
        let path = bench.path("d/new");
        let made = bench.change(Change::Make(&path), |_| panic!("called without power"));
        assert!(made.is_err());
        bench.chip.restore_power();
        bench.folder.show();
        assert_eq!(bench.path("moved").exists(), renamed);
        assert_eq!(bench.path("old").exists(), !renamed);
    }
    assert_eq!(bench.chip.operations(), 1);
}

/// Names come and go in order; contents are torn.
#[test]
fn remains_of_all_kinds() {
    let (mut names, mut contents, mut inner) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for seed in 0..300 {
        let bench = Bench::new();
        for name in ["d/1", "d/2", "d/3"] {
            bench.makes(name);
        }
        bench.syncs("d");
        bench.makes("new");
        bench.syncs("");
        bench.writes("new", "content");
        bench.renames("new", "old").unwrap();
        let folder = bench.path("d");
        let remove = |path: &Path| fs::remove_dir_all(path);
        bench.change(Change::Remove(&folder), remove).unwrap();
        bench.loses_power(CutAt::Within { seed });
        names.insert(bench.names(""));
        contents.insert(bench.content("old").unwrap());
        if folder.exists() {
            inner.insert(bench.names("d"));
        }
    }
    let wanted = [set(["d", "new", "old"]), set(["d", "old"]), set(["old"])];
    assert_eq!(names, wanted.into());
    assert_eq!(
        inner,
        [set(["1", "2", "3"]), set(["2", "3"]), set(["3"]), set([])].into()
    );
    for content in ["old content", "", "con", "content", "\0\0\0\0\0\0\0"] {
        assert!(contents.contains(content), "{content:?} in {contents:?}");
    }
    let allowed =
        |content: &String| content == "old content" || content == "\0\0\0\0\0\0\0" || "content".starts_with(content);
    assert!(contents.iter().all(allowed), "{contents:?}");
}

/// What of a file is left by cuts of all kinds, after something was done to it.
fn left(done: impl Fn(&Bench)) -> BTreeSet<String> {
    let left = (0..120).map(|seed| {
        let bench = Bench::new();
        done(&bench);
        bench.loses_power(CutAt::Within { seed });
        bench.content("old").unwrap()
    });
    left.collect()
}

/// What was synced stays where only the end of a file was written since; where any part may have been, it does not.
#[test]
fn what_is_in_front_of_an_end_that_is_written_stays() {
    let ends = |front: &str, ends: &[&str]| ends.iter().map(|end| format!("{front}{end}")).collect();
    let appended = left(|bench| bench.appends("old", ", new"));
    let wanted: BTreeSet<_> = ends("old content", &["", ", ", ", n", ",", ", ne", ", new", "\0\0\0\0\0"]);
    assert_eq!(appended, wanted);
    let appended_twice = left(|bench| {
        bench.appends("old", ", ");
        bench.appends("old", "new");
    });
    assert_eq!(appended_twice, wanted);
    let shorter = left(|bench| bench.shortens("old", 9));
    assert_eq!(shorter, ends("old conte", &["", "nt"]));
    // What was taken away does not stay when something else is written there.
    let other = left(|bench| {
        bench.shortens("old", 9);
        bench.appends("old", "xt");
    });
    assert_eq!(other, ends("old conte", &["", "nt", "x", "xt", "\0\0"]));
    let synced = left(|bench| {
        bench.writes("old", "first");
        bench.syncs("old");
        bench.appends("old", "2");
    });
    assert_eq!(synced, ends("first", &["", "2", "\0"]));
    // Not everything is written at the end.
    let rewritten = left(|bench| {
        bench.writes("old", "old content");
        bench.appends("old", ", new");
    });
    assert!(
        rewritten.contains(&"\0".repeat(16)) && rewritten.contains("old c"),
        "{rewritten:?}"
    );
}

#[test]
#[should_panic(expected = "not only its end was written")]
fn a_change_in_front_of_the_end_is_noticed() {
    let bench = Bench::new();
    let path = bench.path("old");
    let _ = bench.change(Change::WriteEnd(&path), |path| fs::write(path, "other content"));
}

/// A sync that is cut within has brought some of it to the disk, as if the power had gone before it was asked for.
#[test]
fn a_sync_can_be_cut_short() {
    let remains = |in_sync: bool, of: &str| {
        let remains = (0..200).map(|seed| {
            let bench = Bench::new();
            bench.makes("d/new");
            bench.syncs("d");
            bench.writes("d/new", "content");
            bench.makes("d/newer");
            if in_sync {
                let at = CutAt::Within { seed };
                bench.chip.cut_power(PowerCut { operation: 1, at });
                let path = bench.path(of);
                bench.change(Change::Sync(&path), |_| Ok(())).unwrap_err();
                bench.chip.restore_power();
                bench.folder.show();
            } else {
                bench.loses_power(CutAt::Within { seed });
            }
            (bench.names("d"), bench.content("d/new").unwrap())
        });
        remains.collect::<Vec<_>>()
    };
    let wanted = remains(false, "");
    for content in ["", "con", "content", "\0\0\0\0\0\0\0"] {
        for names in [set(["new"]), set(["new", "newer"])] {
            let all = (names, content.to_owned());
            assert!(wanted.contains(&all), "{all:?} in {wanted:?}");
        }
    }
    assert_eq!(remains(true, "d/new"), wanted);
    assert_eq!(remains(true, "d"), wanted);
}

#[test]
fn links_stay_links() {
    let bench = Bench::new();
    let (old, second, link) = (bench.path("old"), bench.path("d/second"), bench.path("d/link"));
    let change = Change::Link {
        from: &old,
        to: &second,
    };
    bench.change(change, |second| fs::hard_link(&old, second)).unwrap();
    bench
        .change(Change::Make(&link), |link| symlink("../old", link))
        .unwrap();
    bench.syncs("d");
    bench.loses_power(CutAt::Before);
    assert_eq!(fs::metadata(&old).unwrap().ino(), fs::metadata(&second).unwrap().ino());
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("../old"));
    // POSIX leaves both names of a file that is renamed to itself.
    let change = Change::Link {
        from: &old,
        to: &bench.path("third"),
    };
    bench.change(change, |third| fs::hard_link(&old, third)).unwrap();
    bench.renames("third", "old").unwrap();
    bench.syncs("");
    bench.loses_power(CutAt::Before);
    assert_eq!(bench.names(""), set(["d", "old", "third"]));
}

#[test]
fn changes_that_fail_are_none() {
    let bench = Bench::new();
    assert!(bench.renames("missing", "d/x").is_err());
    let path = bench.path("d");
    bench.makes("d/x");
    assert!(
        bench
            .change(Change::Remove(&path), |path| fs::remove_dir(path))
            .is_err()
    );
    bench.loses_power(CutAt::After);
    assert_eq!(bench.names("d"), set(["x"]));
}

#[test]
#[should_panic(expected = "it is outside")]
fn paths_outside_are_refused() {
    let bench = Bench::new();
    let other = TempDir::new().unwrap();
    let path = other.path().join("x");
    let _ = bench.change(Change::Make(&path), |path| fs::write(path, ""));
}
