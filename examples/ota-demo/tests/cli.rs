//! Runs the program as a user does.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::image::{ImageBuilder, Version};

/// The demo takes five seconds; on a loaded machine a few times that.
const WATCHDOG: Duration = Duration::from_secs(120);

struct Ran {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// A refusal with this status: nothing told, one line with the reason.
    #[track_caller]
    fn refusal(&self, status: i32) -> &str {
        assert_eq!(self.status.code(), Some(status), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        let line = self.stderr.strip_suffix('\n').expect("a whole line");
        assert!(!line.contains('\n'), "{line}");
        line.strip_prefix("ota-demo: ").expect("the program's name")
    }

    #[track_caller]
    fn success(&self) -> &str {
        assert_eq!(self.status.code(), Some(0), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr, "");
        &self.stdout
    }
}

/// Runs the program with a flash file of its own.
#[track_caller]
fn run(test: &str, arguments: &[&str]) -> Ran {
    let flash = place(&format!("{test}.flash"));
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ota-demo"))
        .arg("--flash")
        .arg(flash)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    let closed = [&stdout, &stderr].map(|output| output.recv_timeout(WATCHDOG.saturating_sub(started.elapsed())));
    let [Ok(stdout), Ok(stderr)] = closed else {
        child.kill().unwrap();
        child.wait().unwrap();
        // What was written until then.
        panic!(
            "killed after {WATCHDOG:?}: {closed:?} {:?} {:?}",
            stdout.recv(),
            stderr.recv()
        );
    };
    Ran {
        status: child.wait().unwrap(),
        stdout,
        stderr,
    }
}

/// The whole text of a pipe, once it is closed.
fn read_all(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        let _ = sender.send(text);
    });
    receiver
}

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn write(name: &str, content: &[u8]) -> String {
    let file = place(name);
    fs::write(&file, content).unwrap();
    file.into_os_string().into_string().unwrap()
}

fn image(version: Version) -> Vec<u8> {
    ImageBuilder::new(version).body_len(100_000).build()
}

#[track_caller]
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("{part:?} does not come, or not in this order, in:\n{text}");
        };
        rest = after;
    }
}

#[test]
fn an_update_stays_and_another_is_rolled_back() {
    let ran = run("story", &[]);
    let told = ran.success();
    assert_in_order(
        told,
        &[
            "bootloader  starts 1.0.0 from slot 0",
            "board       wants to log in: the server has not accepted",
            "operator    accepts the device",
            "board       logs in",
            "operator    deploys release-2",
            "board       reports \"downloading\"",
            "bootloader  swaps the slots and starts 2.0.0, for a test",
            "board       logs in",
            "commit: confirms the image",
            "board       reports \"success\"",
            "operator    deploys release-3",
            "bootloader  swaps the slots and starts 3.0.0, for a test",
            "the self-test FAILS: the sensor does not answer",
            "bootloader  nobody confirmed: swaps the slots back and starts 2.0.0",
            "board       reports \"failure\"",
            "server      has this deployment log",
            "error: verify_reboot: the sensor does not answer",
            "What the server recorded",
            "release-2 (2.0.0): success",
            "release-3 (3.0.0): failure",
            "artifact_name release-2, firmware_version 2.0.0",
            "slot 0: 2.0.0, runs",
            "slot 1: 3.0.0, does not run",
            "Both updates ended as they must",
        ],
    );
    assert!(!told.contains('\x1b'), "no bar and no colours in a pipe");

    // The flash is in the file: the image of 2.0.0 begins slot 0.
    let flash = fs::read(place("story.flash")).unwrap();
    assert_eq!(flash.len(), 0x20_0000);
    let version = mender_testkit::image::header_version(&flash[0x1_0000..]);
    assert_eq!(version, Some(Version::new(2, 0, 0)));

    // And made anew by the next run, which starts with 1.0.0 again. A name that the demo would give itself is no trouble.
    let artifact = ArtifactWriter::new("release-3", "other-board")
        .group("testers")
        .file("zephyr.signed.bin", &image(Version::new(2, 5, 0)))
        .write();
    let file = write("other-board.mender", &artifact);
    let ran = run("story", &["--device-type", "other-board", "--artifact", &file]);
    assert_in_order(
        ran.success(),
        &[
            "starts 1.0.0 from slot 0",
            "release-3 (2.5.0): success",
            "release-3-faulty (3.0.0): failure",
            "artifact_name release-3, firmware_version 2.5.0",
            "Both updates ended as they must",
        ],
    );
}

