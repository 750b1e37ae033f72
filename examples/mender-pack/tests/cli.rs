//! The program as it is called, and what the real tools say of what it makes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mender_testkit::image::{ImageBuilder, Version};

fn run(dir: &Path, program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .current_dir(dir)
        .env_remove("SOURCE_DATE_EPOCH")
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn pack(dir: &Path, arguments: &str) -> Result<String, (i32, String)> {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let output = run(dir, env!("CARGO_BIN_EXE_mender-pack"), &arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        code => Err((code.unwrap_or(-1), text(&output.stderr))),
    }
}

/// Two images of MCUboot, of which the second one is like the first, but for its version and some bytes.
fn images(dir: &Path) {
    let mut body: Vec<u8> = (0..40_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x3f)
        .collect();
    let old = ImageBuilder::new(Version::new(1, 0, 0)).body(body.clone()).build();
    body.splice(9000..9100, *b"some other code");
    let new = ImageBuilder::new(Version::new(2, 0, 0)).body(body).build();
    fs::write(dir.join("old.bin"), old).expect("it can be written");
    fs::write(dir.join("new.bin"), new).expect("it can be written");
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "{program} is missing");
    found
}

#[test]
fn what_it_makes_the_real_tool_validates() {
    if !(has("mender-artifact") && has("openssl")) {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    images(dir);
    for (name, how) in [
        ("sec1", "ecparam -name prime256v1 -genkey -noout -out sec1.pem"),
        ("parameters", "ecparam -name prime256v1 -genkey -out parameters.pem"),
        (
            "pkcs8",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out pkcs8.pem",
        ),
        (
            "rsa",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out rsa.pem",
        ),
        ("pkcs1", "genrsa -traditional -out pkcs1.pem 2048"),
    ] {
        let how: Vec<&str> = how.split(' ').collect();
        assert!(run(dir, "openssl", &how).status.success(), "{name}");
        let public = format!("{name}.pub");
        let public = ["pkey", "-in", &format!("{name}.pem"), "-pubout", "-out", &public];
        assert!(run(dir, "openssl", &public).status.success(), "{name}");

        for form in ["", "--gzip 1024 ", "--gzip 32768 "] {
            pack(
                dir,
                &format!("image new.bin -n release-2 -t board -t other {form}--key {name}.pem -o image.mender"),
            )
            .expect("an artifact");
            pack(
                dir,
                &format!("delta --from old.bin new.bin -n 1-to-2 -t board {form}--key {name}.pem -o delta.mender"),
            )
            .expect("an artifact");
            pack(dir, "repack --window 4096 image.mender small.mender").expect("an artifact");
            pack(
                dir,
                &format!("repack --uncompressed image.mender plain.mender --key {name}.pem"),
            )
            .expect("an artifact");
            pack(dir, &format!("sign small.mender signed.mender --key {name}.pem")).expect("an artifact");
            for artifact in ["image", "delta", "small", "plain", "signed"] {
                let artifact = format!("{artifact}.mender");
                let validate = ["validate", "-k", &format!("{name}.pub"), &artifact];
                let output = run(dir, "mender-artifact", &validate);
                assert!(output.status.success(), "{name} {form} {artifact}: {output:?}");
            }
        }
    }
    let read = run(dir, "mender-artifact", &["read", "delta.mender"]);
    let read = String::from_utf8_lossy(&read.stdout).into_owned();
    for line in [
        "zephyr-image-delta",
        "rootfs-image.zephyr-image.checksum",
        "from_sha256",
        "rootfs-image.zephyr-image.version: 1-to-2",
    ] {
        assert!(read.contains(line), "{line} is missing in:\n{read}");
    }
}

/// As `mender-artifact write` would write it, but for the checksum among the provides.
#[test]
fn all_that_an_artifact_can_say_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    fs::write(dir.join("a.bin"), "first").expect("it can be written");
    fs::write(dir.join("b.bin"), "second").expect("it can be written");
    fs::write(dir.join("meta.json"), r#"{"slot": 3}"#).expect("it can be written");
    pack(
        dir,
        "image a.bin b.bin --type table -n release-7 -t board -c other --software-name calibration --software-version 7 \
         --software-filesystem data -p k:v:w -d data.calibration.version:6 --clears-provides data.old.* -g beta -N release-6 \
         -N release-5 -G alpha -m meta.json -o all.mender",
    )
    .expect("an artifact");
    let artifact = fs::read(dir.join("all.mender")).expect("it was written");
    let info = mender_testkit::server::ArtifactInfo::read(&artifact).expect("a good artifact");
    let provides: Vec<_> = info
        .provides
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        provides,
        [
            ("artifact_group", "beta"),
            ("artifact_name", "release-7"),
            ("data.calibration.version", "7"),
            ("k", "v:w")
        ]
    );
    assert_eq!(info.depends["artifact_name"], ["release-6", "release-5"]);
    assert_eq!(info.depends["artifact_group"], ["alpha"]);
    assert_eq!(info.depends["device_type"], ["board", "other"]);
    assert_eq!(info.depends["data.calibration.version"], ["6"]);
    assert_eq!(info.clears, ["data.old.*", "data.calibration.*"]);
    assert_eq!(info.payload_type.as_deref(), Some("table"));
    assert_eq!(info.meta_data.expect("it has some")["slot"], 3);
    assert_eq!(
        info.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(),
        ["a.bin", "b.bin"]
    );
}

