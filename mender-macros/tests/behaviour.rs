//! What a generated module does when the client calls it: through `ModuleSet`, as the client does.

use core::fmt::{self, Display};
use core::task::{Context, Poll};

use mender::text::{Describe, Text};
use mender::update_module::{
    Artifact, CallbackState, FAILURE_TEXT_LEN, Failure, ModuleSet, Payload, PayloadError, PayloadEvent, PayloadSource,
};
use mender::{UpdateModule, update_module};
use pollster::block_on;

/// A payload in memory: files of one chunk each, then perhaps an error instead of the end.
struct Files {
    meta_data: Option<&'static str>,
    files: Vec<(&'static str, &'static [u8])>,
    error: Option<PayloadError>,
    event: usize,
}

fn files(files: &[(&'static str, &'static [u8])]) -> Files {
    Files {
        meta_data: None,
        files: files.to_vec(),
        error: None,
        event: 0,
    }
}

impl PayloadSource for Files {
    fn artifact(&self) -> Artifact<'_> {
        Artifact {
            name: "release-2",
            payload_type: "any",
            meta_data: self.meta_data,
        }
    }

    fn poll_next(&mut self, _cx: &mut Context<'_>) -> Poll<Result<PayloadEvent, PayloadError>> {
        let event = match (self.files.get(self.event / 3), self.event % 3) {
            (Some((_, data)), 0) => PayloadEvent::File { len: data.len() as u64 },
            (Some(_), 1) => PayloadEvent::Data,
            (Some(_), _) => PayloadEvent::FileEnd,
            (None, _) => return Poll::Ready(self.error.map_or(Ok(PayloadEvent::End), Err)),
        };
        self.event += 1;
        Poll::Ready(Ok(event))
    }

    fn file_name(&self) -> &str {
        self.event
            .checked_sub(1)
            .and_then(|last| self.files.get(last / 3))
            .map_or("", |(name, _)| name)
    }

    fn data(&self) -> &[u8] {
        match (self.event % 3, self.files.get(self.event / 3)) {
            (2, Some((_, data))) => data,
            _ => &[],
        }
    }
}

/// Records what it is called for; fails in the states it is told to.
#[update_module(
    artifact_type = "recorder",
    requires_reboot,
    supports_rollback,
    on(
        download = write,
        install = apply,
        reboot | rollback_reboot = restart,
        verify_reboot = look,
        commit = confirm,
        rollback = back,
        failure = discard,
    )
)]
#[derive(Default)]
struct Recorder {
    calls: Vec<String>,
    fails: bool,
}

impl Recorder {
    async fn write(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        while let Some(mut file) = payload.next_file().await? {
            let name = file.name().to_string();
            let mut text = String::new();
            while let Some(chunk) = file.next_chunk().await? {
                text.push_str(&String::from_utf8_lossy(chunk));
            }
            self.calls.push(format!("write {name}: {text}"));
        }
        if self.fails {
            return Err(Failure::new("cannot write"));
        }
        Ok(())
    }

    fn record<E>(&mut self, call: &str, error: E) -> Result<(), E> {
        self.calls.push(call.to_string());
        if self.fails { Err(error) } else { Ok(()) }
    }

    async fn apply(&mut self) -> Result<(), &'static str> {
        self.record("apply", "cannot apply")
    }

    async fn restart(&mut self) -> Result<(), u8> {
        self.record("restart", 7)
    }

    async fn look(&mut self) -> Result<(), String> {
        self.record("look", "x".repeat(FAILURE_TEXT_LEN + 1))
    }

    async fn confirm(&mut self) -> Result<(), PayloadError> {
        self.record("confirm", PayloadError::Artifact)
    }

    async fn back(&mut self) -> Result<(), std::io::Error> {
        self.record("back", std::io::Error::other("cannot go back"))
    }

    async fn discard(&mut self) -> Result<(), Failure> {
        self.record("discard", Failure::new("cannot discard"))
    }
}

#[update_module(artifact_type = "empty", no_payload)]
struct Empty;

#[update_module(artifact_type = "meta-data", no_payload, on(download = look))]
struct MetaData(Option<String>);

impl MetaData {
    async fn look(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.0 = payload.artifact().meta_data.map(str::to_string);
        Ok(())
    }
}