#[test]
fn all_is_told_over_tls_and_another_root_is_refused() {
    let ran = run("tls", &["--tls"]);
    let told = ran.success();
    assert_in_order(
        told,
        &[
            "server      has a certificate of an authority made on the spot: TLS 1.3",
            "board       with the root of another authority: ",
            "signed by \"The demo's authority\", which is not among the device's roots",
            "bootloader  starts 1.0.0 from slot 0",
            "board       logs in",
            "server      has recorded for release-2: success",
            "server      has recorded for release-3: failure",
        ],
    );
}

#[test]
fn an_artifact_of_the_real_tool() {
    let image = write("tool.bin", &image(Version::new(7, 1, 2)));
    let artifact = place("tool.mender");
    let made = Command::new("mender-artifact")
        .args(["write", "module-image", "-T", "zephyr-image", "-n", "release-2"])
        .args(["-t", "demo-board", "--compression", "none", "-f", &image, "-o"])
        .arg(&artifact)
        .output();
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "mender-artifact must be installed in CI: {error}"
            );
            println!("SKIPPED: mender-artifact is not installed ({error})");
            return;
        }
    };
    assert!(made.status.success(), "{made:?}");
    let ran = run("tool", &["--artifact", artifact.to_str().unwrap()]);
    assert_in_order(
        ran.success(),
        &[
            "uploads release-2: firmware 7.1.2",
            "starts 7.1.2, for a test",
            "starts 8.0.0, for a test",
            "swaps the slots back and starts 7.1.2",
            "release-2 (7.1.2): success",
            "release-8 (8.0.0): failure",
            "slot 0: 7.1.2, runs",
        ],
    );
}

#[test]
fn artifacts_that_cannot_be_used() {
    let good = image(Version::new(2, 0, 0));
    let mut broken = good.clone();
    broken[5000] ^= 1;
    let with = |writer: ArtifactWriter, image: &[u8]| writer.file("zephyr.signed.bin", image).write();
    let plain = || ArtifactWriter::new("release-2", "demo-board");
    let mut flipped = with(plain(), &good);
    let last = flipped.len() - 50_000;
    flipped[last] ^= 1;
    let big = ImageBuilder::new(Version::new(2, 0, 0)).body_len(980_000).build();
    let cases = [
        (
            "text",
            b"This is no artifact.".repeat(100),
            "not an artifact that the board can install: ",
        ),
        ("empty", Vec::new(), "not an artifact that the board can install: "),
        ("flipped", flipped, "SHA-256"),
        (
            "type",
            with(ArtifactWriter::new("release-2", "fridge").device_type("oven"), &good),
            "it is made for device type \"fridge\", \"oven\", the board is \"demo-board\": change one with --device-type or -t",
        ),
        (
            "payload",
            with(plain().payload_type("rootfs-image"), &good),
            "its payload type is \"rootfs-image\", the board installs \"zephyr-image\"",
        ),
        (
            "bootstrap",
            ArtifactWriter::bootstrap("release-2", "demo-board").write(),
            "nothing to install",
        ),
        (
            "no-image",
            with(plain(), b"a shell script"),
            "the payload is not an MCUboot image",
        ),
        ("no-file", plain().write(), "the payload has 0 files"),
        (
            "two-files",
            with(plain().file("a", &good), &good),
            "the payload has 2 files",
        ),
        (
            "broken",
            with(plain(), &broken),
            "the SHA-256 in the MCUboot image is wrong",
        ),
        ("big", with(plain(), &big), "the board's slots have room for"),
        (
            "encrypted",
            with(plain(), &ImageBuilder::new(Version::new(2, 0, 0)).flags(0x4).build()),
            "encrypted",
        ),
        (
            "depends",
            with(plain().depends_name("release-0"), &good),
            "depends on another value of \"artifact_name\"",
        ),
        (
            "same",
            with(ArtifactWriter::new("release-1", "demo-board"), &good),
            "is \"release-1\", which is what the board runs already",
        ),
    ];
    // Of an earlier run of this test.
    let _ = fs::remove_file(place("refused.flash"));
    for (name, artifact, reason) in cases {
        let file = write(&format!("refused-{name}.mender"), &artifact);
        let ran = run("refused", &["--artifact", &file]);
        let line = ran.refusal(1);
        assert!(line.starts_with(&format!("{file}: ")), "{line}");
        assert!(line.contains(reason), "{name}: {line}");
    }
    assert!(!place("refused.flash").exists(), "refused before anything is made");
    let missing = run("refused", &["--artifact", "no-such-file.mender"]);
    assert!(missing.refusal(1).starts_with("no-such-file.mender: "));
    let directory = run("refused", &["--artifact", env!("CARGO_TARGET_TMPDIR")]);
    assert!(directory.refusal(1).starts_with(env!("CARGO_TARGET_TMPDIR")));
}

