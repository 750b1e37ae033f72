//! The program ends in the middle of a download, and another one goes on with it: what is on the disk is not fetched again.

use std::fs;

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{Effect, Ending, Endpoint, Fault, Mode, Status};
use rustix::process::Signal;

use crate::rig::{Rig, wait_for};

const MIB: usize = 1 << 20;

/// What was asked for of artifacts.
fn ranges(rig: &Rig) -> Vec<Option<usize>> {
    let from = |range: &String| range["bytes=".len()..range.len() - 1].parse().unwrap();
    let server = rig.server();
    let requests = server.requests().iter();
    requests
        .filter(|request| request.endpoint == Endpoint::Storage)
        .map(|request| request.range.as_ref().map(from))
        .collect()
}

/// Ends the program when the connection has broken within the file; what the next one asked for, and where the file begins in the artifact.
/// `content` is the file, stored in `partial` of the data directory while it comes.
fn goes_on(rig: &Rig, artifact: &ArtifactWriter, content: &[u8], partial: &str, signal: Signal, case: &str) {
    let bytes = artifact.write();
    let begin = bytes.windows(64).position(|window| *window == content[..64]).unwrap();
    let deployment = rig.deploy(case, artifact);
    let before = ranges(rig).len();
    // More than half, then nothing.
    let cut = Effect::CutBody {
        len: begin + 2 * MIB + 700_000,
        ending: Ending::Close,
    };
    rig.server().inject(Fault::new(cut).on_downloads());
    let down = Fault::new(Effect::Status(503)).on_downloads().after(1).always();
    rig.server().inject(down);
    let mut client = rig.start(&[]);
    let partial = rig.data().join(partial);
    let len = || fs::metadata(&partial).map_or(0, |there| there.len());
    // Until all that came is written.
    wait_for(
        "the download",
        || client.said(),
        || {
            let ranges = ranges(rig).split_off(before);
            let asked = ranges.into_iter().flatten().next()?;
            (begin as u64 + len() == asked as u64).then_some(())
        },
    );
    let written = len() as usize;
    assert!(written > 2 * MIB, "{case}: {written}");
    client.signal(signal);
    client.wait();
    assert_eq!(len() as usize, written, "{case}");
    rig.server().clear_faults();

    let before = ranges(rig).len();
    let (status, said) = rig.run(&["--once"]);
    assert_eq!(
        (status, rig.status(&deployment)),
        (3, Some(Status::Success)),
        "{case}: {said}"
    );
    // The header first.
    assert_eq!(ranges(rig).split_off(before), [None, Some(begin + 2 * MIB)], "{case}");
    // What it was written to goes with the deployment.
    assert!(!partial.exists(), "{case}");
    let work = partial.parent().unwrap().parent().unwrap();
    assert_eq!(fs::read_dir(work).unwrap().count(), 0, "{case}");
    rig.assert_no_violation();
}

fn content(seed: usize) -> Vec<u8> {
    (0..4 * MIB).map(|at| (at / 5 * 77 + seed) as u8).collect()
}

#[test]
fn a_file_goes_on_where_it_was() {
    let rig = Rig::new(Mode::Oss);
    rig.register();
    for (seed, signal) in [Signal::KILL, Signal::TERM].into_iter().enumerate() {
        let release = format!("release-{seed}");
        let content = content(seed);
        let artifact = rig.single_file(&release, "settings", &content);
        goes_on(
            &rig,
            &artifact,
            &content,
            "single-file/incoming/content",
            signal,
            &release,
        );
        assert!(rig.read("settings").unwrap() == content, "{release}");
    }
}

#[test]
fn a_folder_goes_on_where_it_was() {
    let rig = Rig::new(Mode::Oss);
    rig.register();
    let content = content(7);
    let artifact = rig.directory("release-2", "folder", &[("content", &content)]);
    // The archive, that is: a header of 512 bytes is in front of the content.
    let mut archive = vec![0; 512];
    let bytes = artifact.write();
    let at = bytes.windows(64).position(|window| *window == content[..64]).unwrap();
    archive.copy_from_slice(&bytes[at - 512..at]);
    goes_on(
        &rig,
        &artifact,
        &archive,
        "directory/incoming/update.tar",
        Signal::KILL,
        "release-2",
    );
    assert!(rig.read("folder/content").unwrap() == content);
}