type Set = (Empty, Recorder, MetaData);

fn set(fails: bool) -> Set {
    (
        Empty,
        Recorder {
            calls: Vec::new(),
            fails,
        },
        MetaData(None),
    )
}

fn call(set: &mut Set, artifact_type: &str, state: CallbackState) -> Result<(), Failure> {
    let module = Set::find(artifact_type).expect("registered");
    block_on(ModuleSet::call(set, module, state)).map(|late| assert_eq!(late, None))
}

fn download(set: &mut Set, artifact_type: &str, mut files: Files) -> Result<(), String> {
    let module = Set::find(artifact_type).expect("registered");
    block_on(ModuleSet::download(set, module, &mut Payload::new(&mut files)))
        .map(|traits| assert_eq!(traits, None))
        .map_err(|failure| failure.to_string())
}

/// What the attribute's table says of each state: the method and the text of its error.
const TABLE: [(CallbackState, Option<(&str, &str)>); 9] = [
    (CallbackState::Install, Some(("apply", "cannot apply"))),
    (CallbackState::Reboot, Some(("restart", "7"))),
    (CallbackState::VerifyReboot, Some(("look", "xxx"))),
    (
        CallbackState::Commit,
        Some(("confirm", "the artifact is malformed or damaged")),
    ),
    (CallbackState::Cleanup, None),
    (CallbackState::Rollback, Some(("back", "cannot go back"))),
    (CallbackState::RollbackReboot, Some(("restart", "7"))),
    (CallbackState::RollbackVerifyReboot, None),
    (CallbackState::Failure, Some(("discard", "cannot discard"))),
];

#[test]
fn each_state_calls_its_method_and_no_other() {
    for (state, expected) in TABLE {
        let mut set = set(false);
        assert_eq!(call(&mut set, "recorder", state), Ok(()), "{state:?}");
        let expected: Vec<&str> = expected.map(|(method, _)| method).into_iter().collect();
        assert_eq!(set.1.calls, expected, "{state:?}");
    }
}

#[test]
fn each_error_becomes_the_text_of_a_failure() {
    for (state, expected) in TABLE {
        let result = call(&mut set(true), "recorder", state);
        match expected {
            None => assert_eq!(result, Ok(()), "{state:?}"),
            Some((_, text)) => {
                let failure = result.expect_err("fails");
                assert!(failure.as_str().starts_with(text), "{state:?}: {failure}");
                assert!(failure.as_str().len() <= FAILURE_TEXT_LEN, "{state:?}: {failure}");
            }
        }
    }
}

struct TwoTexts;

impl Display for TwoTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("displayed")
    }
}

impl Describe for TwoTexts {
    fn describe(&self, out: &mut Text<'_>) {
        out.push("described");
    }
}

#[update_module(artifact_type = "two-texts", on(install = install), no_payload)]
struct Describing;

impl Describing {
    async fn install(&mut self) -> Result<(), TwoTexts> {
        Err(TwoTexts)
    }
}

#[test]
fn an_error_that_describes_itself_is_not_displayed() {
    let failure = block_on(Describing.call(CallbackState::Install)).expect_err("fails");
    assert_eq!(failure.as_str(), "described");
}

#[test]
fn states_that_are_not_listed_succeed_also_without_the_set() {
    for state in CallbackState::ALL {
        assert_eq!(block_on(Empty.call(state)), Ok(()), "{state:?}");
    }
}

#[test]
fn the_descriptor_is_the_table() {
    let descriptor = Recorder::DESCRIPTOR;
    assert_eq!(descriptor.artifact_type, "recorder");
    assert!(descriptor.requires_reboot);
    assert!(descriptor.supports_rollback);
    for (state, expected) in TABLE {
        assert_eq!(descriptor.states.contains(state), expected.is_some(), "{state:?}");
    }
    let empty = Empty::DESCRIPTOR;
    assert!(!empty.requires_reboot);
    assert!(!empty.supports_rollback);
    assert_eq!(
        Set::DESCRIPTORS,
        [Empty::DESCRIPTOR, Recorder::DESCRIPTOR, MetaData::DESCRIPTOR]
    );
}

