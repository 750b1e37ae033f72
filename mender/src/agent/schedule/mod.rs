//! The agent: whose turn it is, and until when to sleep. Pure.
//!
//! The schedule is [`Agent::decide`], read from top to bottom: what comes first has the first turn. Nothing is begun while
//! something else is half done; a deployment says itself when it is [open](super::deployment::Deployment::is_open).

mod asked;

use super::boot::{self, Boot};
use super::config::Config;
use super::deployment::{Deployment, Module, Next, Told, Trouble};
use super::inventory::Inventory;
use super::io::{Ctx, Do, Done, Io, Now, Requests};
use super::journal::Journal;
use super::memory::Memory;
use super::message::{Call, Facts};
use super::records;
use super::session::{CallEnd, CallError, Reply, Session, TRIES};
use super::updates::{Outcome, Updates};
use crate::api::auth::AuthRefused;
use crate::api::key::POINT_LEN;
use crate::artifact::Header;
use crate::deployment::record::DeploymentNumber;
use crate::deployment::{Machine, State, Verdict};
use crate::fmt::{info, warning};
use crate::net::{Peer, Url};
use crate::provides::Provides;
use crate::text::Shown;
use crate::update_module::{Descriptor, Late};

/// How often a record that could not be read or written is tried again at once.
pub(super) const STORAGE_FAULTS: u8 = 2;

/// What an agent is told once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) config: &'a Config<'a>,
    /// The server's URL, of the configuration.
    pub(crate) url: Url<'a>,
    pub(crate) identity: &'a [(&'a str, &'a str)],
    /// The public key.
    pub(crate) point: &'a [u8; POINT_LEN],
    pub(crate) modules: &'static [Descriptor],
    /// To spread retries.
    pub(crate) seed: u32,
    /// Longest inventory report. What does not fit is told attribute by attribute, whatever memory there is.
    pub(crate) report_len: u16,
}

/// Whose exchange the session makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Updates,
    Deployment,
    Inventory,
}

/// Who asked for what is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Session,
    Deployment,
    Boot,
    Schedule,
}

/// What the observer is to be told; texts are in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Authorized,
    Unauthorized(AuthRefused),
    NoUpdate,
    Offered,
    Resumed(State),
    Deployment(Told),
    Progress,
    Finished(Verdict),
    InventorySent { attributes: usize },
    StorageFails,
}

/// See the [module](self).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
// In this order: what is near the front takes shorter instructions.
#[repr(C)]
pub(crate) struct Agent<'a> {
    owner: Owner,
    /// The server has given a token and not taken it back, as far as is known.
    is_known: bool,
    /// How often in a row storage has failed.
    faults: u8,
    requests: Requests,
    news: Option<News>,
    /// What was asked for last, and by whom.
    asked: (Asker, Do),
    random: u32,
    /// The last deployment's number.
    number: DeploymentNumber,
    /// The deployment that committed what runs.
    installed_by: DeploymentNumber,
    setup: Setup<'a>,
    updates: Updates,
    inventory: Inventory,
    journal: Journal,
    boot: Boot,
    session: Session,
    deployment: Option<Deployment>,
}