/// Killed wherever it is, again and again: each program fetches what the ones before have not brought to the disk.
#[test]
fn with_many_kills_it_gets_there() {
    let rig = Rig::new(Mode::Oss);
    rig.register();
    let content: Vec<u8> = (0..20 * MIB + 12_345).map(|at| (at / 5 * 77) as u8).collect();
    let artifact = rig.single_file("release-2", "settings", &content);
    let bytes = artifact.write();
    let begin = bytes.windows(64).position(|window| *window == content[..64]).unwrap();
    let deployment = rig.deploy("release-2", &artifact);
    let partial = rig.data().join("single-file/incoming/content");
    let len = || fs::metadata(&partial).map_or(0, |there| there.len() as usize);
    // So that none comes to the end while it is watched.
    let cut = Effect::CutBody {
        len: 3 * MIB,
        ending: Ending::Close,
    };
    rig.server().inject(Fault::new(cut).on_downloads().always());
    let (mut kills, mut asked, mut written, mut chance) = (0, 0, 0, 1_u64);
    loop {
        let before = ranges(&rig).len();
        let mut client = rig.start(&["--once"]);
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let wanted = written + MIB / 4 + (chance >> 40) as usize % (2 * MIB);
        let is_last = wanted > 15 * MIB;
        if is_last {
            rig.server().clear_faults();
        }
        if !is_last {
            wait_for("the next piece", || client.said(), || (len() > wanted).then_some(()));
            client.child.kill().unwrap();
        }
        let ended = client.wait();
        let from = match ranges(&rig).split_off(before)[..] {
            [None, ..] if kills == 0 => 0,
            [None, Some(from), ..] => from - begin,
            ref other => panic!("after {kills} kills: {other:?}"),
        };
        // At most a part that was complete is not yet known to be.
        assert!(
            from.is_multiple_of(MIB) && from >= asked && from <= written && written < from + 2 * MIB,
            "after {kills} kills: from {from}, {written} were written"
        );
        if is_last {
            assert_eq!(ended.code(), Some(3));
            break;
        }
        (asked, written) = (from, len());
        kills += 1;
    }
    assert!(kills > 2, "{kills}");
    assert_eq!(rig.status(&deployment), Some(Status::Success));
    assert!(rig.read("settings").unwrap() == content);
    rig.assert_no_violation();
    println!("{kills} kills");
}

/// What was begun is of no use to another file, and is gone when that comes.
#[test]
fn another_file_begins_anew() {
    let rig = Rig::new(Mode::Oss);
    rig.register();
    let first = rig.single_file("release-2", "settings", &content(1));
    let deployment = rig.deploy("release-2", &first);
    let cut = Effect::CutBody {
        len: 3 * MIB,
        ending: Ending::Close,
    };
    rig.server().inject(Fault::new(cut).on_downloads());
    rig.server()
        .inject(Fault::new(Effect::Status(503)).on_downloads().after(1).always());
    let mut client = rig.start(&[]);
    let record = rig.data().join("single-file/incoming/received");
    wait_for("the record", || client.said(), || record.exists().then_some(()));
    client.signal(Signal::KILL);
    client.wait();
    rig.server().clear_faults();
    assert!(rig.server().abort(&deployment, mender_testkit::server::Time::now()));

    let second = rig.deploy("release-3", &rig.single_file("release-3", "settings", &content(2)));
    let before = ranges(&rig).len();
    let (status, said) = rig.run(&["--once"]);
    assert_eq!((status, rig.status(&second)), (3, Some(Status::Success)), "{said}");
    assert_eq!(ranges(&rig).split_off(before), [None]);
    assert!(rig.read("settings").unwrap() == content(2));
    assert_eq!(fs::read_dir(rig.data().join("single-file")).unwrap().count(), 0);
}
