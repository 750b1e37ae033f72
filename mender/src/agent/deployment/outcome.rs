//! How what a deployment asked for went: the machine's events, and what the log is told.

use super::remark::Remark;
use super::{Deployment, Module, STORAGE_TRIES, Stage, Then, Told, Trouble};
use crate::agent::answer::{DeploymentId, Polled};
use crate::agent::io::{Ctx, Fault};
use crate::agent::journal::Journal;
use crate::agent::memory::Memory;
use crate::agent::message::Call;
use crate::agent::records;
use crate::agent::session::{CallEnd, Reply};
use crate::agent::time::{Deadline, Millis};
use crate::api::log::{Level, LogState, LogWriter};
use crate::api::next::NextError;
use crate::api::status::{DeploymentStatus, ReportAnswer};
use crate::api::{log, status};
use crate::deployment::record::{DeploymentNumber, InstalledRecord};
use crate::deployment::{Action, Event, Verdict};
use crate::fmt::warning;
use crate::provides::ARTIFACT_NAME;
use crate::storage::RecordKey;
use crate::text::Shown;
use crate::update_module::{Failure, Late};

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reported {
    Stored,
    /// The deployment was aborted, or the server does not know it.
    Unwanted,
    /// The server will never take this report.
    Refused,
    /// Not now.
    Later,
}

impl Reported {
    fn of(call: Call, reply: Reply) -> Reported {
        let name = call.name();
        let status = match reply.end {
            CallEnd::NetworkDown => return Reported::Later,
            CallEnd::Failed(error) => {
                warning!("{name} could not be reported: {}", Shown(&error));
                return Reported::Later;
            }
            CallEnd::Answer(status) => status,
        };
        let answer = match call {
            Call::Log { .. } => log::answer(status),
            Call::Status(_) | Call::Login | Call::PollV2 | Call::PollV1 | Call::Inventory { .. } => {
                status::answer(status)
            }
        };
        if answer != ReportAnswer::Stored {
            warning!("{name}: the server answered {status}");
        }
        match answer {
            ReportAnswer::Stored => Reported::Stored,
            ReportAnswer::Aborted | ReportAnswer::Unknown => Reported::Unwanted,
            ReportAnswer::Refused { .. } => Reported::Refused,
            ReportAnswer::Unauthorized
            | ReportAnswer::Forbidden
            | ReportAnswer::RateLimited
            | ReportAnswer::RetryLater { .. } => Reported::Later,
        }
    }
}

impl Deployment {
    /// The call that was asked for has ended.
    pub(in crate::agent) fn replied(
        &mut self,
        call: Call,
        reply: Reply,
        offered: (Result<Polled, NextError>, &DeploymentId),
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        journal: &mut Journal,
    ) {
        match call {
            Call::PollV2 | Call::PollV1 => {
                if let Some(download) = &mut self.download {
                    let (polled, id) = offered;
                    download.renewed(reply, polled, *id == self.id, ctx, memory);
                }
            }
            Call::Status(status) => {
                let reported = Reported::of(call, reply);
                self.told = Some(Told::Status {
                    status,
                    stored: reported == Reported::Stored,
                });
                self.reported(status, reported, reply, ctx, memory, journal);
            }
            Call::Log { .. } => {
                let event = match Reported::of(call, reply) {
                    Reported::Stored => Event::Done,
                    Reported::Unwanted | Reported::Refused => Event::Failed,
                    Reported::Later => {
                        self.log_tries_left = self.log_tries_left.saturating_sub(1);
                        if self.log_tries_left > 0 {
                            self.stage = Stage::Pause(self.after(reply, ctx));
                            return;
                        }
                        warning!("the deployment log could not be sent");
                        Event::Failed
                    }
                };
                self.end(event);
            }
            // Not a deployment's.
            Call::Login | Call::Inventory { .. } => {}
        }
    }

    /// When a report that could not be made now is tried again.
    fn after(&mut self, reply: Reply, ctx: &Ctx<'_>) -> Deadline {
        Deadline::after(ctx.now, reply.pause(&mut self.backoff, Millis::BUSY_IN_DEPLOYMENT, ctx))
    }

    fn reported(
        &mut self,
        status: DeploymentStatus,
        reported: Reported,
        reply: Reply,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        journal: &mut Journal,
    ) {
        match self.machine.action() {
            Action::Report(_) => match reported {
                Reported::Stored => self.end(Event::Done),
                Reported::Unwanted => self.trouble(ctx, memory, journal, Event::Aborted, &Remark::Aborted(status)),
                Reported::Refused | Reported::Later => {
                    self.log(
                        ctx,
                        memory,
                        journal,
                        Level::Warning,
                        Then::Event(Event::Failed),
                        &Remark::NotReported(status),
                    );
                }
            },
            Action::CommitGate => self.at_gate(reported, reply, ctx, memory, journal),
            Action::ReportVerdict(verdict) | Action::Deliver(verdict) => {
                let event = match reported {
                    Reported::Stored => {
                        self.ended_well = verdict == Verdict::Success;
                        Event::Done
                    }
                    Reported::Unwanted => Event::Aborted,
                    // A deployment that is given up before the server has its verdict may become a failure there; one
                    // that never is keeps the device from every other update.
                    Reported::Refused if self.refusals_left == 0 => Event::Aborted,
                    Reported::Refused | Reported::Later => {
                        if reported == Reported::Refused {
                            self.refusals_left -= 1;
                        }
                        self.next_try = self.after(reply, ctx);
                        Event::Failed
                    }
                };
                self.end(event);
            }
            // No report was asked for.
            Action::Download
            | Action::StoreDeployment
            | Action::StoreState(_)
            | Action::Call(_)
            | Action::StoreInstalled
            | Action::MarkInconsistent
            | Action::AwaitRestart
            | Action::UploadLog
            | Action::End(_) => {}
        }
    }

