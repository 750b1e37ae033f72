//! Artifacts that come another way than from the server, with a power cut at each operation.
//!
//! The device has one file with a version in it. Everything that it does counts as an operation: records that are read or written, and
//! what the module does to the file. At a cut the operation takes place or does not, and nothing follows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use mender::client::{
    CommitError, InstallError, Installed, Pending, Resources, RollbackError, RolledBack, Standalone, StandaloneConfig,
};
use mender::deployment::INCONSISTENT_SUFFIX;
use mender::deployment::record::InstalledRecord;
use mender::embedded_io_async::{ErrorKind, ErrorType, Read};
use mender::storage::{ReadError, RecordKey, Storage, WriteError};
use mender::update_module::{CallbackState, Descriptor, Failure, Payload, States, UpdateModule};
use mender_testkit::artifact::ArtifactWriter;

const DEVICE_TYPE: &str = "sim-board";

/// What survives a loss of power.
#[derive(Clone, Debug, Default)]
struct World {
    records: [BTreeMap<KeyNumber, Vec<u8>>; 2],
    file: String,
    received: String,
    backup: Option<String>,
    calls: Vec<CallbackState>,
    fails: Vec<CallbackState>,
    operations: usize,
    /// Power is lost at this operation; after its effect, or before.
    cut: Option<(usize, bool)>,
}

/// A key's number: keys have no order.
type KeyNumber = u8;

type Shared = Rc<RefCell<World>>;

/// An operation with an effect on the world, unless power is lost.
async fn operate<T>(world: &Shared, effect: impl FnOnce(&mut World) -> T) -> T {
    let done = {
        let mut world = world.borrow_mut();
        world.operations += 1;
        match world.cut {
            Some((at, after)) if at == world.operations => {
                if after {
                    effect(&mut world);
                }
                None
            }
            Some(_) | None => Some(effect(&mut world)),
        }
    };
    match done {
        Some(value) => value,
        None => pending().await,
    }
}

struct Records(Shared, usize);

impl Storage for Records {
    type Error = Infallible;

    async fn read(&mut self, key: RecordKey, buffer: &mut [u8]) -> Result<Option<usize>, ReadError<Infallible>> {
        let record = operate(&self.0, |world| world.records[self.1].get(&key.number()).cloned()).await;
        Ok(record.map(|record| {
            buffer[..record.len()].copy_from_slice(&record);
            record.len()
        }))
    }

    async fn write(&mut self, key: RecordKey, record: &[u8]) -> Result<(), WriteError<Infallible>> {
        operate(&self.0, |world| {
            world.records[self.1].insert(key.number(), record.to_vec());
        })
        .await;
        Ok(())
    }

    async fn remove(&mut self, key: RecordKey) -> Result<(), WriteError<Infallible>> {
        operate(&self.0, |world| {
            world.records[self.1].remove(&key.number());
        })
        .await;
        Ok(())
    }
}

/// Puts the artifact's file in the place of the device's; with `BACK` it can put the old one back.
struct File<const BACK: bool>(Shared);

impl<const BACK: bool> UpdateModule for File<BACK> {
    const DESCRIPTOR: Descriptor = Descriptor {
        artifact_type: "app",
        other_types: &[],
        requires_reboot: false,
        supports_rollback: BACK,
        states: {
            let mut states = States::NONE;
            let mut i = 0;
            while i < CallbackState::ALL.len() {
                states = states.with(CallbackState::ALL[i]);
                i += 1;
            }
            states
        },
    };

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        let mut text = String::new();
        while let Some(mut file) = payload.next_file().await? {
            while let Some(chunk) = file.next_chunk().await? {
                text.push_str(std::str::from_utf8(chunk).map_err(Failure::new)?);
            }
        }
        operate(&self.0, |world| world.received = text).await;
        Ok(())
    }

    async fn call(&mut self, state: CallbackState) -> Result<(), Failure> {
        if self.0.borrow().fails.contains(&state) {
            self.0.borrow_mut().calls.push(state);
            return Err(Failure::of("fails"));
        }
        operate(&self.0, |world| {
            world.calls.push(state);
            match state {
                CallbackState::Install => {
                    if world.backup.is_none() {
                        world.backup = Some(world.file.clone());
                    }
                    world.file = world.received.clone();
                }
                CallbackState::Rollback => {
                    if let Some(backup) = world.backup.clone() {
                        world.file = backup;
                    }
                }
                CallbackState::Cleanup => world.backup = None,
                CallbackState::Reboot
                | CallbackState::VerifyReboot
                | CallbackState::Commit
                | CallbackState::RollbackReboot
                | CallbackState::RollbackVerifyReboot
                | CallbackState::Failure => {}
            }
        })
        .await;
        Ok(())
    }
}

