//! One deployment: the machine's actions as requests, records and calls. Pure.
//!
//! [`Machine`] says what is due; here it becomes one or several things to do, and their outcome the machine's next event. What
//! goes wrong on the way is told to the [journal](super::journal) first, so that a restart does not lose it.
//!
//! ```text
//!   machine.action() ─► [begin] ─► request, record, call, download, pause ... ─► event ─► machine.handle()
//!                                        │                                  ▲
//!                                        └── trouble ─► [write a log entry] ┘
//! ```

pub(crate) mod module;
mod outcome;
pub(crate) mod remark;

pub(crate) use module::{Module, Trouble};
use remark::Remark;

use super::answer::DeploymentId;
use super::download::{Download, Next as Fetch};
use super::event::Event as Observed;
use super::io::{Ctx, Do};
use super::journal::{Journal, slot};
use super::memory::Memory;
use super::message::Call;
use super::records;
use super::session::Session;
use super::time::{Backoff, Deadline, Instant, Millis};
use crate::api::log::{Level, LogState};
use crate::api::status::DeploymentStatus;
use crate::deployment::record::{DeploymentNumber, DeploymentRecord, StateRecord};
use crate::deployment::{Action, Event, Machine, Progress, State, StoredState, Verdict};
use crate::fmt::{error, info, warning};
use crate::provides::Provides;
use crate::storage::{LogSlot, RecordKey};
use crate::text::{Describe, Shown};
use crate::update_module::CallbackState;

/// How often a log's upload is tried.
const LOG_TRIES: u8 = 3;

/// How often the server may refuse a verdict as malformed before it is given up: about an hour. Not at once, because a
/// gateway may have said so.
const REFUSALS: u8 = 8;

/// How often a record that storage does not take or give is tried again, each after a pause: a quarter of an hour, with the
/// default pauses. So a device whose storage fails for good, and whose module restarts it, does so a few times in an hour at most.
const STORAGE_TRIES: u8 = 4;

/// What is being done for the machine's action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The action is to be begun.
    Begin,
    /// What was asked for is under way.
    Busy,
    /// This long nothing, then the action begins again.
    Pause(Deadline),
    /// The download.
    Download,
    /// A restart is under way.
    Restarting(Deadline),
    /// The client restarts the device itself.
    Restart,
    /// It does so.
    RestartingByForce(Deadline),
    /// The record in the block is to be written.
    Write(RecordKey, u16),
    /// It could not be written: this long nothing, then again.
    WriteLater(Deadline, RecordKey, u16),
    /// The deployment record is to be read.
    Read,
    /// The installed record is to be written again, as it was.
    Restore,
    /// An entry of the log is to be read, for its upload.
    ReadLog { seq: u16, log: LogState },
    /// The log is to be sent.
    SendLog(u16),
    /// The log entry in the block is to be written.
    Log(LogSlot, u16, Then),
}

/// What follows a log entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Event(Event),
    Restart,
    Restore,
}

/// What is to be done for the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Do(Do),
    Call(Call),
    Tell(Told),
    /// Nothing for so long; or until something else happens.
    Wait(Millis),
    Over(Verdict),
}

/// What an observer is to be told; the texts are in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Entered(State),
    Status { status: DeploymentStatus, stored: bool },
    AwaitingRestart,
}