impl<'a> Agent<'a> {
    #[inline(never)]
    pub(crate) fn new(setup: Setup<'a>) -> Agent<'a> {
        Agent {
            setup,
            random: setup.seed,
            session: Session::new(),
            owner: Owner::Updates,
            boot: Boot::new(),
            deployment: None,
            updates: Updates::new(),
            inventory: Inventory::new(),
            journal: Journal::new(),
            number: DeploymentNumber::new(0),
            installed_by: DeploymentNumber::new(0),
            is_known: false,
            faults: 0,
            requests: Requests::NONE,
            news: None,
            asked: (Asker::Schedule, Do::Tell),
        }
    }

    /// The next thing to do. What it asked for before has been answered.
    // Not a part of the driver's frame, which is there while everything else is called.
    #[inline(never)]
    pub(crate) fn next<'m>(&'m mut self, now: Now, requests: Requests, memory: &'m mut Memory<'_>) -> Io<'m> {
        self.requests.add(requests);
        let ctx = self.ctx(now);
        while !self.decide(&ctx, memory) {}
        self.io(memory)
    }

    fn ctx(&mut self, now: Now) -> Ctx<'a> {
        // Not cryptography: only to spread retries.
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        now.ctx(self.setup.config, self.random)
    }

    /// Asks for what is due, in this order; `false` if that is to be seen anew.
    // Not a loop's body: what that could keep from one turn to the next takes more instructions than it saves.
    #[inline(never)]
    fn decide(&mut self, ctx: &Ctx<'_>, memory: &mut Memory<'_>) -> bool {
        // What happened is told before anything else happens.
        if self.news.is_some() {
            return self.ask(Asker::Schedule, Do::Tell);
        }
        if self.session.take_authorized() {
            self.news = Some(News::Authorized);
            return false;
        }
        // An exchange is brought to its end.
        if !self.session.is_idle() {
            if self.requests.stop {
                self.session.last_try();
            }
            let facts = facts(&self.setup, &self.deployment);
            match self.session.next(ctx.now, memory, &facts) {
                Ok(it) => return self.ask(Asker::Session, it),
                Err(reply) => self.replied(reply, ctx, memory),
            }
            return false;
        }
        match self.boot.next(ctx) {
            boot::Next::Do(it) => return self.ask(Asker::Boot, it),
            boot::Next::Wait(_) if core::mem::take(&mut self.requests.stop) => {
                return self.ask(Asker::Schedule, Do::Stop);
            }
            boot::Next::Wait(_) if core::mem::take(&mut self.requests.update) => {
                self.boot.hurry();
                return false;
            }
            boot::Next::Wait(left) => return self.ask(Asker::Schedule, Do::Sleep(left)),
            boot::Next::Over => {}
        }
        if let Some(deployment) = &mut self.deployment
            && core::mem::take(&mut deployment.software_changed)
        {
            self.installed_by = deployment.installed_by;
            self.inventory.software_changed();
        }
        // What other tasks ask for is heard wherever nothing is half done.
        if self.requests.stop && self.deployment.as_ref().is_none_or(|it| it.can_stop(memory)) {
            if self.session.is_online() {
                return self.ask(Asker::Schedule, Do::NetworkDown);
            }
            if let Some(it) = self
                .deployment
                .as_mut()
                .and_then(|deployment| deployment.prepare_stop(memory))
            {
                return self.ask(Asker::Schedule, it);
            }
            self.requests.stop = false;
            return self.ask(Asker::Schedule, Do::Stop);
        }
        if core::mem::take(&mut self.requests.inventory) && self.is_known {
            self.inventory.asked();
        }
        if self.requests.update {
            match &mut self.deployment {
                Some(deployment) => self.requests.update = !deployment.hurry(),
                None => {
                    self.requests.update = false;
                    self.updates.hurry();
                }
            }
        }
        // The inventory between two pieces of a deployment, if there is room for it.
        let has_turn = self
            .deployment
            .as_ref()
            .is_none_or(|it| it.is_open() && it.is_settled());
        let is_due = has_turn && self.inventory.is_due(ctx.now);
        if is_due && memory.spare().len() >= INVENTORY_MIN_LEN {
            return self.ask(Asker::Schedule, Do::Inventory(self.inventory.method()));
        }
        // A deployment, and else the next one.
        let wait = match &mut self.deployment {
            Some(deployment) => match deployment.next(ctx, memory, &mut self.session, &mut self.journal) {
                Next::Do(it) => return self.ask(Asker::Deployment, it),
                Next::Call(call) => {
                    self.begin(Owner::Deployment, call);
                    return false;
                }
                Next::Tell(told) => {
                    self.news = Some(News::Deployment(told));
                    return false;
                }
                Next::Over(verdict) => {
                    info!("deployment {}: {}", deployment.id, verdict_name(verdict));
                    self.news = Some(News::Finished(verdict));
                    let well = deployment.ended_well;
                    self.deployment = None;
                    self.updates.finished(well, ctx);
                    return false;
                }
                Next::Wait(left) => left,
            },
            None => {
                let left = self.updates.left(ctx.now);
                if left.is_zero() {
                    let call = self.updates.route(ctx.now);
                    self.begin(Owner::Updates, call);
                    return false;
                }
                left
            }
        };
        // Nothing is due: the network may go down, unless an artifact is on its way.
        if self.session.is_online() && !self.deployment.as_ref().is_some_and(Deployment::is_receiving) {
            return self.ask(Asker::Schedule, Do::NetworkDown);
        }
        let inventory = self.inventory.left(ctx.now);
        let left = if has_turn && !inventory.is_zero() {
            wait.min(inventory)
        } else {
            wait
        };
        self.ask(Asker::Schedule, Do::Sleep(left))
    }

    fn ask(&mut self, asker: Asker, it: Do) -> bool {
        self.asked = (asker, it);
        true
    }

    fn begin(&mut self, owner: Owner, call: Call) {
        self.owner = owner;
        // A server that stalls for the inventory does not keep a deployment waiting for long.
        let is_guest = owner == Owner::Inventory && self.deployment.is_some();
        self.session.begin(call, if is_guest { 1 } else { TRIES });
    }

    /// How what was asked for went.
    #[inline(never)]
    pub(crate) fn done(&mut self, now: Now, memory: &mut Memory<'_>, done: Done) {
        let ctx = self.ctx(now);
        let (asker, what) = self.asked;
        self.asked = (Asker::Schedule, Do::Tell);
        // What failed may work at once; the same is asked for again.
        if let Done::Read(Err(_)) | Done::Written(Err(_)) = done
            && self.faults < STORAGE_FAULTS
        {
            self.faults += 1;
            if let Some(deployment) = &mut self.deployment {
                deployment.stopping = false;
            }
            return;
        }
        self.faults = 0;
        let of_artifact = matches!(
            what,
            Do::Connect(Peer::ArtifactHost)
                | Do::Send(Peer::ArtifactHost, _)
                | Do::Receive(Peer::ArtifactHost)
                | Do::ReceiveBlock
        );
        let download = self
            .deployment
            .as_mut()
            .and_then(|deployment| deployment.download.as_mut());
        match (done, download.filter(|_| of_artifact)) {
            (Done::Network(up), _) => {
                self.session.set_online(up);
                if let Some(deployment) = &mut self.deployment
                    && let Some(download) = &mut deployment.download
                    && asker == Asker::Deployment
                {
                    download.network(up, &ctx);
                }
            }
            (Done::NetworkDown, _) => {
                self.session.close();
                self.session.set_online(false);
            }
            (Done::Connected(Ok(())), Some(download)) => download.connected(),
            (Done::Connected(Ok(())), None) => self.session.connected(),
            (Done::Sent(Ok(())), Some(download)) => {
                if let Do::Send(_, piece) = what {
                    download.sent(piece);
                }
            }
            (Done::Sent(Ok(())), None) => {
                if let Do::Send(_, piece) = what {
                    self.session.sent(piece);
                }
            }
            (Done::Received(Ok(len)), Some(download)) => {
                download.received(len, &ctx, memory, &self.setup.url);
            }
            (Done::Received(Ok(len)), None) => {
                let facts = facts(&self.setup, &self.deployment);
                self.session.received(len, ctx.now, memory, &facts, ctx.random);
            }
            (Done::Connected(Err(lost)) | Done::Sent(Err(lost)) | Done::Received(Err(lost)), Some(download)) => {
                // The link may be gone: a read that breaks says so before a connect does.
                self.session.doubt_network();
                download.lost(lost.into(), &ctx);
            }
            (Done::Connected(Err(lost)) | Done::Sent(Err(lost)) | Done::Received(Err(lost)), None) => {
                self.session.lost(lost.into(), ctx.now, ctx.random);
            }
            (Done::Signed(signature), _) => self.session.signed(signature),
            (Done::Inventory { attributes, len }, _) => {
                let report = self.inventory.method();
                if self.inventory.written(attributes, &ctx) {
                    // It was written into no more than that.
                    let len = u16::try_from(len).unwrap_or(self.setup.report_len);
                    let call = Call::Inventory { report, len };
                    self.begin(Owner::Inventory, call);
                }
            }
            (Done::Read(result), _) => match (&mut self.deployment, asker) {
                (Some(deployment), Asker::Deployment) => {
                    let result = result.and_then(|len| len.ok_or(super::io::Fault::Corrupt));
                    deployment.read(result, &ctx, memory, &mut self.journal);
                }
                _ => {
                    let resumed = self
                        .boot
                        .read(result, &ctx, memory, self.setup.modules, &mut self.journal);
                    if self.boot.waits() {
                        self.news = Some(News::StorageFails);
                    }
                    self.number = self.boot.number;
                    self.installed_by = self.boot.installed_by;
                    if let Some(deployment) = resumed {
                        self.news = Some(News::Resumed(deployment.state()));
                        self.deployment = Some(deployment);
                    }
                }
            },
            (Done::Written(result), _) => match (&mut self.deployment, asker) {
                (Some(deployment), Asker::Deployment) => {
                    deployment.written(result, &ctx, memory, &mut self.journal);
                }
                _ => self.boot.written(result, &ctx, memory),
            },
            (Done::Called(result), _) => {
                if let Some(deployment) = &mut self.deployment {
                    deployment.called(result, &ctx, memory, &mut self.journal);
                }
            }
        }
    }

    /// As [`Done::Called`], of a callback that went well and says more than that.
    pub(crate) fn answered(&mut self, late: Late) {
        self.asked = (Asker::Schedule, Do::Tell);
        self.faults = 0;
        if let Some(deployment) = &mut self.deployment {
            deployment.answered(late);
        }
    }

    /// What was asked for was given up halfway, because the download has ended meanwhile. If that was a part of a report, the report
    /// is made anew: it was in memory that is somebody else's now.
    pub(crate) fn interrupted(&mut self) {
        if let Do::NetworkUp | Do::NetworkDown = self.asked.1 {
            self.session.close();
            self.session.set_online(false);
        }
        self.asked = (Asker::Schedule, Do::Tell);
        self.session.abandon();
    }

    /// The blocks were at their end, but the artifact was not; `true` if more is to come.
    pub(crate) fn incomplete(&mut self, now: Now) -> bool {
        let ctx = self.ctx(now);
        let download = self
            .deployment
            .as_mut()
            .and_then(|deployment| deployment.download.as_mut());
        download.is_some_and(|download| download.incomplete(&ctx))
    }

    /// What comes before `position` of the artifact is not needed.
    pub(crate) fn skip_to(&mut self, position: u32) {
        if let Some(deployment) = &mut self.deployment
            && let Some(download) = &mut deployment.download
        {
            download.skip_to(position);
        }
    }

    /// The download has ended: with the length of the deployment record in the block, or why not. `module` was called.
    pub(crate) fn downloaded(
        &mut self,
        now: Now,
        memory: &mut Memory<'_>,
        module: Module,
        result: Result<u16, Trouble>,
    ) {
        let ctx = self.ctx(now);
        if let Some(deployment) = &mut self.deployment {
            deployment.downloaded(module, result, &ctx, memory, &mut self.journal);
        }
    }

    /// Writes the deployment record of a download that has succeeded into `block`; its length. `None` if it does not fit.
    pub(crate) fn record(&self, block: &mut [u8], header: &Header<'_>, installed: Provides<'_>) -> Option<u16> {
        let deployment = self.deployment.as_ref()?;
        let len = records::deployment(block, deployment.number, &deployment.id, header, installed)?;
        u16::try_from(len).ok()
    }

    /// An exchange has ended.
    #[inline(never)]
    fn replied(&mut self, reply: Reply, ctx: &Ctx<'_>, memory: &mut Memory<'_>) {
        if let CallEnd::Failed(CallError::Refused(refused)) = reply.end {
            warning!("not authorized: {}", Shown(&refused));
            self.news = Some(News::Unauthorized(refused));
        }
        if self.session.has_new_token() {
            let is_new = !core::mem::replace(&mut self.is_known, true);
            self.inventory.authorized(is_new);
        }
        let call = self.session.call();
        let polled = self.session.answer.polled();
        match (self.owner, &mut self.deployment) {
            (Owner::Inventory, _) => {
                if let Some(attributes) = self.inventory.replied(call, reply, ctx) {
                    self.news = Some(News::InventorySent { attributes });
                }
            }
            (Owner::Deployment, Some(deployment)) => {
                let offered = (polled, &self.session.answer.id);
                deployment.replied(call, reply, offered, ctx, memory, &mut self.journal);
            }
            (Owner::Deployment, None) => {}
            (Owner::Updates, _) => match self.updates.replied(reply, polled, ctx) {
                Outcome::Nothing => {
                    info!("no update");
                    self.boot.attempts = None;
                    self.news = Some(News::NoUpdate);
                }
                Outcome::Offer { link_len } => {
                    // A deployment that failed in its download has left nothing but its log.
                    if self.journal.last().is_after(self.number) {
                        self.number = self.journal.last();
                    }
                    self.number = self.number.next();
                    self.journal.begin(self.number);
                    let id = self.session.answer.id.clone();
                    let limit = self.setup.config.transition_limit;
                    info!("deployment {id}");
                    let traits = Module::None.traits();
                    let machine = match self.boot.attempts.take() {
                        Some(attempts) => Machine::start_anew(attempts, traits, limit),
                        None => Machine::start(traits, limit),
                    };
                    let deployment = Deployment::begin(id, self.number, call, link_len, machine, self.installed_by);
                    self.deployment = Some(deployment);
                    self.news = Some(News::Offered);
                }
                Outcome::AskAgain => {
                    let call = self.updates.route(ctx.now);
                    self.begin(Owner::Updates, call);
                }
                Outcome::Wait => {}
            },
        }
        if let Some(News::Unauthorized(AuthRefused::NotAccepted)) = self.news {
            // All is as at the start: whoever asks for updates finds out when the device is accepted again.
            if core::mem::take(&mut self.is_known) {
                self.inventory = Inventory::new();
                if self.owner == Owner::Inventory {
                    self.updates.hurry();
                }
            }
        }
    }
}

/// Less room than this is none for an inventory.
const INVENTORY_MIN_LEN: usize = 64;
fn facts<'f>(setup: &'f Setup<'_>, deployment: &'f Option<Deployment>) -> Facts<'f> {
    Facts {
        config: setup.config,
        url: setup.url,
        identity: setup.identity,
        point: setup.point,
        id: deployment.as_ref().map_or("", |deployment| deployment.id.as_str()),
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Success => "success",
        Verdict::Failure => "failure",
    }
}
