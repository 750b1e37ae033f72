//! The images of esptool, and esptool on the images of these tests. Skipped where `ESPTOOL` does not name it, as `.ci/esptool` does.

use std::process::Command;

use mender_modules::esp_ota::Bootloader;
use mender_testkit::esp_idf::EspImage;

use crate::device::{Device, image};

/// What `ESPTOOL` says of its arguments.
fn esptool(arguments: &[&str]) -> Option<String> {
    let Some(program) = std::env::var_os("ESPTOOL") else {
        eprintln!("skipped: ESPTOOL does not name esptool");
        return None;
    };
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("ESPTOOL is a program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(text)
}

/// The smallest program that is an app: a descriptor and some instructions, as an ELF file for RISC-V with section names.
fn program() -> Vec<u8> {
    const HEADER: usize = 52;
    let app = EspImage::new([(0..300).map(|at| at as u8).collect()]).to_bytes();
    // The image's first segment: the descriptor, and what is behind it.
    let descriptor = app[32..32 + 556].to_vec();
    let sections = [
        (".flash.appdesc", 0x3c00_0020_u32, descriptor, 2_u32),
        (".iram0.text", 0x4038_0000, [0x13, 0, 0, 0].repeat(64), 6),
    ];
    let mut names = vec![0];
    let mut program_headers = Vec::new();
    let mut section_headers = vec![[0; 40]];
    let mut body = Vec::new();
    let start = (HEADER + 32 * sections.len()).next_multiple_of(16);
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    let section = |fields: [u32; 10]| -> [u8; 40] { words(&fields).try_into().expect("ten words") };
    for (name, address, data, flags) in &sections {
        let (at, len) = ((start + body.len()) as u32, data.len() as u32);
        program_headers.extend(words(&[1, at, *address, *address, len, len, 5, 4]));
        section_headers.push(section([names.len() as u32, 1, *flags, *address, at, len, 0, 0, 4, 0]));
        names.extend(name.as_bytes());
        names.push(0);
        body.extend(data);
        body.resize(body.len().next_multiple_of(16), 0);
    }
    let own_name = names.len() as u32;
    names.extend(b".shstrtab\0");
    let names_at = (start + body.len()) as u32;
    section_headers.push(section([own_name, 3, 0, 0, names_at, names.len() as u32, 0, 0, 1, 0]));
    body.extend(names);
    body.resize(body.len().next_multiple_of(4), 0);
    let sections_at = (start + body.len()) as u32;
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, 0, 243, 0]);
    file.extend(words(&[1, 0x4038_0000, HEADER as u32, sections_at, 0]));
    let count = section_headers.len() as u16;
    for half in [HEADER as u16, 32, sections.len() as u16, 40, count, count - 1] {
        file.extend(half.to_le_bytes());
    }
    file.extend(program_headers);
    file.resize(start, 0);
    file.extend(body);
    file.extend(section_headers.concat());
    file
}

#[test]
fn images_of_esptool_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("app.elf"), program()).unwrap();
    let Some(_) = esptool(&[
        "--chip",
        "esp32c3",
        "elf2image",
        "-o",
        &path("app.bin"),
        &path("app.elf"),
    ]) else {
        return;
    };
    let app = std::fs::read(path("app.bin")).unwrap();
    let device = Device::factory(Bootloader::Keeps);
    device.download(&app).unwrap();
    // It is not for any chip.
    esptool(&[
        "--chip",
        "esp32c6",
        "elf2image",
        "-o",
        &path("c6.bin"),
        &path("app.elf"),
    ]);
    let other = std::fs::read(path("c6.bin")).unwrap();
    assert_eq!(
        device.download(&other).map_err(|error| error.to_string()),
        Err("image for another chip".into())
    );
}

#[test]
fn images_of_these_tests_are_good_for_esptool() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.bin");
    std::fs::write(&path, image(2)).unwrap();
    let Some(text) = esptool(&["image-info", path.to_str().unwrap()]) else {
        return;
    };
    assert_eq!(text.matches("(valid)").count(), 2, "{text}");
    for line in [
        "Chip ID: 5 (ESP32-C3)",
        "App version: 1.2.3",
        "Secure version: 0",
        "MMU page size: 64 KB",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