/// Runs a command until it ends or power is lost, of which nothing is left but the world.
fn run<T, const BACK: bool>(
    world: &Shared,
    command: impl for<'s> AsyncFnOnce(&'s mut Standalone<'_, Records, Records, (File<BACK>,)>) -> T,
) -> Option<T> {
    let mut resources = Resources::new();
    let config = StandaloneConfig::new(DEVICE_TYPE, "release-1");
    let (storage, other) = (Records(world.clone(), 0), Records(world.clone(), 1));
    let mut standalone = Standalone::new(config, storage, other, (File::<BACK>(world.clone()),), &mut resources);
    let mut command = pin!(command(&mut standalone));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(result) = command.as_mut().poll(&mut context) {
            return Some(result);
        }
        if world
            .borrow()
            .cut
            .is_some_and(|(at, _)| world.borrow().operations >= at)
        {
            world.borrow_mut().cut = None;
            return None;
        }
    }
    panic!("the command does not end");
}

fn new_world() -> Shared {
    Rc::new(RefCell::new(World {
        file: "one".to_owned(),
        ..World::default()
    }))
}

fn release_2() -> Vec<u8> {
    ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("app")
        .file("app.txt", b"two")
        .write()
}

fn install<const BACK: bool>(world: &Shared, artifact: &[u8]) -> Option<Result<Installed, InstallError>> {
    run::<_, BACK>(world, async |standalone| standalone.install(artifact).await)
}

fn commit<const BACK: bool>(world: &Shared) -> Option<Result<(), CommitError>> {
    run::<_, BACK>(world, async |standalone| standalone.commit().await)
}

fn rollback<const BACK: bool>(world: &Shared) -> Option<Result<RolledBack, RollbackError>> {
    run::<_, BACK>(world, async |standalone| standalone.rollback().await)
}

fn is_pending<const BACK: bool>(world: &Shared) -> Pending {
    run::<_, BACK>(world, async |standalone| standalone.pending().await)
        .expect("no cut")
        .expect("records can be read")
}

/// The artifact name that is stored.
fn name(world: &Shared) -> Option<String> {
    let world = world.borrow();
    let record = world.records[0].get(&RecordKey::Installed.number())?;
    let record = InstalledRecord::decode(record).expect("a good record");
    record.provides.artifact_name().map(str::to_owned)
}

fn is_inconsistent(world: &Shared) -> bool {
    name(world).is_some_and(|name| name.ends_with(INCONSISTENT_SUFFIX))
}

const AWAITS: Installed = Installed::Awaits { needs_reboot: false };
const BACK: RolledBack = RolledBack { needs_reboot: false };

#[test]
fn an_update_awaits_its_commit_and_is_provided_then() {
    use CallbackState::{Cleanup, Commit, Install};
    let world = new_world();
    assert_eq!(install::<true>(&world, &release_2()), Some(Ok(AWAITS)));
    assert_eq!((name(&world), world.borrow().file.as_str()), (None, "two"));
    assert_eq!(is_pending::<true>(&world), Pending::Awaits);
    assert_eq!(
        install::<true>(&world, &release_2()),
        Some(Err(InstallError::Pending(Pending::Awaits)))
    );
    assert_eq!(commit::<true>(&world), Some(Ok(())));
    assert_eq!(name(&world).as_deref(), Some("release-2"));
    assert_eq!(world.borrow().calls, [Install, Commit, Cleanup]);
    assert_eq!(is_pending::<true>(&world), Pending::Nothing);
    assert_eq!(
        commit::<true>(&world),
        Some(Err(CommitError::NotAwaited(Pending::Nothing)))
    );
    assert_eq!(rollback::<true>(&world), Some(Err(RollbackError::Nothing)));
}

#[test]
fn an_update_is_rolled_back() {
    use CallbackState::{Cleanup, Install, Rollback};
    let world = new_world();
    assert_eq!(install::<true>(&world, &release_2()), Some(Ok(AWAITS)));
    assert_eq!(rollback::<true>(&world), Some(Ok(BACK)));
    assert_eq!((name(&world), world.borrow().file.as_str()), (None, "one"));
    assert_eq!(world.borrow().calls, [Install, Rollback, Cleanup]);
    // The next one starts afresh.
    assert_eq!(install::<true>(&world, &release_2()), Some(Ok(AWAITS)));
    assert_eq!(commit::<true>(&world), Some(Ok(())));
    assert_eq!(name(&world).as_deref(), Some("release-2"));
}

#[test]
fn what_cannot_be_rolled_back_is_committed_at_once() {
    let world = new_world();
    assert_eq!(install::<false>(&world, &release_2()), Some(Ok(Installed::Committed)));
    assert_eq!(name(&world).as_deref(), Some("release-2"));
    assert_eq!(is_pending::<false>(&world), Pending::Nothing);
}

