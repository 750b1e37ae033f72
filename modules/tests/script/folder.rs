//! Which programs of a folder are modules.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use mender::update_module::{CallbackState, ModuleIndex, ModuleSet, Payload};
use mender_modules::file::SingleFile;
use mender_modules::noop::Noop;
use mender_modules::script::Beside;
use mender_testkit::payload::MemoryPayload;

use crate::rig::{Device, MODULE, Rig};

fn names(device: &mut Device) -> Vec<&'static str> {
    let tables = device.scripts.descriptors();
    tables.iter().map(|table| table.artifact_type).collect()
}

#[test]
fn modules_are_executable_files() {
    let rig = Rig::new();
    let modules = rig.settings.modules.clone();
    rig.module("b", "");
    rig.module("a.1", "");
    rig.module("two words", "");
    rig.module(".hidden", "");
    rig.module("line\nbreak", "");
    fs::write(modules.join("text"), "not executable").unwrap();
    fs::create_dir(modules.join("folder")).unwrap();
    symlink("b", modules.join("link")).unwrap();
    symlink("nothing", modules.join("broken")).unwrap();
    fs::write(modules.join(OsStr::from_bytes(b"latin-\xe4")), "").unwrap();
    let mut device = rig.start();
    assert_eq!(names(&mut device), ["a.1", "b", "link", "two words"]);
    let left_out = [
        "\".hidden\" is left out as an update module: its name is no payload type",
        "\"broken\" is left out as an update module: it is no file",
        "\"folder\" is left out as an update module: it is no file",
        "\"latin-\u{fffd}\" is left out as an update module: its name is no payload type",
        "\"line\\nbreak\" is left out as an update module: its name is no payload type",
        "\"text\" is left out as an update module: it is not executable",
    ];
    assert_eq!(rig.notes.take(), left_out);
    // Told once, unless it was gone in between or the reason changes.
    names(&mut device);
    assert_eq!(rig.notes.take(), [""; 0]);
    fs::remove_dir(modules.join("folder")).unwrap();
    names(&mut device);
    fs::create_dir(modules.join("folder")).unwrap();
    names(&mut device);
    assert_eq!(
        rig.notes.take(),
        ["\"folder\" is left out as an update module: it is no file"]
    );
    fs::remove_file(modules.join("text")).unwrap();
    fs::create_dir(modules.join("text")).unwrap();
    names(&mut device);
    assert_eq!(
        rig.notes.take(),
        ["\"text\" is left out as an update module: it is no file"]
    );
}

#[test]
fn a_module_keeps_its_place() {
    let rig = Rig::new();
    rig.module("m", "");
    let mut device = rig.start();
    let tables = device.scripts.descriptors();
    assert!(
        std::ptr::eq(tables, device.scripts.descriptors()),
        "no new table for nothing"
    );
    rig.module("a", "");
    rig.module("z", "");
    assert_eq!(names(&mut device), ["m", "a", "z"]);
    // One that is gone cannot be called any more.
    fs::remove_file(rig.settings.modules.join("m")).unwrap();
    assert_eq!(names(&mut device), ["m", "a", "z"]);
    let failure = device.download(&MemoryPayload::new("m", 10)).unwrap_err();
    assert!(failure.as_str().contains("cannot be started"), "{failure}");
}

#[test]
fn one_that_is_made_executable_later_is_found() {
    let rig = Rig::with_module("");
    let path = rig.settings.modules.join(MODULE);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut device = rig.start();
    assert!(names(&mut device).is_empty());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(names(&mut device), [MODULE]);
}

#[test]
fn no_folder_is_an_empty_one() {
    let mut rig = Rig::new();
    rig.settings.modules = rig.at().join("nowhere");
    let mut device = rig.start();
    assert!(names(&mut device).is_empty());
    assert_eq!(rig.notes.take(), [""; 0]);
    fs::write(&rig.settings.modules, "a file").unwrap();
    names(&mut device);
    let notes = rig.notes.take();
    assert_eq!(
        notes,
        ["the folder of update modules cannot be read: Not a directory (os error 20)"]
    );
}

#[test]
fn there_are_256_places() {
    let rig = Rig::new();
    for number in 0..300 {
        let path = rig.settings.modules.join(format!("m{number:03}"));
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut device = rig.start();
    assert_eq!(names(&mut device).len(), 256);
    let notes = rig.notes.take();
    assert_eq!(notes.len(), 44);
    assert_eq!(notes[0], "\"m256\" is left out as an update module: there are too many");
}

#[test]
fn scripts_go_beside_other_modules() {
    let rig = Rig::new();
    rig.module("noop", "");
    rig.module("x", "");
    let target = rig.at().join("target");
    fs::create_dir(&target).unwrap();
    let Device { runtime, scripts } = rig.start();
    let own = (SingleFile::new(rig.at().join("single"), &target), Noop);
    let mut modules = Beside::new(own, scripts);
    let find = |modules: &mut Beside<_, _>, name: &str| {
        let tables = modules.descriptors();
        let place = tables.iter().position(|table| table.artifact_type == name);
        ModuleIndex::new(place.unwrap() as u8)
    };
    let names = modules.descriptors().iter().map(|table| table.artifact_type);
    assert_eq!(names.collect::<Vec<_>>(), ["single-file", "noop", "noop", "x"]);
    // A new one comes last, whosever it is.
    rig.module("a", "");
    let index = find(&mut modules, "a");
    assert_eq!(index.get(), 4);
    let mut source = MemoryPayload::new("a", 100);
    let mut payload = Payload::new(&mut source);
    let traits = runtime.block_on(modules.download(index, &mut payload)).unwrap();
    assert!(traits.is_some());
    assert_eq!(rig.calls(), ["ProvidePayloadFileSizes", "Download", "SupportsRollback"]);

    // Our own one is taken before the program of the same type, and its table is true.
    let index = find(&mut modules, "noop");
    let mut source = MemoryPayload::new("noop", 100);
    let mut payload = Payload::new(&mut source);
    assert_eq!(runtime.block_on(modules.download(index, &mut payload)), Ok(None));
    assert_eq!(runtime.block_on(modules.call(index, CallbackState::Install)), Ok(None));
    assert!(rig.calls().is_empty());

    let index = find(&mut modules, "single-file");
    let folder = target.into_os_string().into_encoded_bytes();
    let mut source = MemoryPayload::new("single-file", 100)
        .file("dest_dir", folder)
        .file("filename", "app")
        .file("app", "new");
    let mut payload = Payload::new(&mut source);
    assert_eq!(runtime.block_on(modules.download(index, &mut payload)), Ok(None));
    assert_eq!(runtime.block_on(modules.call(index, CallbackState::Install)), Ok(None));
    assert_eq!(rig.read("target/app"), "new");

    let unknown = ModuleIndex::new(5);
    runtime
        .block_on(modules.call(unknown, CallbackState::Install))
        .unwrap_err();
}
