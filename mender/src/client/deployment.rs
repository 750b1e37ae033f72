//! One deployment: the machine's actions, performed.

use core::future::poll_fn;

use embassy_futures::select::{Either, select};
use embassy_sync::zerocopy_channel::Channel;
use rand_core::CryptoRng;

use super::backoff::Backoff;
use super::calls::{DeploymentId, Reported};
use super::device::{Clock, Device, Event as Observed};
use super::download::{Block, Fetch, Source, Step};
use super::journal::Journal;
use super::updates::Updates;
use crate::api::log::LogWriter;
use crate::api::status::DeploymentStatus;
use crate::artifact::{Limits, Parser};
use crate::deployment::record::{self, DeploymentRecord, InstalledRecord, RecordError, StateRecord};
use crate::deployment::{Action, Event, INCONSISTENT_SUFFIX, Machine, Progress, State, StoredState, Traits, Verdict};
use crate::fmt::{error, info, warning};
use crate::net::{Connector, Url};
use crate::provides::{ARTIFACT_NAME, Provides, ProvidesBuf};
use crate::storage::{RecordKey, Storage};
use crate::update_module::{CallbackState, Failure, ModuleIndex, ModuleSet, Payload, PayloadEvent};

/// A deployment under way: what the machine does not need to know.
pub(super) struct Running {
    id: DeploymentId,
    module: Module,
    /// Length of the download link in the link buffer; 0 after a restart.
    link_len: usize,
    /// Length of the provides that become the device's own, in their buffer.
    next_len: usize,
    journal: Journal,
    delivery: Backoff,
}

/// Who installs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Module {
    /// Not known before the artifact's header, or not needed: an artifact without a payload.
    None,
    /// Registered.
    Known(ModuleIndex, Traits),
    /// The deployment was begun by a firmware that had a module which this one has not.
    Missing,
}

impl Running {
    pub(super) fn traits(&self) -> Traits {
        match self.module {
            Module::Known(_, traits) => traits,
            Module::None | Module::Missing => Traits {
                requires_reboot: false,
                supports_rollback: false,
            },
        }
    }
}

fn traits_of<M: ModuleSet>(module: ModuleIndex) -> Traits {
    M::descriptor(module).map_or(
        Traits {
            requires_reboot: false,
            supports_rollback: false,
        },
        |descriptor| Traits {
            requires_reboot: descriptor.requires_reboot,
            supports_rollback: descriptor.supports_rollback,
        },
    )
}