#[test]
fn an_artifact_without_a_payload_is_committed_at_once() {
    let world = new_world();
    let artifact = ArtifactWriter::bootstrap("release-3", DEVICE_TYPE).write();
    assert_eq!(install::<true>(&world, &artifact), Some(Ok(Installed::Committed)));
    assert_eq!(name(&world).as_deref(), Some("release-3"));
    assert_eq!(world.borrow().calls, []);
}

#[test]
fn what_does_not_fit_or_is_damaged_changes_nothing() {
    let other_device = ArtifactWriter::new("release-2", "other-board")
        .payload_type("app")
        .write();
    let other_type = ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("other")
        .write();
    let mut damaged = release_2();
    let middle = damaged.len() - 1200;
    damaged[middle] ^= 1;
    let cut = &release_2()[..release_2().len() - 2000];
    for artifact in [&other_device, &other_type, &damaged, cut] {
        let world = new_world();
        assert!(matches!(install::<true>(&world, artifact), Some(Err(_))));
        assert_eq!((name(&world), world.borrow().file.as_str()), (None, "one"));
        assert_eq!(is_pending::<true>(&world), Pending::Nothing);
        assert!(!world.borrow().calls.contains(&CallbackState::Install));
    }
    let world = new_world();
    assert!(matches!(
        install::<true>(&world, &other_device),
        Some(Err(InstallError::Misfit(_)))
    ));
    assert!(matches!(
        install::<true>(&world, &other_type),
        Some(Err(InstallError::WrongType(_)))
    ));
    assert!(matches!(
        install::<true>(&world, cut),
        Some(Err(InstallError::Artifact(_) | InstallError::Source))
    ));
}

#[test]
fn a_failed_install_is_rolled_back_or_marked() {
    use CallbackState::{Cleanup, Failure as Failed, Install, Rollback};
    let world = new_world();
    world.borrow_mut().fails = vec![Install];
    assert!(matches!(
        install::<true>(&world, &release_2()),
        Some(Err(InstallError::Module(_)))
    ));
    assert_eq!(world.borrow().calls, [Install, Rollback, Failed, Cleanup]);
    assert_eq!(name(&world), None);
    for fails in [vec![Install], vec![Install, Rollback]] {
        let world = new_world();
        let can_go_back = fails.len() == 2;
        world.borrow_mut().fails = fails;
        let result = if can_go_back {
            install::<true>(&world, &release_2())
        } else {
            install::<false>(&world, &release_2())
        };
        assert!(matches!(result, Some(Err(InstallError::Inconsistent(_)))));
        assert_eq!(name(&world).as_deref(), Some("release-2_INCONSISTENT"));
        assert_eq!(is_pending::<true>(&world), Pending::Nothing);
    }
}

#[test]
fn a_failed_commit_is_rolled_back() {
    let world = new_world();
    world.borrow_mut().fails = vec![CallbackState::Commit];
    assert_eq!(install::<true>(&world, &release_2()), Some(Ok(AWAITS)));
    assert!(matches!(commit::<true>(&world), Some(Err(CommitError::RolledBack(..)))));
    assert_eq!((name(&world), world.borrow().file.as_str()), (None, "one"));
    assert_eq!(is_pending::<true>(&world), Pending::Nothing);
}

/// What a person does who wants the update, or does not, and is told by [`Pending`] how to go on.
fn bring_to_an_end(world: &Shared, wanted: bool) {
    for _ in 0..5 {
        match (is_pending::<true>(world), wanted) {
            (Pending::Nothing, _) => return,
            (Pending::Awaits | Pending::Committing | Pending::CleaningUp, true) => {
                assert_eq!(commit::<true>(world), Some(Ok(())));
                assert_eq!(
                    name(world).as_deref(),
                    Some("release-2"),
                    "it is committed, but its name does not say so"
                );
            }
            (Pending::Downloaded | Pending::Cut | Pending::RollingBack | Pending::RolledBack, true) => {
                assert_eq!(rollback::<true>(world), Some(Ok(BACK)));
                assert!(!is_inconsistent(world), "it is back, but its name does not say so");
            }
            (Pending::Failing, _) => {
                assert!(matches!(
                    rollback::<true>(world),
                    Some(Err(RollbackError::Inconsistent(_)))
                ));
                assert!(is_inconsistent(world));
            }
            (
                Pending::Downloaded
                | Pending::Cut
                | Pending::Awaits
                | Pending::Committing
                | Pending::RollingBack
                | Pending::RolledBack
                | Pending::CleaningUp,
                false,
            ) => {
                let result = rollback::<true>(world).expect("no cut");
                assert!(matches!(result, Ok(BACK) | Err(RollbackError::Committed)), "{result:?}");
                assert!(!is_inconsistent(world), "it is back, but its name does not say so");
            }
        }
    }
    panic!("it does not come to an end");
}