    fn at_gate(
        &mut self,
        reported: Reported,
        reply: Reply,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        journal: &mut Journal,
    ) {
        let gave_up = match reported {
            Reported::Stored => {
                self.backoff.reset();
                return self.end(Event::Done);
            }
            Reported::Unwanted => {
                return self.trouble(
                    ctx,
                    memory,
                    journal,
                    Event::Aborted,
                    &Remark::Aborted(DeploymentStatus::Installing),
                );
            }
            Reported::Refused => true,
            Reported::Later => {
                // Whatever the server asks for: the last try is at the end of the time that there is.
                let end = Deadline::after(self.gate.unwrap_or(ctx.now), Millis::of(ctx.config.commit_timeout));
                let left = end.left(ctx.now);
                let pause = reply.pause(&mut self.backoff, left, ctx).min(left);
                self.stage = Stage::Pause(Deadline::after(ctx.now, pause));
                left.is_zero()
            }
        };
        if gave_up {
            self.backoff.reset();
            self.trouble(ctx, memory, journal, Event::Failed, &Remark::Gate);
        }
    }

    /// The module was called.
    pub(in crate::agent) fn called(
        &mut self,
        result: Result<(), Failure>,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        journal: &mut Journal,
    ) {
        match (result, self.machine.action()) {
            (Err(failure), Action::Call(state)) => {
                self.trouble(ctx, memory, journal, Event::Failed, &Remark::Callback(state, &failure));
            }
            (Ok(()) | Err(_), _) => self.end(Event::Done),
        }
    }

    /// The module was called, and says more than that it went well.
    pub(in crate::agent) fn answered(&mut self, late: Late) {
        self.stage = Stage::Begin;
        self.machine.answered(late);
    }

    /// The download has ended: with the length of the deployment record in the block, or why not. `module` was called.
    pub(in crate::agent) fn downloaded(
        &mut self,
        module: Module,
        result: Result<u16, Trouble>,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        journal: &mut Journal,
    ) {
        self.module = module;
        self.machine.set_module(module.traits());
        memory.link_len = 0;
        let fetch = self.download.take().and_then(|download| download.error);
        match (fetch, result) {
            (_, Ok(len)) => {
                self.record_len = len;
                self.end(Event::Done);
            }
            // The stream's own trouble explains a module's failure, not the other way round.
            (Some(error), Err(Trouble::Unfinished | Trouble::Module(_))) => {
                self.trouble(ctx, memory, journal, Event::Failed, &Remark::Fetch(error));
            }
            (Some(_) | None, Err(trouble)) => {
                self.trouble(ctx, memory, journal, Event::Failed, &Remark::Trouble(&trouble));
            }
        }
    }

    /// The record that was asked for is at the front of the block, or not.
    pub(in crate::agent) fn read(
        &mut self,
        result: Result<usize, Fault>,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        journal: &mut Journal,
    ) {
        if let Stage::ReadLog { seq, log } = self.stage {
            return self.read_entry(seq, log, result, memory, journal);
        }
        if result == Err(Fault::Backend)
            && let Some(deadline) = self.storage_pause(ctx)
        {
            self.stage = Stage::Pause(deadline);
            return;
        }
        let record = result.map(|len| records::commit(memory.block, len, self.number));
        if let Action::StoreInstalled = self.machine.action() {
            return match record {
                Ok(Ok(len)) => self.write(ctx, memory, journal, RecordKey::Installed, Some(len)),
                Ok(Err(_)) | Err(_) => self.trouble(ctx, memory, journal, Event::Failed, &Remark::NotRead),
            };
        }
        // What cannot be used is replaced by the best there is: the old provides.
        let named = |len: usize, block: &[u8]| {
            InstalledRecord::decode(block.get(..len).unwrap_or(&[]))
                .is_ok_and(|record| record.provides.get(ARTIFACT_NAME).is_some())
        };
        let len = match record {
            Ok(Ok(len)) if named(len, memory.block) => Some(len),
            Ok(Ok(_) | Err(_)) | Err(_) => {
                let (block, installed) = memory.record();
                records::installed(block, self.committed_by(), installed).ok()
            }
        };
        let marked =
            len.and_then(|len| records::mark(memory.block, len, self.committed_by(), ctx.config.artifact_name).ok());
        let already = marked.is_some_and(|len| {
            let marked = memory.block.get(InstalledRecord::HEADER_LEN..len);
            marked == memory.front.get(..memory.installed_len)
        });
        if already {
            self.end(Event::Done);
        } else {
            self.write(ctx, memory, journal, RecordKey::Installed, marked);
        }
    }