impl<'c, D, C, S, K, R, M> Updates<'_, 'c, D, C, S, K, R, M>
where
    D: Device,
    C: Connector + 'c,
    S: Storage,
    K: Clock,
    R: CryptoRng,
    M: ModuleSet,
{
    /// A deployment that the server offers.
    pub(super) fn begin(&mut self, id: DeploymentId, link_len: usize) -> Running {
        self.number = self.number.next();
        Running {
            id,
            module: Module::None,
            link_len,
            next_len: 0,
            journal: Journal::begin(self.number),
            delivery: Backoff::new(self.config.retry_first, self.config.retry_cap),
        }
    }

    /// The deployment that storage knows of, if it is not over.
    pub(super) async fn resume(&mut self) -> Option<(Machine, Running)> {
        let state = match self.storage.read(RecordKey::State, self.scratch).await {
            Ok(Some(len)) => Some(StateRecord::decode(self.scratch.get(..len).unwrap_or(&[]))),
            Ok(None) => None,
            Err(error) => {
                error!("the state record cannot be read: {error}");
                Some(Err(RecordError::Malformed))
            }
        };
        if let Some(Ok(record)) = state {
            self.number = record.number;
        }
        let installed_by = self.installed_by().await;
        let len = match self.storage.read(RecordKey::Deployment, self.scratch).await {
            Ok(Some(len)) => len,
            Ok(None) => return None,
            Err(error) => {
                // Without its id nothing can be reported; the server offers the deployment again, and it starts anew.
                error!("the deployment record cannot be read: {error}");
                return None;
            }
        };
        let deployment = match DeploymentRecord::decode(self.scratch.get(..len).unwrap_or(&[])) {
            Ok(deployment) => deployment,
            Err(error) => {
                error!("the deployment record cannot be used: {error}");
                return None;
            }
        };
        self.number = deployment.number;
        let stored = record::stored(deployment.number, installed_by, state);
        let next_len = match ProvidesBuf::copy_of(deployment.provides, self.next) {
            Ok(list) => list.len(),
            Err(error) => {
                error!("{error}");
                0
            }
        };
        let module = match deployment.payload_type {
            "" => Module::None,
            artifact_type => match M::find(artifact_type) {
                Some(module) => Module::Known(module, traits_of::<M>(module)),
                None => Module::Missing,
            },
        };
        let running = Running {
            id: DeploymentId::try_from(deployment.id).ok()?,
            module,
            link_len: 0,
            next_len,
            journal: Journal::resume(deployment.number),
            delivery: Backoff::new(self.config.retry_first, self.config.retry_cap),
        };
        let machine = Machine::resume(stored, running.traits(), self.config.transition_limit)?;
        info!("deployment {} goes on in {}", running.id, machine.state().name());
        self.device.observe(Observed::Resumed {
            id: &running.id,
            state: machine.state(),
        });
        Some((machine, running))
    }

    async fn installed_by(&mut self) -> record::DeploymentNumber {
        match self.storage.read(RecordKey::Installed, self.scratch).await {
            Ok(Some(len)) => InstalledRecord::decode(self.scratch.get(..len).unwrap_or(&[]))
                .map(|installed| installed.committed_by)
                .unwrap_or_default(),
            Ok(None) | Err(_) => record::DeploymentNumber::default(),
        }
    }

    /// Drives a deployment to its end.
    pub(super) async fn drive(&mut self, mut machine: Machine, mut running: Running) {
        let mut shown = None;
        loop {
            if shown != Some(machine.state()) && machine.state() != State::End {
                shown = Some(machine.state());
                info!("entering {}", machine.state().name());
                self.device.observe(Observed::Entered(machine.state()));
            }
            let event = match machine.action() {
                Action::End(verdict) => {
                    self.device.observe(Observed::Finished(verdict));
                    info!(
                        "deployment {}: {}",
                        running.id,
                        match verdict {
                            Verdict::Success => "success",
                            Verdict::Failure => "failure",
                        }
                    );
                    return;
                }
                Action::Report(progress) => self.report(&mut running, progress).await,
                Action::Download => {
                    let event = self.download(&mut running).await;
                    machine.set_module(running.traits());
                    event
                }
                Action::StoreDeployment => self.store_deployment(&mut running).await,
                Action::StoreState(state) => self.store_state(&mut running, state, machine.transitions()).await,
                Action::Call(callback) => self.call(&mut running, callback).await,
                Action::CommitGate => self.commit_gate(&mut running).await,
                Action::StoreInstalled => self.store_installed(&mut running).await,
                Action::MarkInconsistent => self.mark_inconsistent(&mut running).await,
                Action::ReportVerdict(verdict) => self.report_verdict(&mut running, verdict).await,
                Action::AwaitRestart => self.await_restart(&mut running).await,
                Action::Deliver(verdict) => self.deliver(&mut running, verdict).await,
                Action::UploadLog => self.upload_log(&mut running).await,
            };
            machine.handle(event);
        }
    }

    async fn report(&mut self, running: &mut Running, progress: Progress) -> Event {
        let status = match progress {
            Progress::Downloading => DeploymentStatus::Downloading,
            Progress::Installing => DeploymentStatus::Installing,
            Progress::Rebooting => DeploymentStatus::Rebooting,
        };
        let reported = self.session.lock().await.report(&running.id, status).await;
        match reported {
            Reported::Stored => Event::Done,
            Reported::Unwanted => {
                self.trouble(running, format_args!("{status}: the server has aborted the deployment"))
                    .await;
                Event::Aborted
            }
            Reported::Refused | Reported::Later { .. } => {
                self.remark(running, format_args!("{status} could not be reported"))
                    .await;
                Event::Failed
            }
        }
    }

    async fn download(&mut self, running: &mut Running) -> Event {
        let (random, device, config) = {
            let mut session = self.session.lock().await;
            (session.random(), self.device, self.config)
        };
        let link = core::str::from_utf8(self.link.get(..running.link_len).unwrap_or(&[])).unwrap_or("");
        let url = match Url::parse(link) {
            Ok(url) => url,
            Err(error) => {
                self.trouble(running, format_args!("the download link cannot be used: {error}"))
                    .await;
                return Event::Failed;
            }
        };
        let mut blocks = [Block::new(self.block_a), Block::new(self.block_b)];
        let mut channel = Channel::new(&mut blocks);
        let (mut sender, receiver) = channel.split();
        let fetch = Fetch {
            config,
            device,
            connector: self.connector,
            clock: self.clock,
            url,
            head: self.download_head,
            random,
        };
        let mut source = Source::new(Parser::new(Limits::DEFAULT, self.artifact), receiver);
        let take = async {
            // The header first: an artifact that does not fit costs no flash write.
            loop {
                match poll_fn(|cx| source.poll_step(cx)).await {
                    Ok(Step::Header) => break,
                    Ok(Step::Payload(PayloadEvent::End)) => return Err(None),
                    Ok(Step::Payload(_)) => {}
                    Err(_) => return Err(None),
                }
            }
            let Some(header) = source.header() else {
                return Err(None);
            };
            let module = match header.payload_type() {
                None => Module::None,
                Some(artifact_type) => match M::find(artifact_type) {
                    Some(module) => Module::Known(module, traits_of::<M>(module)),
                    None => {
                        return Err(Some(Failure::new(format_args!(
                            "no update module for the payload type \"{artifact_type}\""
                        ))));
                    }
                },
            };
            let session = self.session.lock().await;
            let installed = session.installed();
            header
                .check_fit(config.device_type, installed)
                .map_err(|misfit| Some(Failure::new(misfit)))?;
            let next_len = ProvidesBuf::copy_of(installed, self.next)
                .and_then(|mut next| {
                    header.update_provides(&mut next)?;
                    Ok(next.len())
                })
                .map_err(|error| Some(Failure::new(error)))?;
            drop(session);
            let needed = next_len + DeploymentRecord::header_len(&running.id, header.payload_type().unwrap_or(""));
            if needed > self.scratch.len() {
                return Err(Some(Failure::new(RecordError::TooLong { needed })));
            }
            let mut payload = Payload::new(&mut source);
            if let Module::Known(index, _) = module {
                self.modules.download(index, &mut payload).await.map_err(Some)?;
            }
            // What the module left unread is verified too, and so is the artifact's end.
            payload.finish().await.map_err(|_| None)?;
            Ok((module, next_len))
        };
        let result = match select(take, async {
            fetch.run(&mut sender).await;
            core::future::pending::<()>().await;
        })
        .await
        {
            Either::First(result) => result,
            Either::Second(()) => Err(None),
        };
        let trouble = source.trouble();
        match result {
            Ok((module, next_len)) => {
                (running.module, running.next_len) = (module, next_len);
                Event::Done
            }
            Err(failure) => {
                // The stream's own trouble explains a module's failure, not the other way round.
                match (trouble, failure) {
                    (Some(trouble), _) => self.trouble(running, format_args!("{trouble}")).await,
                    (None, Some(failure)) => self.trouble(running, format_args!("download: {failure}")).await,
                    (None, None) => {
                        self.trouble(running, format_args!("the artifact is not complete"))
                            .await
                    }
                }
                Event::Failed
            }
        }
    }

    async fn store_deployment(&mut self, running: &mut Running) -> Event {
        let provides = Provides::from_bytes(self.next.get(..running.next_len).unwrap_or(&[])).unwrap_or_default();
        let record = DeploymentRecord {
            number: self.number,
            id: &running.id,
            payload_type: match running.module {
                Module::Known(module, _) => M::descriptor(module).map_or("", |descriptor| descriptor.artifact_type),
                Module::None | Module::Missing => "",
            },
            provides,
        };
        let len = match record.encode(self.scratch) {
            Ok(len) => len,
            Err(error) => {
                self.trouble(running, format_args!("the deployment record: {error}"))
                    .await;
                return Event::Failed;
            }
        };
        self.write(running, RecordKey::Deployment, len).await
    }

    async fn store_state(&mut self, running: &mut Running, state: StoredState, transitions: u8) -> Event {
        let record = StateRecord {
            number: self.number,
            state,
            transitions,
        }
        .encode();
        let Some(place) = self.scratch.get_mut(..record.len()) else {
            return Event::Failed;
        };
        place.copy_from_slice(&record);
        self.write(running, RecordKey::State, record.len()).await
    }

    /// Writes the first bytes of the scratch buffer.
    async fn write(&mut self, running: &mut Running, key: RecordKey, len: usize) -> Event {
        let result = self.storage.write(key, self.scratch.get(..len).unwrap_or(&[])).await;
        match result {
            Ok(()) => Event::Done,
            Err(error) => {
                running
                    .journal
                    .error(
                        self.storage,
                        self.clock,
                        format_args!("a record cannot be stored: {error}"),
                    )
                    .await;
                Event::Failed
            }
        }
    }

    async fn call(&mut self, running: &mut Running, callback: CallbackState) -> Event {
        let result = match running.module {
            Module::Known(module, _) => self.modules.call(module, callback).await,
            Module::None => Ok(()),
            Module::Missing => match callback {
                CallbackState::Cleanup | CallbackState::Failure => Ok(()),
                CallbackState::Install
                | CallbackState::Reboot
                | CallbackState::VerifyReboot
                | CallbackState::Commit
                | CallbackState::Rollback
                | CallbackState::RollbackReboot
                | CallbackState::RollbackVerifyReboot => {
                    Err(Failure::new("this firmware has no update module for the deployment"))
                }
            },
        };
        match result {
            Ok(()) => Event::Done,
            Err(failure) => {
                self.trouble(running, format_args!("{}: {failure}", callback.name()))
                    .await;
                Event::Failed
            }
        }
    }

    /// New software must log in and report before it may stay (behaviour of clients, section 6): with a fresh token, and
    /// as often as fits into the commit timeout.
    async fn commit_gate(&mut self, running: &mut Running) -> Event {
        let began = self.clock.uptime();
        loop {
            let mut asked = None;
            if self.device.network_up().await.is_ok() {
                let mut session = self.session.lock().await;
                session.forget_token();
                let reported = session.report(&running.id, DeploymentStatus::Installing).await;
                drop(session);
                match reported {
                    Reported::Stored => {
                        self.news.authorized.signal(());
                        return Event::Done;
                    }
                    Reported::Unwanted => {
                        self.trouble(running, format_args!("the server has aborted the deployment"))
                            .await;
                        return Event::Aborted;
                    }
                    Reported::Refused => break,
                    Reported::Later { retry_after } => asked = retry_after,
                }
            }
            let random = self.session.lock().await.random();
            let pause = running.delivery.pause(random).max(asked.unwrap_or_default());
            let waited = self.clock.uptime().saturating_sub(began);
            if waited.saturating_add(pause) > self.config.commit_timeout {
                break;
            }
            self.clock.sleep(pause).await;
        }
        self.trouble(
            running,
            format_args!("the new software could not report to the server in time"),
        )
        .await;
        Event::Failed
    }

    async fn store_installed(&mut self, running: &mut Running) -> Event {
        let provides = Provides::from_bytes(self.next.get(..running.next_len).unwrap_or(&[])).unwrap_or_default();
        let record = InstalledRecord {
            committed_by: self.number,
            provides,
        };
        let stored = match record.encode(self.scratch) {
            Ok(len) => self.write(running, RecordKey::Installed, len).await,
            Err(error) => {
                self.trouble(running, format_args!("the installed record: {error}"))
                    .await;
                Event::Failed
            }
        };
        match stored {
            Event::Done => {
                let provides =
                    Provides::from_bytes(self.next.get(..running.next_len).unwrap_or(&[])).unwrap_or_default();
                // It fitted into a record of the same length.
                let fits = self.session.lock().await.set_installed(provides);
                debug_assert!(fits);
                self.news.software_changed.signal(());
            }
            Event::Failed | Event::Aborted => {
                // The write may have reached the flash all the same: put the old provides back over it.
                self.store_running_provides(running).await;
            }
        }
        stored
    }

    async fn mark_inconsistent(&mut self, running: &mut Running) -> Event {
        {
            let mut session = self.session.lock().await;
            let name = session.installed().artifact_name().unwrap_or(self.config.artifact_name);
            if name.ends_with(INCONSISTENT_SUFFIX) {
                return Event::Done;
            }
            let mut marked = heapless::String::<{ 256 + INCONSISTENT_SUFFIX.len() }>::new();
            let room = marked.capacity() - INCONSISTENT_SUFFIX.len();
            let kept = name.get(..name.floor_char_boundary(room)).unwrap_or("");
            // Cut to fit.
            let pushed = marked.push_str(kept).and(marked.push_str(INCONSISTENT_SUFFIX));
            debug_assert!(pushed.is_ok());
            let changed = ProvidesBuf::copy_of(session.installed(), self.next)
                .and_then(|mut list| list.set(ARTIFACT_NAME, &marked).map(|()| list.len()));
            match changed {
                Ok(len) => {
                    let list = Provides::from_bytes(self.next.get(..len).unwrap_or(&[])).unwrap_or_default();
                    if !session.set_installed(list) {
                        error!("the artifact name cannot be marked: record buffers are too short");
                        return Event::Failed;
                    }
                }
                Err(error) => {
                    error!("the artifact name cannot be marked: {error}");
                    return Event::Failed;
                }
            }
        }
        self.news.software_changed.signal(());
        self.store_running_provides(running).await
    }

    /// Writes the provides of what runs, leaving alone which deployment committed them.
    async fn store_running_provides(&mut self, running: &mut Running) -> Event {
        // Not the present deployment: it is the one that failed.
        let committed_by = match self.installed_by().await {
            number if number == self.number => record::DeploymentNumber::default(),
            number => number,
        };
        let encoded = {
            let session = self.session.lock().await;
            InstalledRecord {
                committed_by,
                provides: session.installed(),
            }
            .encode(self.scratch)
        };
        match encoded {
            Ok(len) => self.write(running, RecordKey::Installed, len).await,
            Err(error) => {
                self.trouble(running, format_args!("the installed record: {error}"))
                    .await;
                Event::Failed
            }
        }
    }

    async fn report_verdict(&mut self, running: &mut Running, verdict: Verdict) -> Event {
        if self.device.network_up().await.is_err() {
            return Event::Failed;
        }
        let reported = self.session.lock().await.report(&running.id, status_of(verdict)).await;
        match reported {
            Reported::Stored => Event::Done,
            // 400 and its like stay as they are: repeating the report would not end.
            Reported::Unwanted | Reported::Refused => Event::Aborted,
            Reported::Later { .. } => Event::Failed,
        }
    }

    async fn deliver(&mut self, running: &mut Running, verdict: Verdict) -> Event {
        let mut asked = None;
        if self.device.network_up().await.is_ok() {
            let reported = self.session.lock().await.report(&running.id, status_of(verdict)).await;
            match reported {
                Reported::Stored => return Event::Done,
                Reported::Unwanted | Reported::Refused => return Event::Aborted,
                Reported::Later { retry_after } => asked = retry_after,
            }
        }
        let random = {
            let mut session = self.session.lock().await;
            session.close();
            session.random()
        };
        self.device.network_down().await;
        let pause = running.delivery.pause(random).max(asked.unwrap_or_default());
        self.clock.sleep(pause).await;
        Event::Failed
    }

    async fn await_restart(&mut self, running: &mut Running) -> Event {
        self.session.lock().await.close();
        self.device.observe(Observed::AwaitingRestart);
        self.clock.sleep(self.config.restart_timeout).await;
        self.remark(
            running,
            format_args!("the module's restart did not happen: restarting the device"),
        )
        .await;
        self.device.restart().await;
        self.clock.sleep(self.config.restart_timeout).await;
        self.trouble(running, format_args!("the device did not restart")).await;
        Event::Failed
    }

    async fn upload_log(&mut self, running: &mut Running) -> Event {
        let mut log = match LogWriter::new(self.link) {
            Ok(log) => log,
            Err(error) => {
                error!("{error}");
                return Event::Failed;
            }
        };
        running.journal.write_to(self.storage, &mut log).await;
        let Some(body) = log.finish() else { return Event::Done };
        let len = body.len();
        for _ in 0..LOG_TRIES {
            let body = self.link.get(..len).unwrap_or(&[]);
            let mut session = self.session.lock().await;
            let reported = session.upload_log(&running.id, body).await;
            let random = session.random();
            drop(session);
            match reported {
                Reported::Stored => return Event::Done,
                Reported::Unwanted | Reported::Refused => return Event::Failed,
                Reported::Later { retry_after } => {
                    let pause = running.delivery.pause(random).max(retry_after.unwrap_or_default());
                    self.clock.sleep(pause).await;
                }
            }
        }
        warning!("the deployment log could not be sent");
        Event::Failed
    }

    /// An error of this deployment, for its log.
    async fn trouble(&mut self, running: &mut Running, text: core::fmt::Arguments<'_>) {
        running.journal.error(self.storage, self.clock, text).await;
    }

    /// A warning of this deployment, for its log.
    async fn remark(&mut self, running: &mut Running, text: core::fmt::Arguments<'_>) {
        running.journal.warning(self.storage, self.clock, text).await;
    }
}

/// How often a log's upload is tried.
const LOG_TRIES: u32 = 3;

fn status_of(verdict: Verdict) -> DeploymentStatus {
    match verdict {
        Verdict::Success => DeploymentStatus::Success,
        Verdict::Failure => DeploymentStatus::Failure,
    }
}
