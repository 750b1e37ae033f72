//! The same artifact and the same module in Debian's `mender-client` and here: the same calls in the same order, with the same file tree
//! and the same environment.
//!
//! That client runs in a namespace of its own, where the folder of modules is ours. It is a version (3.4) that does not ask for
//! `ProvidePayloadFileSizes` yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use mender::deployment::Verdict;
use serde_json::Value;

use crate::artifact::{MENDER_ARTIFACT, RealPayload, are_there, write_artifact};
use crate::deploy::{Storage, deploy};
use crate::rig::{MODULE, Rig};

/// Keeps what it sees: all files of the tree, with kinds and permissions, and the environment. Not the pipes: that client makes the first
/// one earlier, and leaves them there after the download.
const SEE: &str = r#"
SEEN="$AT/seen/$1"
mkdir -p "$SEEN"
find . -mindepth 1 ! -path './stream*' -printf '%P %y %m\n' | sort >"$SEEN/files"
find . -type f | while read -r file; do
    mkdir -p "$SEEN/tree/$(dirname "$file")"
    cp "$file" "$SEEN/tree/$file"
done
# Without those that a shell itself has; that client is started by one.
env -u _ -u OLDPWD -u SHLVL | sed "s,$2,TREE,g" | sort >"$SEEN/env"
echo "$#" "$(pwd)" | sed "s,$2,TREE,g" >"$SEEN/arguments"
"#;

/// For each call what the module saw, by the name of the file that it is in.
type Seen = BTreeMap<String, BTreeMap<String, String>>;

fn seen(at: &Path) -> Seen {
    fn collect(folder: &Path, name: &str, all: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{name}/{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                collect(&entry.path(), &name, all);
            } else {
                let text = fs::read_to_string(entry.path()).unwrap();
                // What is JSON is compared as JSON: neither client keeps the text.
                let is_json = ["header-info", "type-info", "meta-data"]
                    .iter()
                    .any(|json| name.ends_with(json));
                let text = if is_json { sorted(&text) } else { text };
                all.insert(name, text);
            }
        }
    }
    let mut calls = Seen::new();
    let Ok(folders) = fs::read_dir(at.join("seen")) else {
        return calls;
    };
    for folder in folders {
        let folder = folder.unwrap();
        let mut all = BTreeMap::new();
        collect(&folder.path(), "", &mut all);
        calls.insert(folder.file_name().into_string().unwrap(), all);
    }
    let _ = fs::remove_dir_all(at.join("seen"));
    calls
}

fn sorted(text: &str) -> String {
    fn sort(value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let members: BTreeMap<_, _> = members.into_iter().map(|(key, value)| (key, sort(value))).collect();
                Value::Object(members.into_iter().collect())
            }
            Value::Array(values) => Value::Array(values.into_iter().map(sort).collect()),
            other => other,
        }
    }
    sort(serde_json::from_str(text).unwrap()).to_string()
}

/// Installs and commits with Debian's client. Says whether it was content.
fn debian(rig: &Rig) -> bool {
    let at = rig.at();
    fs::create_dir_all(at.join("etc")).unwrap();
    fs::create_dir_all(at.join("data")).unwrap();
    fs::write(at.join("etc/artifact_info"), "artifact_name=release-0\n").unwrap();
    fs::write(at.join("data/device_type"), "device_type=board-a\n").unwrap();
    let conf = format!("{{\"DeviceTypeFile\": \"{}/data/device_type\"}}", at.display());
    fs::write(at.join("etc/mender.conf"), conf).unwrap();
    let script = r#"
        set -e
        mount --bind "$0/modules" /usr/share/mender/modules/v3
        mount --bind "$0/etc" /etc/mender
        mender() {
            /usr/bin/mender --no-syslog --config "$0/etc/mender.conf" --fallback-config /nonexistent --data "$0/data" "$@"
        }
        if test -e "$0/before.mender"; then
            mender install "$0/before.mender"
            mender commit || test $? = 2
            rm -r "$0/calls" "$0/seen"
        fi
        mender install "$0/a.mender"
        # What cannot be rolled back is committed at once: there is nothing to commit then.
        mender commit || test $? = 2
    "#;
    let status = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(&at)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(at.join("said")).unwrap())
        .status()
        .unwrap();
    status.success()
}

fn ours(rig: &Rig) -> bool {
    let mut device = rig.start();
    let mut payload = RealPayload::open(&rig.at().join("a.mender"));
    let storage = Storage::new(&rig.at());
    let verdict = deploy(&mut device, MODULE, &mut payload, &storage, |_, event| event);
    verdict.expect("nothing restarts") == Verdict::Success
}

fn can_compare() -> bool {
    let namespaces = Command::new("unshare")
        .args(["--map-root-user", "--mount", "true"])
        .status();
    if !namespaces.is_ok_and(|status| status.success()) {
        println!("skipped: no namespaces for this user");
        return false;
    }
    are_there(&[
        MENDER_ARTIFACT,
        "/usr/bin/mender",
        "/usr/share/mender/modules/v3",
        "/etc/mender",
    ])
}