#[test]
fn whatever_is_cut_the_name_says_what_is_there() {
    // What is done, and what the person does after the cut.
    for (goes_back, wanted) in [(false, true), (false, false), (true, true), (true, false)] {
        let whole = new_world();
        assert_eq!(install::<true>(&whole, &release_2()), Some(Ok(AWAITS)));
        if goes_back {
            rollback::<true>(&whole);
        } else {
            commit::<true>(&whole);
        }
        let operations = whole.borrow().operations;
        assert!(operations > 10, "{operations}");
        let mut ends = [0; 2];
        for at in 1..=operations {
            for after in [false, true] {
                let world = new_world();
                world.borrow_mut().cut = Some((at, after));
                let installed = install::<true>(&world, &release_2());
                match installed {
                    Some(Ok(AWAITS)) if goes_back => drop(rollback::<true>(&world)),
                    Some(Ok(AWAITS)) => drop(commit::<true>(&world)),
                    Some(other) => panic!("{other:?}"),
                    None => {}
                }
                assert_eq!(world.borrow().cut, None, "the cut took place");
                bring_to_an_end(&world, wanted);
                let file = world.borrow().file.clone();
                let expected = if file == "two" {
                    Some("release-2".to_owned())
                } else {
                    None
                };
                assert_eq!(name(&world), expected, "cut at {at}, {after}");
                ends[usize::from(file == "two")] += 1;
                // And it can be updated again.
                assert_eq!(install::<true>(&world, &release_2()), Some(Ok(AWAITS)));
                assert_eq!(commit::<true>(&world), Some(Ok(())));
                assert_eq!(
                    (name(&world).as_deref(), world.borrow().file.as_str()),
                    (Some("release-2"), "two")
                );
            }
        }
        assert!(ends[0] > 0, "{goes_back} {wanted}: {ends:?}");
        assert!(goes_back && !wanted || ends[1] > 0, "{goes_back} {wanted}: {ends:?}");
    }
}

/// The rollback fails too, until power is lost: whatever the module can do after that, what was marked stays marked.
#[test]
fn whatever_is_cut_while_it_fails_the_name_says_what_is_there() {
    let failing = || {
        let world = new_world();
        world.borrow_mut().fails = vec![CallbackState::Commit, CallbackState::Rollback];
        assert_eq!(install::<true>(&world, &release_2()), Some(Ok(AWAITS)));
        world.borrow_mut().operations = 0;
        world
    };
    let whole = failing();
    assert!(matches!(
        commit::<true>(&whole),
        Some(Err(CommitError::Inconsistent(_)))
    ));
    assert!(is_inconsistent(&whole));
    let operations = whole.borrow().operations;
    let mut marked = 0;
    for at in 1..=operations {
        for after in [false, true] {
            let world = failing();
            world.borrow_mut().cut = Some((at, after));
            assert_eq!(commit::<true>(&world), None);
            world.borrow_mut().fails.clear();
            bring_to_an_end(&world, false);
            if is_inconsistent(&world) {
                marked += 1;
            } else {
                assert_eq!(
                    (name(&world), world.borrow().file.as_str()),
                    (None, "one"),
                    "cut at {at}, {after}"
                );
            }
            assert_eq!(is_pending::<true>(&world), Pending::Nothing);
        }
    }
    assert!(0 < marked && marked < 2 * operations, "{marked} of {operations}");
}

/// Comes to an error after these bytes.
struct Torn<'a>(&'a [u8]);

impl ErrorType for Torn<'_> {
    type Error = ErrorKind;
}

impl Read for Torn<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.0.read(buffer).await {
            Ok(0) | Err(_) => Err(ErrorKind::TimedOut),
            Ok(len) => Ok(len),
        }
    }
}

#[test]
fn a_source_that_fails_is_named_as_such() {
    let artifact = release_2();
    for len in [0, 100, artifact.len() / 2, artifact.len() - 1100, artifact.len() - 1] {
        let world = new_world();
        let torn = Torn(&artifact[..len]);
        let result = run::<_, true>(&world, async |standalone| standalone.install(torn).await);
        assert_eq!(result, Some(Err(InstallError::Source)), "after {len} bytes");
        assert!(!world.borrow().calls.contains(&CallbackState::Install));
        assert_eq!(is_pending::<true>(&world), Pending::Nothing);
    }
}

#[test]
fn what_does_not_fit_calls_no_module() {
    let world = new_world();
    let other_device = ArtifactWriter::new("release-2", "other-board")
        .payload_type("app")
        .write();
    assert!(matches!(
        install::<true>(&world, &other_device),
        Some(Err(InstallError::Misfit(_)))
    ));
    assert_eq!(world.borrow().calls, []);
}
