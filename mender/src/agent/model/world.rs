//! What is around the agent: storage, the device's software, the server; and what may happen to each of them.

extern crate std;

use core::hash::{Hash, Hasher};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use super::device::{Kind, Software};
use super::server::{Answer, Report, Request, Server};
use crate::agent::event::Event;
use crate::deployment::record::{DeploymentNumber, DeploymentRecord, InstalledRecord, StateRecord};
use crate::deployment::{INCONSISTENT_SUFFIX, State, StoredState, Verdict};
use crate::provides::{ARTIFACT_NAME, ProvidesBuf};
use crate::storage::RecordKey;
use crate::update_module::CallbackState;

/// The device's artifact name before the update.
pub(super) const OLD_NAME: &str = "old";
/// The name of [`ARTIFACT`](super::run::Fixture)'s release, with a payload and without.
pub(super) const NEW_NAMES: [&str; 2] = ["release-1", "boot-1"];

/// How far an exploration goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many operations of the storage may fail.
    pub(super) faults: u8,
    /// How often the device may be reset from outside, at any time.
    pub(super) resets: u8,
    pub(super) answers: Answers,
    /// How many callbacks may fail.
    pub(super) failures: u8,
    /// The artifact can be got.
    pub(super) downloads: bool,
    /// A callback that may restart the device each time.
    pub(super) culprit: Option<CallbackState>,
    /// The transitions of a deployment.
    pub(super) limit: u8,
}

/// What the server and the network do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// What leads to different ends.
    Few,
    /// All that they can, once the deployment is offered.
    AllToReports,
    /// All that they can.
    All,
}

/// What the agent asks for, as far as it matters to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    NetworkUp,
    NetworkDown,
    Connect,
    Send(Request),
    Receive,
    Sign,
    Inventory,
    Read(RecordKey),
    Write(RecordKey),
    Call(CallbackState),
    Download,
    Restart,
    /// Long enough to be a pause between tries; or shorter.
    Sleep {
        long: bool,
    },
    Tell,
    /// The observer hears that the deployment is over.
    Finished,
}

/// What may come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// What was asked for.
    Good,
    /// The network, the connection or the request fails.
    Lost,
    /// The server's answer.
    Answer(Answer),
    /// It fails, before or after its effect.
    Fails { after: bool },
    /// The download fails, before or after the artifact's header was read.
    NoDownload { known: bool },
    /// The device restarts: because it was asked to, or while a module works.
    Restarts,
    /// It restarts before a module has done anything.
    Crashes,
}

/// The failing storage operation: where, and whether it had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FaultAt {
    pub(super) op: Op,
    pub(super) key: Key,
    pub(super) effect: bool,
    /// When: the state of the deployment, or what is stored when the device starts.
    pub(super) when: When,
}

/// Something that is told with what was found, and makes no worlds different.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note<T>(pub(super) T);

impl<T> PartialEq for Note<T> {
    fn eq(&self, _: &Note<T>) -> bool {
        true
    }
}

impl<T> Eq for Note<T> {}

impl<T> Hash for Note<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum When {
    In(State),
    Start(Option<StoredState>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    Read,
    Write,
}

/// Which record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Installed,
    Deployment,
    State,
    Log,
}

/// What is not as it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lie {
    /// The server takes a success while the new software does not run, is not committed, or has not its name.
    Success,
    /// The server takes a failure while the new software runs, or has its name.
    Failure,
    /// The server has taken one verdict, and then the other.
    TwoVerdicts,
    /// It is over, and the stored name is not that of the software that runs.
    Name,
    /// It is over, and the next restart makes the name wrong.
    NameAfterRestart,
    /// The next poll tells another name than the one that is stored.
    Poll,
}

/// Where a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum End {
    Success,
    Failure,
    /// The server wants no verdict, or has refused it often enough.
    Unwanted,
    /// Nothing was stored yet: the server offers the deployment again.
    Forgotten,
    Lie,
}

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) kind: Kind,
    records: [Option<Rc<[u8]>>; 4 + 16],
    pub(super) software: Software,
    pub(super) server: Server,
    pub(super) faults_left: u8,
    pub(super) resets_left: u8,
    pub(super) failures_left: u8,
    pub(super) fault: Note<Option<FaultAt>>,
    /// The state of the deployment that goes on, if one does.
    pub(super) entered: Option<State>,
    /// Whether what is said is compared with what is so.
    watched: bool,
    pub(super) lie: Option<Lie>,
}

/// Of the log so many entries are kept.
pub(super) const KEPT_ENTRIES: usize = 2;
/// Bytes of a log entry in front of its text, and where its level is.
const LOG_HEAD_LEN: usize = 17;
const LOG_LEVEL_AT: usize = 7;

impl World {
    pub(super) fn new(kind: Kind, bounds: Bounds) -> World {
        World {
            kind,
            records: Default::default(),
            software: Software::OLD,
            server: Server::default(),
            faults_left: bounds.faults,
            resets_left: bounds.resets,
            failures_left: bounds.failures,
            fault: Note(None),
            entered: None,
            watched: true,
            lie: None,
        }
    }

