//! The payload: through pipes, or as files.

use std::fs;

use mender::update_module::PayloadError;

use crate::rig::{LONG, Rig};

/// Reads all, as the stock modules that stream do.
const READS_ALL: &str = r#"
case "$1" in
Download | DownloadWithFileSizes)
    while line="$(cat stream-next)"; test -n "$line"; do
        echo "$line" >>"$AT/lines"
        file="$line"
        test "$1" = Download || file="${line% *}"
        cat "$file" >>"$AT/content"
    done
    ;;
esac"#;

fn big() -> Vec<u8> {
    (0..1_000_000_u32).map(|i| (i / 7 % 251) as u8).collect()
}

#[test]
fn files_come_through_pipes_in_their_order() {
    let rig = Rig::with_module(READS_ALL);
    let mut device = rig.start();
    let big = big();
    let payload = rig.payload(&[("one", &big), ("empty", b""), ("a name", b"last")]);
    device.download(&payload).unwrap();
    assert_eq!(rig.read("lines"), "streams/one\nstreams/empty\nstreams/a name\n");
    let content = fs::read(rig.at().join("content")).unwrap();
    assert!(content == [big.as_slice(), b"last"].concat());
    assert_eq!(rig.calls(), ["ProvidePayloadFileSizes", "Download", "SupportsRollback"]);
    // The pipes are there in the download only, and who read them gets no files.
    for name in ["stream-next", "streams", "files"] {
        assert!(!rig.tree().join(name).exists(), "{name}");
    }
}

#[test]
fn a_module_may_ask_for_the_sizes() {
    let rig = Rig::with_module(&format!(
        "test \"$1\" != ProvidePayloadFileSizes || echo Yes\n{READS_ALL}"
    ));
    let mut device = rig.start();
    device.download(&rig.payload(&[("a", b"four"), ("b", b"")])).unwrap();
    assert_eq!(rig.read("lines"), "streams/a 4\nstreams/b 0\n");
    assert_eq!(
        rig.calls(),
        ["ProvidePayloadFileSizes", "DownloadWithFileSizes", "SupportsRollback"]
    );
}

#[test]
fn who_reads_no_pipe_gets_files() {
    let rig = Rig::with_module("test \"$1\" != Download || test -p stream-next");
    let mut device = rig.start();
    let big = big();
    device
        .download(&rig.payload(&[("one", &big), ("empty", b""), ("two words", b"2")]))
        .unwrap();
    let read = |name: &str| fs::read(rig.tree().join("files").join(name)).unwrap();
    assert!(read("one") == big);
    assert_eq!(read("empty"), b"");
    assert_eq!(read("two words"), b"2");
    for name in ["stream-next", "streams"] {
        assert!(!rig.tree().join(name).exists(), "{name}");
    }
}

#[test]
fn sizes_and_files_go_together() {
    let rig = Rig::with_module("test \"$1\" != ProvidePayloadFileSizes || echo Yes");
    let mut device = rig.start();
    device.download(&rig.payload(&[("one", b"1")])).unwrap();
    assert_eq!(fs::read(rig.tree().join("files/one")).unwrap(), b"1");
}

#[test]
fn a_payload_may_have_no_files() {
    for body in ["", READS_ALL] {
        let rig = Rig::with_module(body);
        let mut device = rig.start();
        device.download(&rig.payload(&[])).unwrap();
        assert!(!rig.tree().join("files").exists());
    }
}

/// What a download fails with, and whether the module was cleaned up after.
#[track_caller]
fn fails(rig: &Rig, files: &[(&str, &[u8])]) -> String {
    let mut device = rig.start();
    let failure = device.download(&rig.payload(files)).unwrap_err();
    device.call(mender::update_module::CallbackState::Cleanup).unwrap();
    assert_eq!(rig.calls().last().map(String::as_str), Some("Cleanup"));
    assert!(!rig.tree().exists());
    failure.as_str().into()
}

#[test]
fn half_a_stream_is_no_download() {
    // More than fits a pipe, so that the module's end is seen in the middle.
    let big = big();
    let rig =
        Rig::with_module("test \"$1\" != Download || { file=$(cat stream-next); head -c 1000 \"$file\" >/dev/null; }");
    let failure = fails(&rig, &[("one", &big)]);
    assert_eq!(
        failure,
        "Download: ended before it had read the payload (update module a-module)"
    );
}

#[test]
fn a_stream_without_the_end_of_the_list_is_no_download() {
    let rig = Rig::with_module("test \"$1\" != Download || cat \"$(cat stream-next)\" >/dev/null");
    let failure = fails(&rig, &[("one", b"1")]);
    assert_eq!(
        failure,
        "Download: ended before it had read the payload (update module a-module)"
    );
}

#[test]
fn a_list_without_its_streams_is_no_download() {
    let rig = Rig::with_module("test \"$1\" != Download || cat stream-next >/dev/null");
    let failure = fails(&rig, &[("one", b"1")]);
    assert_eq!(
        failure,
        "Download: ended before it had read the payload (update module a-module)"
    );
}

#[test]
fn how_a_module_ends_is_told_even_if_it_closed_its_pipe_before() {
    let big = big();
    let rig = Rig::with_module(
        "test \"$1\" != Download || { head -c 9 \"$(cat stream-next)\" >/dev/null; sleep 0.2; exit 42; }",
    );
    let failure = fails(&rig, &[("one", &big)]);
    assert_eq!(failure, "Download: exit status 42 (update module a-module)");
}