#[test]
fn a_file_that_is_no_flash_is_not_overwritten() {
    let file = write("precious.flash", b"something precious");
    let ran = run("precious", &[]);
    assert_eq!(
        ran.refusal(1),
        format!("{file}: is not a flash of this demo and is not overwritten; give another name with --flash")
    );
    assert_eq!(fs::read(&file).unwrap(), b"something precious");
}

#[test]
fn an_update_that_the_board_refuses_is_not_called_good() {
    // Within all limits of an artifact, but with provides that are too long for the board's records together with the
    // rest that is in them: only the board finds out.
    let name = format!("release-{}", "2".repeat(192));
    let artifact = ArtifactWriter::new(&name, "demo-board")
        .software_version("2")
        .provides("calibration", &"7".repeat(215))
        .file("zephyr.signed.bin", &image(Version::new(2, 0, 0)))
        .write();
    let file = write("provides.mender", &artifact);
    let ran = run("provides", &["--artifact", &file]);
    assert_eq!(ran.status.code(), Some(1), "{}{}", ran.stdout, ran.stderr);
    assert_in_order(
        &ran.stdout,
        &[
            &format!("has recorded for {name}: failure"),
            "has this deployment log",
            "error: ",
            &format!("{name} (2.0.0): failure"),
            "slot 0: 1.0.0, runs",
            "NOT as it must be: ",
        ],
    );
    assert!(
        ran.stderr
            .contains(&format!("ota-demo: wrong: statuses of {name} in order"))
    );
    assert!(ran.stderr.contains("ota-demo: wrong: boots"));
}

#[test]
fn the_command_line_is_that_of_all_tools() {
    let tool = tool_style::check::Tool {
        name: "ota-demo",
        program: env!("CARGO_BIN_EXE_ota-demo"),
    };
    tool.has_the_style();
    tool.fails(
        1,
        &["--flash", "/no/such/flash"],
        &["/no/such/flash: cannot be written: "],
    );
    tool.fails(
        1,
        &["--artifact", "/no/such.mender"],
        &["/no/such.mender: cannot be read: ", "is its path right?"],
    );
}

#[test]
fn usage_and_help() {
    let wrong = run("usage", &["--fast"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(wrong.stderr.contains("--fast") && wrong.stdout.is_empty());
    assert!(
        run("usage", &["--device-type", ""])
            .refusal(2)
            .contains("--device-type")
    );
    let help = run("usage", &["--help"]);
    for taught in [
        "--artifact <FILE>",
        "mender-artifact write module-image -T zephyr-image -n my-release -t demo-board",
        "--compression none",
        "imgtool sign",
        "target/debug/ota-demo.flash",
        "slot 1: the image that is tried",
        "Exit status: 0",
    ] {
        assert!(help.success().contains(taught), "{taught}: {}", help.stdout);
    }
}