#[test]
fn the_same_files_make_the_same_artifact() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    images(dir);
    let make = |name: &str| {
        pack(
            dir,
            &format!("delta --from old.bin new.bin -n d -t board --gzip 1024 --coding none -o {name}"),
        )
        .expect("an artifact");
        fs::read(dir.join(name)).expect("it was written")
    };
    let first = make("first.mender");
    fs::write(dir.join("new.bin"), fs::read(dir.join("new.bin")).expect("it is there")).expect("it can be written");
    assert_eq!(first, make("second.mender"));
    let image = fs::read(dir.join("new.bin")).expect("it is there");
    assert!(first.len() < image.len() / 2, "{} of {}", first.len(), image.len());
}

#[test]
fn the_command_line_is_that_of_all_tools() {
    let tool = tool_style::check::Tool {
        name: "mender-pack",
        program: env!("CARGO_BIN_EXE_mender-pack"),
    };
    tool.has_the_style();
    let dir = tempfile::tempdir().expect("a directory");
    images(dir.path());
    let at = |name: &str| dir.path().join(name).display().to_string();
    let mut damaged = fs::read(dir.path().join("new.bin")).expect("it is there");
    damaged[1000] ^= 1;
    for release in ["old", "new"] {
        fs::create_dir(dir.path().join(release)).expect("a directory");
    }
    // Builds call each release's image by one name.
    fs::write(at("old/zephyr.bin"), fs::read(at("old.bin")).expect("it is there")).expect("it can be written");
    fs::write(at("new/zephyr.bin"), damaged).expect("it can be written");
    let (old, new, missing, output) = (at("old/zephyr.bin"), at("new/zephyr.bin"), at("missing"), at("no/x"));
    let out = at("x");
    for (start, parts) in [
        (vec!["image", &new], [&*new, ": it is damaged"]),
        (vec!["delta", "--from", &old, &new], [&*new, ": it is damaged"]),
        (vec!["delta", "--from", &new, &old], [&*new, ": it is damaged"]),
        (
            vec!["delta", "--from", &missing, &old],
            [&*missing, ": cannot be read: "],
        ),
        (
            vec!["image", &old, "--key", &missing],
            [&*missing, ": cannot be read: "],
        ),
        (
            vec!["image", &old, "-m", &old],
            [&*old, ": the meta-data must be a JSON object"],
        ),
        (vec!["image", &old, "-o", &output], [&*output, ": cannot be written: "]),
    ] {
        let mut arguments = start;
        arguments.extend(["-n", "r", "-t", "board"]);
        if !arguments.contains(&"-o") {
            arguments.extend(["-o", &out]);
        }
        tool.fails(1, &arguments, &parts);
    }
    tool.fails(
        1,
        &["sign", &old, &out, "--key", &missing],
        &[&missing, ": cannot be read: "],
    );
    tool.fails(
        1,
        &["repack", "--uncompressed", &old, &out],
        &[&old, ": it is no artifact"],
    );
    assert!(!Path::new(&out).exists());
}

#[test]
fn what_it_says_helps() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    images(dir);
    let said = pack(dir, "image new.bin -n release-2 -t board --gzip 4096 -o image.mender").expect("an artifact");
    for part in [
        "a window of 4096 bytes",
        "artifact-info image.mender",
        "mender-cli artifacts upload image.mender",
    ] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }

    let mut damaged = fs::read(dir.join("new.bin")).expect("it is there");
    let mut padded = damaged.clone();
    damaged[1000] ^= 1;
    fs::write(dir.join("damaged.bin"), damaged).expect("it can be written");
    padded.resize(65536, 0xff);
    fs::write(dir.join("padded.bin"), &padded).expect("it can be written");
    fs::write(dir.join("cut.bin"), &padded[..39_000]).expect("it can be written");
    fs::write(dir.join("two words.bin"), "x").expect("it can be written");
    for (arguments, status, part) in [
        ("", 2, "Usage"),
        (
            "image new.bin -n r -t board --gzip 1000 -o x",
            2,
            "a power of two from 512 to 32768",
        ),
        ("image new.bin -n r -t board -p novalue -o x", 2, "KEY:VALUE"),
        ("repack in.mender out.mender", 2, "--window"),
        (
            "image padded.bin -n r -t board -o x",
            1,
            "padded.bin: there is more behind the image: sign it without --pad",
        ),
        ("image cut.bin -n r -t board -o x", 1, "cut.bin: no image of MCUboot"),
        ("image damaged.bin -n r -t board -o x", 1, "damaged.bin: it is damaged"),
        (
            "image old.bin -T esp-ota-image -n r -t board -o x",
            1,
            "espflash save-image",
        ),
        ("image missing.bin -n r -t board -o x", 1, "missing.bin: cannot be read"),
        (
            "image new.bin -n r -t board -o no/such/x",
            1,
            "no/such/x: cannot be written",
        ),
        (
            "image new.bin -n r -t board --key new.bin -o x",
            1,
            "no private key in PEM",
        ),
        (
            "image new.bin -n r -t board -m new.bin -o x",
            1,
            "must be a JSON object",
        ),
        (
            "delta --from old.bin new.bin -T mine -n r -t board -o x",
            2,
            "ends in -delta",
        ),
        ("repack --uncompressed new.bin x", 1, "new.bin: it is no artifact"),
    ] {
        let (code, text) = match arguments {
            "" => {
                let output = run(dir, env!("CARGO_BIN_EXE_mender-pack"), &[]);
                (
                    output.status.code().unwrap_or(-1),
                    String::from_utf8_lossy(&output.stderr).into_owned(),
                )
            }
            _ => pack(dir, arguments).expect_err(arguments),
        };
        assert_eq!(code, status, "{arguments}: {text}");
        assert!(text.contains(part), "{arguments}: {text}");
        assert!(!dir.join("x").exists(), "{arguments}");
    }
    let output = run(
        dir,
        env!("CARGO_BIN_EXE_mender-pack"),
        &["image", "two words.bin", "-T", "t", "-n", "r", "-t", "b", "-o", "x"],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("rename it"));
}
