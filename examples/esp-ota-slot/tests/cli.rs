//! The program on the dump of a device that has received an update, with ESP-IDF's partition table.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mender_modules::esp_ota::{Bootloader, EspOta, EspOtaImage, Slot};
use mender_testkit::esp_idf::EspImage;
use mender_testkit::flash::{Rewrites, SimFlash};
use serde_json::Value;

const LEN: usize = 0x50000;

fn entry(kind: [u8; 2], offset: u32, len: u32, label: &str) -> [u8; 32] {
    let mut entry = [0; 32];
    entry[..4].copy_from_slice(&[0xaa, 0x50, kind[0], kind[1]]);
    entry[4..8].copy_from_slice(&offset.to_le_bytes());
    entry[8..12].copy_from_slice(&len.to_le_bytes());
    entry[12..12 + label.len()].copy_from_slice(label.as_bytes());
    entry
}

/// Version 1 runs from `ota_0`, version 2 was received.
fn dump(folder: &Path) -> PathBuf {
    let flash = SimFlash::<4, 4096>::new(LEN / 4096);
    flash.set_rewrites(Rewrites::ClearBits);
    let table = [
        entry([1, 2], 0x9000, 0x4000, "nvs"),
        entry([1, 0], 0xd000, 0x2000, "otadata"),
        entry([0, 0x10], 0x10000, 0x20000, "ota_0"),
        entry([0, 0x11], 0x30000, 0x20000, "ota_1"),
    ];
    flash.patch(0x8000, &table.concat());
    flash.patch(0x10000, &EspImage::new([vec![1; 400]]).to_bytes());
    let slots = [0x10000..0x30000, 0x30000..0x50000].map(|range| flash.partition(range));
    let otadata = flash.partition(0xd000..0xf000);
    let mut module = EspOta::<_, _, _, EspOtaImage>::new(slots, otadata, Slot::Ota0, Bootloader::Keeps, || ()).unwrap();
    let mut source = mender_testkit::payload::MemoryPayload::new("esp-ota-image", 500)
        .file("app.bin", EspImage::new([vec![2; 600]]).to_bytes());
    let mut payload = mender::update_module::Payload::new(&mut source);
    pollster::block_on(module.write_slot(&mut payload)).unwrap();
    let file = folder.join("flash.bin");
    fs::write(&file, flash.to_bytes()).unwrap();
    file
}

fn run(arguments: &[&str], dump: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_esp-ota-slot"))
        .args(arguments)
        .arg(dump)
        .output()
        .unwrap()
}

fn report(arguments: &[&str], dump: &Path) -> Value {
    let output = run(arguments, dump);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn error(arguments: &[&str], dump: &Path) -> String {
    let output = run(arguments, dump);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_update_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let file = dump(folder.path());
    let state = report(&["state"], &file);
    assert_eq!(state["runs"], "ota_0");
    assert_eq!(state["ota_0"]["startable"], true);
    assert_eq!(state["ota_1"]["version"], "1.2.3");
    assert_eq!(state["otadata"][0]["state"], "valid");
    assert_eq!(state["otadata"][1], Value::Null);
    assert_eq!(state["next_boot_why"], "the entry 1 selects it");

    let before = fs::read(&file).unwrap();
    let requested = report(&["request", "--dry-run"], &file);
    assert_eq!(
        (&requested["changed"], &requested["next_boot"]),
        (&true.into(), &"ota_1".into())
    );
    assert_eq!(fs::read(&file).unwrap(), before);

    let requested = report(&["--rollback", "request"], &file);
    assert_eq!(
        requested["next_boot_why"],
        "the entry 2 selects it, for one boot unless it is confirmed"
    );
    assert_eq!(requested["otadata"][1]["state"], "new");
    // Second thoughts, the device has not been started.
    let back = report(&["--running", "0", "revert"], &file);
    assert_eq!(back["next_boot"], "ota_0");
    report(&["--running", "0", "request"], &file);

    let kept = report(&["confirm"], &file);
    assert_eq!(kept["runs"], "ota_1");
    assert_eq!(kept["otadata"][1]["state"], "valid");
    assert_eq!(report(&["confirm"], &file)["changed"], false);
    assert_eq!(report(&["revert"], &file)["next_boot"], "ota_0");
}

#[test]
fn a_bootloader_with_rollback_gives_an_image_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = dump(folder.path());
    report(&["request"], &file);
    // As the first boot has left it.
    let mut flash = fs::read(&file).unwrap();
    flash[0xd000 + 4096 + 24] = 1;
    fs::write(&file, flash).unwrap();
    let state = report(&["--rollback", "state"], &file);
    assert_eq!(
        (&state["runs"], &state["next_boot"]),
        (&"ota_1".into(), &"ota_0".into())
    );
    assert_eq!(
        state["next_boot_why"],
        "an image under test was not confirmed, its entry will be aborted; the entry 1 selects it"
    );
    assert_eq!(report(&["state"], &file)["next_boot"], "ota_1");
}

#[test]
fn what_cannot_be_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = dump(folder.path());
    assert!(error(&["confirm"], &file).contains("flash.bin: the old image runs: the new one was not requested"));
    tool_style::check::Tool {
        name: "esp-ota-slot",
        program: env!("CARGO_BIN_EXE_esp-ota-slot"),
    }
    .cannot_print(&["state", file.to_str().unwrap()]);
    let there = folder.path().join("no/out.bin");
    let unwritable = error(&["request", "--output", there.to_str().unwrap()], &file);
    assert!(unwritable.contains("no/out.bin: cannot be written: "), "{unwritable}");
    assert!(unwritable.contains("give --output the name of a file"), "{unwritable}");
    assert!(error(&["--table", "0x9000", "state"], &file).contains("no partition table"));
    let mut flash = fs::read(&file).unwrap();
    flash[0x30000 + 500] ^= 1;
    fs::write(&file, &flash).unwrap();
    assert!(error(&["request"], &file).contains("holds no complete image"));
    assert_eq!(report(&["state"], &file)["ota_1"]["startable"], false);
    assert_eq!(fs::read(&file).unwrap(), flash);
    flash[0x10000 + 500] ^= 1;
    fs::write(&file, &flash).unwrap();
    let state = report(&["state"], &file);
    assert_eq!(state["next_boot"], Value::Null);
    assert_eq!(state["next_boot_why"], "no image can be started");
    fs::write(&file, &flash[..0x40000]).unwrap();
    assert!(error(&["state"], &file).contains("read out the whole flash"));
    // The entry of otadata: of one sector, the last one.
    flash[0x8000 + 32..][..32].copy_from_slice(&entry([1, 0], LEN as u32 - 4096, 4096, "otadata"));
    fs::write(&file, &flash).unwrap();
    assert!(error(&["state"], &file).contains("otadata must have two sectors"));
}

/// What leads to the dump and who may read it stays, and no other file is touched.
#[test]
fn a_dump_is_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = dump(folder.path());
    let (link, other) = (folder.path().join("link"), folder.path().join("flash.bin.new"));
    std::os::unix::fs::symlink("flash.bin", &link).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(&other, "another one").unwrap();
    assert_eq!(report(&["request"], &link)["changed"], true);
    assert_eq!(report(&["state"], &file)["next_boot"], "ota_1");
    assert!(link.is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_to_string(&other).unwrap(), "another one");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}