    /// Until when to wait before a record is tried again, if it is.
    fn storage_pause(&mut self, ctx: &Ctx<'_>) -> Option<Deadline> {
        self.storage_tries_left = self.storage_tries_left.checked_sub(1)?;
        let pause = self.backoff.pause(ctx.retry_first(), ctx.retry_cap(), ctx.random);
        Some(Deadline::after(ctx.now, pause))
    }

    /// Who committed what runs: not this deployment, if it failed.
    fn committed_by(&self) -> DeploymentNumber {
        if self.installed_by == self.number {
            DeploymentNumber::default()
        } else {
            self.installed_by
        }
    }

    /// The record was written, or not.
    pub(in crate::agent) fn written(
        &mut self,
        result: Result<(), Fault>,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        journal: &mut Journal,
    ) {
        match (self.stage, result) {
            // An entry that is lost is no reason to stop.
            (Stage::Log(_, _, then), _) => self.then(then),
            (Stage::Restore, _) => self.end(Event::Failed),
            (Stage::Write(key, len), Ok(())) => {
                if self.storage_tries_left < STORAGE_TRIES {
                    self.storage_tries_left = STORAGE_TRIES;
                    self.backoff.reset();
                }
                if key == RecordKey::Installed {
                    if !memory.adopt(len) {
                        return self.trouble(ctx, memory, journal, Event::Failed, &Remark::NoRoom);
                    }
                    if let Action::StoreInstalled = self.machine.action() {
                        self.installed_by = self.number;
                    }
                    self.software_changed = true;
                }
                self.end(Event::Done);
            }
            (Stage::Write(key, len), Err(fault)) => {
                if let Some(deadline) = self.storage_pause(ctx) {
                    warning!("a record cannot be stored: {}; trying again", Shown(&fault));
                    self.stage = Stage::WriteLater(deadline, key, len);
                    return;
                }
                let then = match self.machine.action() {
                    // It may have reached the flash all the same: the old record is put back over it.
                    Action::StoreInstalled => Then::Restore,
                    // What is told from here on is marked at least.
                    Action::MarkInconsistent => {
                        self.mark_is_due = true;
                        self.software_changed = memory.adopt(len);
                        Then::Event(Event::Failed)
                    }
                    Action::Report(_)
                    | Action::Download
                    | Action::StoreDeployment
                    | Action::StoreState(_)
                    | Action::Call(_)
                    | Action::CommitGate
                    | Action::ReportVerdict(_)
                    | Action::AwaitRestart
                    | Action::Deliver(_)
                    | Action::UploadLog
                    | Action::End(_) => Then::Event(Event::Failed),
                };
                self.log(ctx, memory, journal, Level::Error, then, &Remark::NotStored(fault));
            }
            // Nothing was to be written.
            (
                Stage::Begin
                | Stage::Busy
                | Stage::Pause(_)
                | Stage::WriteLater(..)
                | Stage::Download
                | Stage::Restarting(_)
                | Stage::Restart
                | Stage::RestartingByForce(_)
                | Stage::Read
                | Stage::ReadLog { .. }
                | Stage::SendLog(_),
                _,
            ) => {}
        }
    }

    /// The log's upload is made of the entries one by one.
    fn read_entry(
        &mut self,
        seq: u16,
        log: LogState,
        result: Result<usize, Fault>,
        memory: &mut Memory<'_>,
        journal: &mut Journal,
    ) {
        let block = core::mem::take(&mut memory.block);
        let record = result.ok().and_then(|len| block.get(..len)).unwrap_or(&[]);
        let (mut log, mut next) = (log, seq.saturating_add(1));
        if let Some(entry) = journal.entry(seq, record)
            && let Some(mut writer) = LogWriter::resume(memory.spare(), log)
        {
            if writer.push(entry.time, entry.level, entry.text) {
                log = writer.suspend();
            } else {
                // The last entries hold the reason: all is written again, without the first.
                next = log.earlier().saturating_add(1);
                log = LogState::new(next);
            }
        }
        memory.block = block;
        self.read_log(next, log, memory, journal);
    }

    /// Reads the next entry, or sends them all.
    pub(super) fn read_log(&mut self, seq: u16, log: LogState, memory: &mut Memory<'_>, journal: &mut Journal) {
        if seq < journal.kept().1 {
            self.stage = Stage::ReadLog { seq, log };
            return;
        }
        let body = LogWriter::resume(memory.spare(), log).and_then(LogWriter::finish);
        match body {
            Some(body) => self.stage = Stage::SendLog(u16::try_from(body.len()).unwrap_or(u16::MAX)),
            // Nothing to tell.
            None => self.end(Event::Done),
        }
    }
}