    /// A device that starts with these records of a deployment. Nothing is expected of what it will say.
    pub(super) fn stored(
        kind: Kind,
        bounds: Bounds,
        software: Software,
        state: Option<StoredState>,
        transitions: u8,
        committed: bool,
    ) -> World {
        let mut world = World::new(kind, bounds);
        world.watched = false;
        world.software = software;
        world.server.offered = true;
        let number = DeploymentNumber::new(1);
        let (mut list, mut record) = ([0; 64], [0; 128]);
        let mut provides = ProvidesBuf::new(&mut list);
        provides.set(ARTIFACT_NAME, NEW_NAMES[0]).expect("there is room");
        let provides = provides.as_provides();
        let deployment = DeploymentRecord {
            number,
            id: "d",
            payload_type: kind.payload_type(),
            provides,
        };
        let len = deployment.encode(&mut record).expect("there is room");
        world.store(RecordKey::Deployment, &record[..len]);
        if let Some(state) = state {
            let state = StateRecord {
                number,
                state,
                transitions,
            };
            world.store(RecordKey::State, &state.encode());
        }
        if committed {
            let committed_by = number;
            let installed = InstalledRecord { committed_by, provides };
            let len = installed.encode(&mut record).expect("there is room");
            world.store(RecordKey::Installed, &record[..len]);
        }
        world
    }

    fn place(key: RecordKey) -> usize {
        match key {
            RecordKey::DeviceKey => 0,
            RecordKey::Installed => 1,
            RecordKey::Deployment => 2,
            RecordKey::State => 3,
            RecordKey::Log(slot) => 4 + usize::from(slot.index()),
        }
    }

    pub(super) fn record(&self, key: RecordKey) -> Option<&[u8]> {
        self.records[World::place(key)].as_deref()
    }

    /// Of the log only that there are entries: what they say, and whether there is one more, changes nothing, and would make worlds
    /// different that are not.
    pub(super) fn store(&mut self, key: RecordKey, record: &[u8]) {
        let mut record = record.to_vec();
        if let RecordKey::Log(slot) = key {
            if usize::from(slot.index()) >= KEPT_ENTRIES {
                return;
            }
            record.truncate(LOG_HEAD_LEN);
            record[LOG_LEVEL_AT] = 4;
            record.push(b'.');
        }
        self.records[World::place(key)] = Some(record.into());
    }

    pub(super) fn told(&mut self, event: &Event<'_>) {
        match event {
            Event::Offered { .. } => self.entered = Some(State::Download),
            Event::Resumed { state, .. } | Event::Entered(state) => self.entered = Some(*state),
            Event::Authorized
            | Event::Unauthorized(_)
            | Event::NoUpdate
            | Event::Progress { .. }
            | Event::Status { .. }
            | Event::AwaitingRestart
            | Event::Finished(_)
            | Event::StorageFails
            | Event::InventorySent { .. } => {}
        }
    }

    /// The device starts anew.
    pub(super) fn reset(&mut self) {
        self.entered = None;
        self.server.pending = None;
        self.software.boot(self.kind);
    }

    /// Whether a path ends here.
    pub(super) fn end(&self, asked: Asked) -> Option<End> {
        if self.lie.is_some() {
            return Some(End::Lie);
        }
        // Without a deployment the first thing is a poll.
        let forgotten = asked == Asked::NetworkUp && self.server.offered && self.entered.is_none();
        if asked != Asked::Finished && !forgotten {
            return None;
        }
        Some(match self.server.verdict {
            Some(Verdict::Success) => End::Success,
            Some(Verdict::Failure) => End::Failure,
            None if forgotten => End::Forgotten,
            None => End::Unwanted,
        })
    }

    /// Server and network do all that they can.
    fn is_hard(&self, bounds: Bounds) -> bool {
        match bounds.answers {
            Answers::Few => false,
            Answers::AllToReports => self.server.offered,
            Answers::All => true,
        }
    }

