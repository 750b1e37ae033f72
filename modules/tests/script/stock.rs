//! The modules that come with Debian's `mender-client`, with artifacts made by Mender's own tool.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mender::deployment::{Action, Event, Verdict};

use crate::artifact::{MENDER_ARTIFACT, RealPayload, are_there, write_artifact};
use crate::deploy::{Storage, deploy};
use crate::rig::{Rig, write_program};

const FOLDER: &str = "/usr/share/mender/modules/v3";

/// Those that need nothing else installed, if they are there.
fn rig() -> Option<Rig> {
    let modules = ["single-file", "directory", "script"].map(|name| format!("{FOLDER}/{name}"));
    let mut needed: Vec<&str> = modules.iter().map(String::as_str).collect();
    needed.push(MENDER_ARTIFACT);
    if !are_there(&needed) {
        return None;
    }
    let mut rig = Rig::new();
    rig.settings.modules = FOLDER.into();
    Some(rig)
}

fn update(rig: &Rig, module: &str, arguments: &[&str], commits: bool) -> Verdict {
    let at = rig.at();
    write_artifact(
        &at,
        "a.mender",
        &[&["-T", module, "-n", "release-1"], arguments].concat(),
    );
    let mut device = rig.start();
    let mut payload = RealPayload::open(&at.join("a.mender"));
    let storage = Storage::new(&at);
    let _ = fs::remove_file(at.join("storage"));
    let answer = |action, event| match action {
        Action::CommitGate if !commits => Event::Failed,
        _ => event,
    };
    let verdict = deploy(&mut device, module, &mut payload, &storage, answer);
    assert!(!rig.tree().exists());
    verdict.expect("nothing restarts")
}

fn files_of_single_file(at: &Path, content: &str) {
    fs::write(at.join("dest_dir"), format!("{}\n", at.join("target").display())).unwrap();
    fs::write(at.join("filename"), "app\n").unwrap();
    fs::write(at.join("permissions"), "640\n").unwrap();
    fs::write(at.join("app"), content).unwrap();
}

const SINGLE_FILE: [&str; 8] = ["-f", "dest_dir", "-f", "filename", "-f", "permissions", "-f", "app"];

#[test]
fn single_file() {
    let Some(rig) = rig() else { return };
    let at = rig.at();
    files_of_single_file(&at, "first");
    assert_eq!(update(&rig, "single-file", &SINGLE_FILE, true), Verdict::Success);
    assert_eq!(rig.read("target/app"), "first");
    let mode = fs::metadata(at.join("target/app")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    files_of_single_file(&at, "second");
    assert_eq!(update(&rig, "single-file", &SINGLE_FILE, false), Verdict::Failure);
    assert_eq!(rig.read("target/app"), "first");
    assert_eq!(update(&rig, "single-file", &SINGLE_FILE, true), Verdict::Success);
    assert_eq!(rig.read("target/app"), "second");
}

#[test]
fn directory() {
    let Some(rig) = rig() else { return };
    let at = rig.at();
    fs::create_dir(at.join("target")).unwrap();
    fs::write(at.join("target/old"), "old").unwrap();
    fs::write(at.join("dest_dir"), at.join("target").to_str().unwrap()).unwrap();
    let mut tar = tar::Builder::new(fs::File::create(at.join("update.tar")).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(3);
    tar.append_data(&mut header, "new", b"new".as_slice()).unwrap();
    tar.into_inner().unwrap();
    let arguments = ["-f", "dest_dir", "-f", "update.tar"];
    let names = || -> Vec<_> {
        let folder = fs::read_dir(at.join("target")).unwrap();
        folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(update(&rig, "directory", &arguments, false), Verdict::Failure);
    assert_eq!(names(), ["old"]);
    assert_eq!(update(&rig, "directory", &arguments, true), Verdict::Success);
    assert_eq!(names(), ["new"]);
}

#[test]
fn script() {
    let Some(rig) = rig() else { return };
    let at = rig.at();
    fs::write(
        at.join("run-me"),
        format!("#!/bin/sh\necho ran >{}/ran\n", at.display()),
    )
    .unwrap();
    assert_eq!(update(&rig, "script", &["-f", "run-me"], true), Verdict::Success);
    assert_eq!(rig.read("ran"), "ran\n");
    fs::write(at.join("run-me"), "#!/bin/sh\necho trouble >&2\nexit 1\n").unwrap();
    rig.notes.take();
    // It cannot go back, and says so.
    assert_eq!(update(&rig, "script", &["-f", "run-me"], true), Verdict::Failure);
    assert!(Storage::new(&at).is_inconsistent());
    assert_eq!(rig.notes.take(), ["script ArtifactInstall (stderr): trouble"]);
}

#[test]
fn packages() {
    // With a package manager of ours, as the real one would change this system.
    let Some(rig) = rig() else { return };
    if !are_there(&[&format!("{FOLDER}/deb"), &format!("{FOLDER}/rpm")]) {
        return;
    }
    let at = rig.at();
    fs::create_dir(at.join("bin")).unwrap();
    for program in ["dpkg", "rpm"] {
        write_program(
            &at.join("bin").join(program),
            &format!("#!/bin/sh\necho \"$0\" \"$@\" >>{}/managed\n", at.display()),
        );
    }
    fs::write(at.join("p.deb"), "").unwrap();
    fs::write(at.join("p.rpm"), "").unwrap();
    let folder = at.join("modules");
    for (module, file, line) in [("deb", "p.deb", "dpkg -i"), ("rpm", "p.rpm", "rpm -U -v --force")] {
        let text = format!(
            "#!/bin/sh\nPATH={}/bin:$PATH\nexport PATH\nexec {FOLDER}/{module} \"$@\"\n",
            at.display()
        );
        write_program(&folder.join(module), &text);
        let mut rig = Rig::again(&at);
        rig.settings.modules = folder.clone();
        assert_eq!(update(&rig, module, &["-f", file], true), Verdict::Success);
        let files = rig.tree().join("files").join(file);
        let expected = format!("{}/bin/{line} {}\n", at.display(), files.display());
        assert_eq!(rig.read("managed"), expected);
        fs::remove_file(at.join("managed")).unwrap();
    }
}