#[test]
fn download_gets_the_payload() {
    let mut set = set(false);
    let result = download(&mut set, "recorder", files(&[("a.txt", b"one"), ("b.txt", b"two")]));
    assert_eq!(result, Ok(()));
    assert_eq!(set.1.calls, ["write a.txt: one", "write b.txt: two"]);
}

#[test]
fn an_error_of_download_becomes_a_failure() {
    let result = download(&mut set(true), "recorder", files(&[]));
    assert_eq!(result, Err("cannot write".to_string()));
}

#[test]
fn an_error_of_the_payload_becomes_a_failure() {
    for artifact_type in ["recorder", "empty", "meta-data"] {
        let broken = Files {
            error: Some(PayloadError::Connection),
            ..files(&[])
        };
        let result = download(&mut set(false), artifact_type, broken);
        assert_eq!(result, Err(PayloadError::Connection.to_string()), "{artifact_type}");
    }
}

#[test]
fn no_payload_takes_a_payload_without_files() {
    assert_eq!(download(&mut set(false), "empty", files(&[])), Ok(()));
}

#[test]
fn no_payload_rejects_a_file_by_its_name() {
    for artifact_type in ["empty", "meta-data"] {
        let mut set = set(false);
        let result = download(&mut set, artifact_type, files(&[("surprise.bin", b"!")]));
        assert_eq!(
            result,
            Err("this module takes no payload files, found `surprise.bin`".to_string()),
            "{artifact_type}"
        );
        assert_eq!(set.2.0, None, "the module's own download is not called");
    }
}

#[test]
fn no_payload_with_a_method_for_download_sees_the_meta_data() {
    let mut set = set(false);
    let with_meta_data = Files {
        meta_data: Some(r#"{"volume":11}"#),
        ..files(&[])
    };
    assert_eq!(download(&mut set, "meta-data", with_meta_data), Ok(()));
    assert_eq!(set.2.0.as_deref(), Some(r#"{"volume":11}"#));
}

#[test]
fn only_registered_artifact_types_are_found() {
    assert!(Set::find("empty").is_some());
    assert!(Set::find("Empty").is_none());
    assert!(Set::find("").is_none());
}

/// The attribute's promise of no cost: what a generated future holds beside the method's own is the module's reference,
/// the arguments and the point where it waits.
#[test]
fn generated_futures_are_hardly_larger_than_the_methods() {
    let words = 4 * size_of::<usize>();
    let mut module = set(false).1;
    let mut files = files(&[]);
    let mut payload = Payload::new(&mut files);
    let method = size_of_val(&module.write(&mut payload));
    let generated = size_of_val(&UpdateModule::download(&mut module, &mut payload));
    assert!(generated <= method + words, "{generated} for {method}");
    let method = size_of_val(&module.look());
    let generated = size_of_val(&UpdateModule::call(&mut module, CallbackState::VerifyReboot));
    assert!(generated <= method + words, "{generated} for {method}");
}

/// One method for several states, which it is told; with `&mut self` and `&self`.
#[update_module(
    artifact_type = "told",
    no_payload,
    on(install | commit = advance, cleanup | failure = leave)
)]
#[derive(Default)]
struct Told {
    states: Vec<CallbackState>,
}

impl Told {
    async fn advance(&mut self, state: CallbackState) -> Result<(), Failure> {
        self.states.push(state);
        Ok(())
    }

    fn leave(&self, state: CallbackState) -> impl Future<Output = Result<(), String>> {
        let text = format!("{state:?} after {:?}", self.states);
        async { Err(text) }
    }
}

#[test]
fn a_method_for_several_states_may_be_told_which() {
    let mut module = Told::default();
    let call =
        |module: &mut Told, state| block_on(UpdateModule::call(module, state)).map_err(|error| error.to_string());
    assert_eq!(call(&mut module, CallbackState::Install), Ok(()));
    assert_eq!(call(&mut module, CallbackState::Commit), Ok(()));
    let text = |state| Err(format!("{state:?} after [Install, Commit]"));
    assert_eq!(call(&mut module, CallbackState::Failure), text(CallbackState::Failure));
    assert_eq!(call(&mut module, CallbackState::Cleanup), text(CallbackState::Cleanup));
}