#[test]
fn a_module_that_fails_in_the_middle_fails_at_once() {
    let big = big();
    for body in [
        "cat stream-next; exit 7",
        "exit 7",
        "cat \"$(cat stream-next)\" | exit 7",
    ] {
        let rig = Rig::with_module(&format!("test \"$1\" != Download || {{ {body}; }}"));
        let failure = fails(&rig, &[("one", &big)]);
        assert_eq!(failure, "Download: exit status 7 (update module a-module)", "{body}");
    }
}

#[test]
fn a_module_that_opens_a_pipe_and_never_reads_is_ended() {
    let big = big();
    let never = |body: &str| {
        let mut rig = Rig::with_module(&format!("test \"$1\" != Download || {{ {body}; }}"));
        rig.settings.timeout = std::time::Duration::from_secs(3);
        let failure = fails(&rig, &[("one", &big)]);
        assert_eq!(failure, "Download: killed after 3 s (update module a-module)", "{body}");
    };
    let bodies = [
        "exec 3<stream-next; sleep 1000",
        "exec 3<\"$(cat stream-next)\"; sleep 1000",
        "sleep 1000",
    ];
    std::thread::scope(|scope| {
        for body in bodies {
            scope.spawn(|| never(body));
        }
    });
}

#[test]
fn a_broken_payload_ends_the_module_before_it_sees_an_end() {
    // Whoever sees the end of a stream thinks that it is whole.
    let rig = Rig::with_module(
        "test \"$1\" != Download || { cat \"$(cat stream-next)\" >\"$AT/content\"; echo whole >\"$AT/whole\"; }",
    );
    for error in [PayloadError::Connection, PayloadError::Artifact] {
        let mut device = rig.start();
        let payload = rig.payload(&[("one", &big())]).breaks_after(500_000, error);
        let begin = std::time::Instant::now();
        let failure = device.download(&payload).unwrap_err();
        assert_eq!(failure.as_str(), format!("Download: {error} (update module a-module)"));
        assert!(begin.elapsed() < LONG);
        assert!(!rig.at().join("whole").exists());
    }
}

#[test]
fn a_broken_payload_fails_a_module_that_takes_files() {
    let rig = Rig::with_module("");
    let mut device = rig.start();
    let payload = rig.payload(&[("one", &big())]);
    let failure = device
        .download(&payload.breaks_after(500_000, PayloadError::Connection))
        .unwrap_err();
    assert!(failure.as_str().contains("could not be resumed"), "{failure}");
    // Not even asked.
    assert_eq!(rig.calls(), ["ProvidePayloadFileSizes", "Download"]);
}

#[test]
fn hostile_names_lead_nowhere() {
    for body in [READS_ALL, ""] {
        for name in ["..", ".", "", "../../escape", "/etc/escape", "a/b", "a\nstreams/b"] {
            let rig = Rig::with_module(body);
            let failure = fails(&rig, &[(name, b"evil")]);
            let text = "Download: the payload has a file without a plain name (update module a-module)";
            assert_eq!(failure, text, "{name:?}");
            assert!(!rig.settings.work.join("payloads/escape").exists());
        }
    }
}

#[test]
fn a_full_disk_fails_the_download() {
    let rig = Rig::with_module("test \"$1\" != Download || { mkdir files; ln -s /dev/full files/one; }");
    let failure = fails(&rig, &[("one", b"1")]);
    assert!(
        failure.starts_with("Download: files: No space left on device"),
        "{failure}"
    );
}

#[test]
fn a_tree_that_cannot_be_made_fails_the_download() {
    let rig = Rig::with_module("");
    fs::write(&rig.settings.work, "a file").unwrap();
    let mut device = rig.start();
    let failure = device.download(&rig.payload(&[])).unwrap_err();
    assert!(failure.as_str().starts_with("Download: file tree: "), "{failure}");
    assert!(rig.calls().is_empty());
}

#[test]
fn pipes_that_a_module_removes_are_none_that_it_reads() {
    let rig = Rig::with_module("test \"$1\" != Download || rm -r stream-next streams");
    let mut device = rig.start();
    device.download(&rig.payload(&[("one", b"1")])).unwrap();
    assert_eq!(fs::read(rig.tree().join("files/one")).unwrap(), b"1");
}

#[test]
fn what_another_update_left_is_cleaned_up_first() {
    let rig = Rig::with_module("test \"$1\" != Download || touch tmp/mark");
    let mut device = rig.start();
    device.download(&rig.payload(&[("one", b"1")])).unwrap();
    assert!(rig.tree().join("tmp/mark").exists());
    rig.calls();
    // The client is killed, and the server offers another update.
    let mut device = rig.start();
    rig.module(crate::rig::MODULE, "test \"$1\" != Cleanup || test -e tmp/mark");
    device.download(&rig.payload(&[("two", b"2")])).unwrap();
    assert_eq!(
        rig.calls(),
        ["Cleanup", "ProvidePayloadFileSizes", "Download", "SupportsRollback"]
    );
    assert_eq!(rig.notes.take(), [""; 0]);
    assert!(!rig.tree().join("tmp/mark").exists());
    assert!(!rig.tree().join("files/one").exists());
}

#[test]
fn half_a_tree_is_none() {
    let rig = Rig::with_module("");
    for leftover in ["tree/header", "tree.old/header"] {
        fs::create_dir_all(rig.settings.work.join("payloads/0000").join(leftover)).unwrap();
        fs::write(rig.settings.work.join("payloads/0000/answers.new"), "half").unwrap();
        let mut device = rig.start();
        device.download(&rig.payload(&[("one", b"1")])).unwrap();
        assert_eq!(rig.calls(), ["ProvidePayloadFileSizes", "Download", "SupportsRollback"]);
        device.call(mender::update_module::CallbackState::Cleanup).unwrap();
        rig.calls();
    }
}