impl Told {
    pub(super) const fn event(self) -> Observed<'static> {
        match self {
            Told::Entered(state) => Observed::Entered(state),
            Told::Status { status, stored } => Observed::Status { status, stored },
            Told::AwaitingRestart => Observed::AwaitingRestart,
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Deployment {
    machine: Machine,
    pub(super) id: DeploymentId,
    pub(super) number: DeploymentNumber,
    module: Module,
    /// How it was offered: a poll by another way is another request, which ends the deployment (device API, 4.4).
    route: Call,
    link_len: u16,
    stage: Stage,
    told: Option<Told>,
    shown: Option<State>,
    /// Length of the deployment record that the download left in the block.
    record_len: u16,
    pub(super) download: Option<Download>,
    backoff: Backoff,
    /// When the gate was reached.
    gate: Option<Instant>,
    /// Before this the verdict is not told again.
    next_try: Deadline,
    /// How often the server may still refuse the verdict.
    refusals_left: u8,
    log_tries_left: u8,
    /// How often a record may still be tried again.
    storage_tries_left: u8,
    /// The name in memory is marked as inconsistent, but not in storage: what is stored of the deployment stays as it is, so that
    /// the next start marks it.
    mark_is_due: bool,
    /// The client is about to stop: what has to be written before was asked for.
    pub(super) stopping: bool,
    /// The server knows that it succeeded.
    pub(super) ended_well: bool,
    /// The deployment that committed what runs.
    pub(super) installed_by: DeploymentNumber,
    /// What the running software provides has changed.
    pub(super) software_changed: bool,
}

impl Deployment {
    /// A deployment that the server offers, by `route`.
    pub(super) fn begin(
        id: DeploymentId,
        number: DeploymentNumber,
        route: Call,
        link_len: u16,
        machine: Machine,
        installed_by: DeploymentNumber,
    ) -> Deployment {
        Deployment {
            machine,
            id,
            number,
            module: Module::None,
            route,
            link_len,
            stage: Stage::Begin,
            told: None,
            shown: None,
            record_len: 0,
            download: None,
            backoff: Backoff::new(),
            gate: None,
            next_try: Deadline::NOW,
            refusals_left: REFUSALS,
            log_tries_left: LOG_TRIES,
            storage_tries_left: STORAGE_TRIES,
            mark_is_due: false,
            stopping: false,
            ended_well: false,
            installed_by,
            software_changed: false,
        }
    }

    /// A deployment that goes on after a restart.
    pub(super) fn resume(
        machine: Machine,
        id: DeploymentId,
        number: DeploymentNumber,
        module: Module,
        installed_by: DeploymentNumber,
    ) -> Deployment {
        Deployment {
            module,
            ..Deployment::begin(id, number, Call::PollV2, 0, machine, installed_by)
        }
    }

    pub(super) fn state(&self) -> State {
        self.machine.state()
    }

    /// Others may have their turn: nothing is half done.
    pub(super) fn is_open(&self) -> bool {
        match (self.stage, &self.download) {
            (Stage::Download, Some(download)) => download.is_open(),
            _ => self.is_pausing(),
        }
    }

    /// It waits for time to pass, and nothing is lost if the client stops here that is not stored; but for a download, which
    /// begins anew.
    pub(super) fn is_pausing(&self) -> bool {
        match self.stage {
            Stage::Pause(_) | Stage::WriteLater(..) | Stage::Restarting(_) | Stage::RestartingByForce(_) => true,
            Stage::Download => self.download.as_ref().is_some_and(Download::is_pausing),
            Stage::Begin => matches!(self.machine.action(), Action::Deliver(_)),
            Stage::Busy
            | Stage::Restart
            | Stage::Write(..)
            | Stage::Read
            | Stage::Restore
            | Stage::ReadLog { .. }
            | Stage::SendLog(_)
            | Stage::Log(..) => false,
        }
    }

    /// The client may stop: in a pause, and while an artifact comes, as soon as there is a block for what has to be written before.
    pub(super) fn can_stop(&self, memory: &Memory<'_>) -> bool {
        match (self.stage, &self.download) {
            (Stage::Download, Some(download)) => download.can_stop() && !memory.block.is_empty(),
            _ => self.is_pausing(),
        }
    }

    /// Whether it is settled what software runs, and by which name.
    pub(super) fn is_settled(&self) -> bool {
        match self.machine.state() {
            State::Download | State::Install | State::Reboot | State::Failure | State::Cleanup | State::End => true,
            State::VerifyReboot
            | State::Commit
            | State::Rollback
            | State::RollbackReboot
            | State::RollbackVerifyReboot => false,
        }
    }

    /// An artifact's connection is in use.
    pub(super) fn is_receiving(&self) -> bool {
        matches!(self.stage, Stage::Download) && !self.is_pausing()
    }

    /// The client is to stop. At the commit gate that must not look like software that resets the device there: the state before it is
    /// stored, so that the new software is looked at and reports again. A download counts as one that has restarted the device: no longer,
    /// and those before it neither. Something to write, if need be.
    pub(super) fn prepare_stop(&mut self, memory: &mut Memory<'_>) -> Option<Do> {
        let (state, transitions) = if matches!(self.machine.action(), Action::CommitGate) {
            (StoredState::VerifyReboot, self.machine.transitions())
        } else if matches!(self.stage, Stage::Download) {
            (StoredState::Download, 0)
        } else {
            return None;
        };
        if core::mem::replace(&mut self.stopping, true) {
            return None;
        }
        let len = self.state_record(state, transitions, memory)?;
        Some(Do::Write(RecordKey::State, len as u16))
    }

    /// A state record, into the block.
    fn state_record(&self, state: StoredState, transitions: u8, memory: &mut Memory<'_>) -> Option<usize> {
        let record = StateRecord {
            number: self.number,
            state,
            transitions,
        };
        let record = record.encode();
        memory.block.get_mut(..record.len())?.copy_from_slice(&record);
        Some(record.len())
    }

    /// Ends a pause between tries; says whether there was one.
    pub(super) fn hurry(&mut self) -> bool {
        let pausing = self.is_pausing();
        match (self.stage, &mut self.download) {
            (Stage::Pause(_), _) => self.stage = Stage::Begin,
            (Stage::WriteLater(_, key, len), _) => self.stage = Stage::Write(key, len),
            (Stage::Download, Some(download)) if pausing => download.hurry(),
            (Stage::Begin, _) if pausing => self.next_try = Deadline::NOW,
            // A restart does not come sooner by asking.
            _ => return false,
        }
        true
    }

    pub(super) fn next(
        &mut self,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        session: &mut Session,
        journal: &mut Journal,
    ) -> Next {
        loop {
            if let Some(told) = self.told.take() {
                return Next::Tell(told);
            }
            match self.stage {
                Stage::Begin => {
                    let state = self.machine.state();
                    if self.shown != Some(state) && state != State::End {
                        self.shown = Some(state);
                        info!("entering {}", state.name());
                        return Next::Tell(Told::Entered(state));
                    }
                    if let Some(next) = self.act(ctx, memory, session, journal) {
                        return next;
                    }
                }
                // Whoever is asked answers before the next question.
                Stage::Busy => return Next::Wait(Millis::FOREVER),
                Stage::Pause(deadline) if deadline.is_due(ctx.now) => self.stage = Stage::Begin,
                Stage::WriteLater(deadline, key, len) if deadline.is_due(ctx.now) => {
                    self.stage = Stage::Write(key, len);
                }
                Stage::Pause(deadline) | Stage::WriteLater(deadline, ..) => {
                    return Next::Wait(deadline.left(ctx.now));
                }
                Stage::Download => {
                    let Some(download) = &mut self.download else {
                        return Next::Wait(Millis::FOREVER);
                    };
                    return match download.next(ctx.now, memory, session) {
                        Fetch::Do(it) => Next::Do(it),
                        Fetch::Poll => Next::Call(self.route),
                        Fetch::Wait(left) => Next::Wait(left),
                    };
                }
                Stage::Restarting(deadline) if deadline.is_due(ctx.now) => {
                    self.log(ctx, memory, journal, Level::Warning, Then::Restart, &Remark::NoRestart);
                }
                Stage::RestartingByForce(deadline) if deadline.is_due(ctx.now) => {
                    self.trouble(ctx, memory, journal, Event::Failed, &Remark::Stuck);
                }
                Stage::Restarting(deadline) | Stage::RestartingByForce(deadline) => {
                    return Next::Wait(deadline.left(ctx.now));
                }
                Stage::Restart => {
                    let wait = Millis::of(ctx.config.restart_timeout);
                    self.stage = Stage::RestartingByForce(Deadline::after(ctx.now, wait));
                    return Next::Do(Do::Restart);
                }
                Stage::Write(key, len) => return Next::Do(Do::Write(key, len)),
                Stage::Log(slot, len, _) => return Next::Do(Do::Write(RecordKey::Log(slot), len)),
                Stage::Read => return Next::Do(Do::Read(RecordKey::Deployment)),
                Stage::Restore => {
                    let (block, installed) = memory.record();
                    match records::installed(block, self.installed_by, installed) {
                        // A block is far shorter than 64 KiB.
                        Ok(len) => return Next::Do(Do::Write(RecordKey::Installed, len as u16)),
                        Err(_) => self.end(Event::Failed),
                    }
                }
                Stage::ReadLog { seq, .. } => return Next::Do(Do::Read(RecordKey::Log(slot(seq)))),
                Stage::SendLog(len) => {
                    self.stage = Stage::Busy;
                    return Next::Call(Call::Log { len });
                }
            }
        }
    }

    /// Begins the machine's action; `None` if it has already come to its event.
    fn act(
        &mut self,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        session: &mut Session,
        journal: &mut Journal,
    ) -> Option<Next> {
        match self.machine.action() {
            Action::End(verdict) => return Some(Next::Over(verdict)),
            Action::Report(progress) => return Some(self.report(status_of(progress))),
            Action::ReportVerdict(verdict) => return Some(self.report(final_status(verdict))),
            Action::Deliver(verdict) => {
                let left = self.next_try.left(ctx.now);
                if !left.is_zero() {
                    return Some(Next::Wait(left));
                }
                return Some(self.report(final_status(verdict)));
            }
            Action::CommitGate => {
                // New software must log in and report before it may stay (behaviour of clients, section 6): with a fresh
                // token, and as often as fits into the commit timeout.
                self.gate.get_or_insert(ctx.now);
                session.forget_token();
                return Some(self.report(DeploymentStatus::Installing));
            }
            Action::Download => {
                memory.link_len = usize::from(self.link_len);
                self.download = Some(Download::begin(ctx.config, self.link_len, memory.link.len()));
                self.stage = Stage::Download;
                return Some(Next::Do(Do::Download));
            }
            Action::StoreDeployment => {
                // Of a deployment that failed in its download only the id is of use.
                let len = match self.record_len {
                    0 => self.record(memory.block, "", Provides::default()),
                    len => Some(usize::from(len)),
                };
                self.record_len = 0;
                self.write(ctx, memory, journal, RecordKey::Deployment, len);
            }
            Action::StoreState(StoredState::Idle | StoredState::Owed(_)) if self.mark_is_due => self.end(Event::Failed),
            Action::StoreState(StoredState::Download) if self.machine.is_over_limit() => {
                self.trouble(ctx, memory, journal, Event::Failed, &Remark::Restarts);
            }
            Action::StoreState(state) => {
                let len = self.state_record(state, self.machine.transitions(), memory);
                self.write(ctx, memory, journal, RecordKey::State, len);
            }
            Action::Call(state) => match self.module {
                Module::Known(module, _) => {
                    self.stage = Stage::Busy;
                    return Some(Next::Do(Do::Call(module, state)));
                }
                Module::None => self.end(Event::Done),
                Module::Missing => match state {
                    CallbackState::Cleanup | CallbackState::Failure => self.end(Event::Done),
                    CallbackState::Install
                    | CallbackState::Reboot
                    | CallbackState::VerifyReboot
                    | CallbackState::Commit
                    | CallbackState::Rollback
                    | CallbackState::RollbackReboot
                    | CallbackState::RollbackVerifyReboot => {
                        self.trouble(ctx, memory, journal, Event::Failed, &Remark::NoModule(state));
                    }
                },
            },
            Action::StoreInstalled | Action::MarkInconsistent => self.stage = Stage::Read,
            Action::AwaitRestart => {
                let wait = Millis::of(ctx.config.restart_timeout);
                self.stage = Stage::Restarting(Deadline::after(ctx.now, wait));
                return Some(Next::Tell(Told::AwaitingRestart));
            }
            Action::UploadLog => {
                let first = journal.kept().0;
                self.read_log(first, LogState::new(first), memory, journal);
            }
        }
        None
    }

    fn report(&mut self, status: DeploymentStatus) -> Next {
        self.stage = Stage::Busy;
        Next::Call(Call::Status(status))
    }

    /// A deployment record, into the block.
    fn record(&self, block: &mut [u8], payload_type: &str, provides: Provides<'_>) -> Option<usize> {
        let record = DeploymentRecord {
            number: self.number,
            id: &self.id,
            payload_type,
            provides,
        };
        record.encode(block).ok()
    }

    /// Writes the record of `len` bytes in the block.
    fn write(
        &mut self,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        journal: &mut Journal,
        key: RecordKey,
        len: Option<usize>,
    ) {
        match len.and_then(|len| u16::try_from(len).ok()) {
            Some(len) => self.stage = Stage::Write(key, len),
            None => self.trouble(ctx, memory, journal, Event::Failed, &Remark::NoRoom),
        }
    }

    /// The action has come to its event.
    fn end(&mut self, event: Event) {
        self.stage = Stage::Begin;
        self.machine.handle(event);
    }

    /// An error, for the log; then the event.
    fn trouble(
        &mut self,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        journal: &mut Journal,
        event: Event,
        remark: &Remark<'_>,
    ) {
        self.log(ctx, memory, journal, Level::Error, Then::Event(event), remark);
    }

    /// An entry for the log, then the rest.
    #[inline(never)]
    fn log(
        &mut self,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        journal: &mut Journal,
        level: Level,
        then: Then,
        remark: &Remark<'_>,
    ) {
        match level {
            Level::Error => error!("{}", Shown(remark)),
            Level::Debug | Level::Info | Level::Warning => warning!("{}", Shown(remark)),
        }
        match journal.add(memory.block, ctx.time, level, |out| remark.describe(out)) {
            // An entry is far shorter.
            Some((slot, len)) => self.stage = Stage::Log(slot, len as u16, then),
            None => self.then(then),
        }
    }

    fn then(&mut self, then: Then) {
        match then {
            Then::Event(event) => self.end(event),
            Then::Restart => self.stage = Stage::Restart,
            Then::Restore => self.stage = Stage::Restore,
        }
    }
}

fn status_of(progress: Progress) -> DeploymentStatus {
    match progress {
        Progress::Downloading => DeploymentStatus::Downloading,
        Progress::Installing => DeploymentStatus::Installing,
        Progress::Rebooting => DeploymentStatus::Rebooting,
    }
}

fn final_status(verdict: Verdict) -> DeploymentStatus {
    match verdict {
        Verdict::Success => DeploymentStatus::Success,
        Verdict::Failure => DeploymentStatus::Failure,
    }
}