    /// All that may come of what is asked for. The first is the good one.
    pub(super) fn outcomes(&self, asked: Asked, bounds: Bounds) -> Vec<Outcome> {
        use Outcome::{Answer, Crashes, Fails, Good, Lost, NoDownload, Restarts};
        const AFTER: Outcome = Fails { after: true };
        const BEFORE: Outcome = Fails { after: false };
        match asked {
            Asked::NetworkUp | Asked::Connect if self.is_hard(bounds) => vec![Good, Lost],
            Asked::Receive => {
                let answers = self.server.answers(self.is_hard(bounds));
                answers.into_iter().map(Answer).collect()
            }
            Asked::Read(_) if self.faults_left > 0 => vec![Good, BEFORE],
            Asked::Write(_) if self.faults_left > 0 => vec![Good, BEFORE, AFTER],
            Asked::Call(state) => {
                let mut outcomes = Vec::new();
                if self.software.succeeds(state) {
                    outcomes.push(Good);
                }
                if let CallbackState::Reboot | CallbackState::RollbackReboot = state {
                    outcomes.push(Restarts);
                }
                if bounds.culprit == Some(state) {
                    outcomes.extend([Restarts, Crashes]);
                }
                if self.failures_left > 0 || outcomes.is_empty() {
                    // A `failure` that fails without having done its work leaves a swap requested; it says so in the log.
                    if state != CallbackState::Failure {
                        outcomes.push(BEFORE);
                    }
                    if self.software.succeeds(state) {
                        outcomes.push(AFTER);
                    }
                }
                outcomes
            }
            Asked::Download if !bounds.downloads => vec![NoDownload { known: true }, NoDownload { known: false }],
            Asked::Download => vec![Good, NoDownload { known: true }, NoDownload { known: false }],
            Asked::Restart => vec![Good, Restarts],
            Asked::Sleep { .. } if self.software.restarting => vec![Good, Restarts],
            Asked::NetworkUp
            | Asked::NetworkDown
            | Asked::Connect
            | Asked::Send(_)
            | Asked::Sign
            | Asked::Inventory
            | Asked::Read(_)
            | Asked::Write(_)
            | Asked::Sleep { .. }
            | Asked::Tell
            | Asked::Finished => vec![Good],
        }
    }

    /// A storage operation fails.
    pub(super) fn fail(&mut self, op: Op, key: RecordKey, effect: bool) {
        let key = match key {
            RecordKey::Installed | RecordKey::DeviceKey => Key::Installed,
            RecordKey::Deployment => Key::Deployment,
            RecordKey::State => Key::State,
            RecordKey::Log(_) => Key::Log,
        };
        self.faults_left = self.faults_left.saturating_sub(1);
        self.fault = Note(Some(FaultAt {
            op,
            key,
            effect,
            when: match self.entered {
                Some(state) => When::In(state),
                None => When::Start(self.stored_state()),
            },
        }));
    }

    fn stored_state(&self) -> Option<StoredState> {
        Some(StateRecord::decode(self.record(RecordKey::State)?).ok()?.state)
    }

    /// A module is called.
    pub(super) fn call(&mut self, state: CallbackState, outcome: Outcome) -> bool {
        let (fails, effect) = match outcome {
            Outcome::Fails { after } => (true, after),
            Outcome::Good | Outcome::Lost | Outcome::Answer(_) | Outcome::NoDownload { .. } | Outcome::Restarts => {
                (false, true)
            }
            Outcome::Crashes => (false, false),
        };
        if fails && self.software.succeeds(state) {
            self.failures_left -= 1;
        }
        if effect {
            self.software.call(self.kind, state);
        }
        !fails
    }

    /// The server takes a report.
    pub(super) fn taken(&mut self, report: Report) {
        let verdict = match report {
            Report::Progress => return,
            Report::Final(verdict) => verdict,
        };
        let before = self.server.verdict.replace(verdict);
        let is_so = match verdict {
            Verdict::Success => self.is_new(),
            Verdict::Failure => self.is_old() || self.is_inconsistent(),
        };
        if !self.watched {
            return;
        }
        if !is_so {
            self.lie = Some(match verdict {
                Verdict::Success => Lie::Success,
                Verdict::Failure => Lie::Failure,
            });
        } else if before.is_some_and(|before| before != verdict) {
            self.lie = Some(Lie::TwoVerdicts);
        }
    }

    /// It is over: what is stored must be what is so, and stay so.
    pub(super) fn check_end(&mut self, polled_name: &str) {
        if !self.watched {
            return;
        }
        let mut later = self.clone();
        later.reset();
        self.lie = if !self.is_settled() {
            Some(Lie::Name)
        } else if !later.is_settled() {
            Some(Lie::NameAfterRestart)
        } else if polled_name != self.name() {
            Some(Lie::Poll)
        } else {
            self.lie
        };
    }

    /// The name agrees with the software, and that with the verdict.
    fn is_settled(&self) -> bool {
        match self.server.verdict {
            Some(Verdict::Success) => self.is_new(),
            Some(Verdict::Failure) => self.is_old() || self.is_inconsistent(),
            None => self.is_new() || self.is_old() || self.is_inconsistent(),
        }
    }

    fn name(&self) -> &str {
        let installed = self.record(RecordKey::Installed);
        installed
            .and_then(|record| InstalledRecord::decode(record).ok()?.provides.artifact_name())
            .unwrap_or(OLD_NAME)
    }

    fn is_new(&self) -> bool {
        NEW_NAMES.contains(&self.name()) && self.software.is_new(self.kind)
    }

    fn is_old(&self) -> bool {
        self.name() == OLD_NAME && self.software.is_old(self.kind)
    }

    fn is_inconsistent(&self) -> bool {
        self.name().ends_with(INCONSISTENT_SUFFIX)
    }
}