/// Runs both, with these arguments of `mender-artifact`.
#[track_caller]
fn compare(body: &str, succeeds: bool, arguments: &[&str]) {
    if !can_compare() {
        return;
    }
    let mut rig = Rig::new();
    rig.group = "";
    compare_in(&rig, body, succeeds, arguments);
}

#[track_caller]
fn compare_in(rig: &Rig, body: &str, succeeds: bool, arguments: &[&str]) {
    rig.module(MODULE, &format!("{SEE}\n{body}"));
    let at = rig.at();
    fs::write(at.join("one"), "the first file\n").unwrap();
    fs::write(at.join("two"), vec![7; 100_000]).unwrap();
    fs::write(at.join("meta"), r#"{"a": [1, 2.5, "\u00e4"], "b": null}"#).unwrap();
    let fixed = ["-T", MODULE, "-n", "release-1"];
    write_artifact(&at, "a.mender", &[&fixed, arguments].concat());

    let content = debian(rig);
    let said = rig.read("said");
    let (their_calls, theirs) = (rig.calls(), seen(&at));
    assert_eq!(content, succeeds, "{their_calls:?}\n{said}");
    assert_eq!(ours(rig), succeeds);
    let (our_calls, mut ours) = (rig.calls(), seen(&at));
    // The two queries that this client asks at another time: one it does not know, one it asks again before a rollback.
    ours.remove("ProvidePayloadFileSizes").unwrap();
    let others = |calls: Vec<String>| -> Vec<String> {
        let asked = ["ProvidePayloadFileSizes", "SupportsRollback"];
        calls
            .into_iter()
            .filter(|call| !asked.contains(&call.as_str()))
            .collect()
    };
    assert_eq!(others(our_calls), others(their_calls), "{said}");
    assert!(!theirs.is_empty());
    assert!(ours.keys().eq(theirs.keys()));
    for (call, theirs) in theirs {
        let ours = &ours[&call];
        assert!(theirs.len() > 12, "{call}: {:?}", theirs.keys());
        let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        for name in names {
            // Only what differs, of long ones.
            let lines = |seen: &BTreeMap<String, String>| -> BTreeSet<String> {
                let text = seen.get(name).map_or("(none)", String::as_str);
                text.split('\n').map(String::from).collect()
            };
            let (ours, theirs) = (lines(ours), lines(&theirs));
            let ours_alone: Vec<_> = ours.difference(&theirs).collect();
            let theirs_alone: Vec<_> = theirs.difference(&ours).collect();
            assert_eq!(ours_alone, theirs_alone, "{call}: {name}");
        }
    }
}

const READS_ALL: &str = r#"
if test "$1" = Download; then
    while file="$(cat stream-next)"; test -n "$file"; do
        cat "$file" | sha256sum >>tmp/content
    done
fi"#;

const TWO_FILES: [&str; 4] = ["-f", "one", "-f", "two"];

#[test]
fn files() {
    compare("", true, &TWO_FILES);
}

#[test]
fn streams() {
    compare(READS_ALL, true, &TWO_FILES);
}

#[test]
fn a_header_with_everything_in_it() {
    if !can_compare() {
        return;
    }
    // The device is in a group, but that client leaves `current_artifact_group` empty all the same.
    let mut rig = Rig::new();
    rig.group = "";
    let before = ["-T", MODULE, "-n", "release-0", "-g", "beta", "-p", "base.version:1"];
    write_artifact(&rig.at(), "before.mender", &before);
    #[rustfmt::skip]
    let arguments = [
        "-f", "one", "-m", "meta",
        "-t", "board-b", "-N", "release-0", "-N", "release-00", "-G", "beta", "-G", "gamma", "-d", "base.version:1",
        "-g", "stable", "-p", "a.version:2 \"quoted\" \\ and ä", "-p", "b.version:",
        "--clears-provides", "a.*", "--clears-provides", "rootfs-image.*",
    ];
    compare_in(&rig, "", true, &arguments);
}

#[test]
fn no_files() {
    compare("", true, &[]);
    compare(READS_ALL, true, &[]);
}

#[test]
fn a_module_that_rolls_back_or_not_and_fails_somewhere() {
    for state in [
        "Download",
        "ArtifactInstall",
        "ArtifactCommit",
        "NeedsArtifactReboot",
        "SupportsRollback",
    ] {
        for rollback in ["Yes", "No"] {
            let body = format!("test \"$1\" != {state}\ntest \"$1\" != SupportsRollback || echo {rollback}");
            compare(&body, false, &TWO_FILES);
        }
    }
}

#[test]
fn a_module_that_does_not_read_all() {
    for body in [
        "cat stream-next",
        "cat \"$(cat stream-next)\"",
        "head -c 1 \"$(cat stream-next)\"; exit 0",
    ] {
        compare(&format!("test \"$1\" != Download || {{ {body}; }}"), false, &TWO_FILES);
    }
}
