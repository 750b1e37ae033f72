//! What is to be said of a deployment's end: the invariant.

use mender::UpdateModule;
use mender::deployment::record::{InstalledRecord, StateRecord};
use mender::deployment::{INCONSISTENT_SUFFIX, StoredState};
use mender::storage::{RecordKey, Storage};

use super::bench::{Bench, Release};
use super::board::{Seen, Shown};
use super::play::{Goal, Player, Stop, client_storage};
use super::scenario::{Expected, Scenario};
use super::violation::Broken;
use super::witness::Stage;
use crate::network::lock;
use crate::server::Status;

/// Plays a case to its end and says whether that is right.
pub(super) struct Judge<'j, const WRITE: usize, const SECTOR: usize> {
    pub(super) bench: &'j Bench<WRITE, SECTOR>,
    pub(super) scenario: &'j Scenario,
    pub(super) one_way: bool,
    /// After a failed deployment the same update is played again.
    pub(super) once_more: bool,
}

#[derive(Default)]
pub(super) struct Judged {
    pub(super) deployments: u64,
    pub(super) excused: bool,
    pub(super) new: Option<Box<dyn Seen>>,
    pub(super) old_runs: bool,
}

/// What is in use after a deployment, by status and artifact name.
enum Claim {
    Old,
    New,
    Unknown,
}

impl<'j, const WRITE: usize, const SECTOR: usize> Judge<'j, WRITE, SECTOR> {
    pub(super) fn play<M: UpdateModule>(&self, player: &mut Player<'_, '_, M, WRITE, SECTOR>) -> Result<Judged, Stop> {
        let stage = player.stage;
        player.forget_events_of_the_client();
        player.run(Goal::Idle)?;
        // What follows is to see what has come of it.
        stage.trace().over = true;
        player.over = true;
        if player.only_to_record {
            return Err(Stop::Known);
        }
        // The trouble is over: a cut that did not come any more, a fault that did not strike.
        *stage.scenario.borrow_mut() = None;
        player.planned.clear();
        player.current = None;
        stage.board.chip().restore_power();
        lock(&stage.server).clear_faults();
        stage.network.add_to_history("the trouble is over");
        stage.trace().progress.hindered = false;

        let status = self.status(stage);
        self.check_ending(status, !player.made.is_empty())?;
        // What was said stays true at every boot from now on.
        player.seen = Some(Vec::new());
        let name = if player.made.is_empty() {
            player.forget_events_of_the_client();
            player.run(Goal::Inventory)?;
            player.power_up_and_look()?;
            self.name(stage)
        } else {
            // The same without the server, which is what takes long.
            player.power_up_and_look()?;
            player.power_up_and_look()?;
            self.stored_name(stage)?
        };
        let seen = player.seen.take().unwrap_or_default();
        let status = match self.status(stage) {
            later if later == status => status,
            later => {
                return Err(Broken::Ending {
                    expected: status.into_iter().collect(),
                    found: later,
                }
                .into());
            }
        };
        let Some(status) = status else {
            return Err(Broken::Endless.into());
        };
        let mut judged = Judged {
            deployments: 1,
            ..Judged::default()
        };
        match self.claim(status, name)? {
            Claim::New => {
                seen.iter().try_for_each(|runs| self.check_new(&**runs))?;
                judged.new = seen.into_iter().last();
            }
            Claim::Unknown => {
                let allowed = self.scenario.may_be_inconsistent || (self.one_way && !player.made.is_empty());
                if !allowed {
                    return Err(Broken::NoWayBack.into());
                }
            }
            Claim::Old => {
                if let Some(runs) = seen.iter().find(|runs| !runs.is(&*self.bench.old)) {
                    return Err(Broken::FailureWithoutOld {
                        runs: Shown(&**runs).to_string(),
                        expected: Shown(&*self.bench.old).to_string(),
                    }
                    .into());
                }
                judged.old_runs = true;
                if self.once_more {
                    self.once_more(player)?;
                    judged.deployments = 2;
                }
            }
        }
        Ok(judged)
    }

    /// After a failed deployment the same update must work.
    fn once_more<M: UpdateModule>(&self, player: &mut Player<'_, '_, M, WRITE, SECTOR>) -> Result<(), Stop> {
        let stage = player.stage;
        stage.note("the same update again, undisturbed");
        let again = {
            let now = stage.clock.date();
            let devices = std::slice::from_ref(&self.bench.device);
            stage.network.add_to_history("deployed again");
            lock(&stage.server)
                .deploy(self.bench.names.1, devices, now)
                .expect("the artifact is there")
        };
        *stage.deployment.borrow_mut() = again;
        {
            let mut trace = stage.trace();
            trace.progress.installing = false;
            trace.state = None;
            trace.callback = None;
        }
        player.forget_events_of_the_client();
        let runs = player.run(Goal::Idle).and_then(|()| player.power_up());
        let result = runs.and_then(|runs| match self.status(stage) {
            Some(Status::Success) => self.check_new(&*runs).map_err(Stop::Broken),
            found => Err(Broken::Ending {
                expected: vec![Status::Success],
                found,
            }
            .into()),
        });
        match result {
            Err(Stop::Broken(broken)) => Err(Broken::NotUpdatable(Box::new(broken)).into()),
            Err(Stop::Excused | Stop::Known) | Ok(()) => Ok(()),
        }
    }

    fn status(&self, stage: &Stage<'_, WRITE, SECTOR>) -> Option<Status> {
        lock(&stage.server)
            .device_deployment(&stage.deployment.borrow(), &self.bench.device)
            .map(|deployment| deployment.status)
    }

    /// The artifact name that the device reports.
    fn name(&self, stage: &Stage<'_, WRITE, SECTOR>) -> Option<String> {
        let server = lock(&stage.server);
        let value = server.inventory(&self.bench.device)?.value("artifact_name")?;
        value.as_str().map(str::to_owned)
    }

    /// The artifact name in the client's storage. Nothing but an ended deployment may be there.
    fn stored_name(&self, stage: &Stage<'_, WRITE, SECTOR>) -> Result<Option<String>, Broken> {
        const FACTORY: &str = Release::Factory.name();
        let mut storage = client_storage(&stage.board);
        let mut record = [0; 512];
        let mut read = |key| match embassy_futures::block_on(storage.read(key, &mut record)) {
            Ok(len) => len.map(|len| record[..len].to_vec()),
            Err(error) => panic!("the client's record {key:?} cannot be read: {error}"),
        };
        let state = read(RecordKey::State).map(|state| StateRecord::decode(&state).map(|record| record.state));
        // Of a download that was counted nothing is left.
        if !matches!(state, None | Some(Ok(StoredState::Idle | StoredState::Download))) {
            return Err(Broken::Endless);
        }
        let installed = read(RecordKey::Installed).unwrap_or_default();
        let name = match InstalledRecord::decode(&installed) {
            Ok(record) => record.provides.artifact_name().unwrap_or(FACTORY).to_owned(),
            Err(_) => FACTORY.to_owned(),
        };
        Ok(Some(name))
    }

    fn check_ending(&self, found: Option<Status>, disturbed_by_cuts: bool) -> Result<(), Broken> {
        let expected = match self.scenario.expected {
            Expected::Success if !disturbed_by_cuts => vec![Status::Success],
            Expected::Failure if !disturbed_by_cuts => vec![Status::Failure],
            Expected::Aborted if !disturbed_by_cuts => vec![Status::Aborted],
            Expected::OnlyFailure => vec![Status::Failure],
            Expected::Success | Expected::Failure | Expected::Either => vec![Status::Success, Status::Failure],
            Expected::Aborted => vec![Status::Success, Status::Failure, Status::Aborted],
        };
        if found.is_some_and(|found| expected.contains(&found)) {
            Ok(())
        } else {
            Err(Broken::Ending { expected, found })
        }
    }

    fn claim(&self, status: Status, name: Option<String>) -> Result<Claim, Broken> {
        let is_success = status == Status::Success;
        let may_be_new = is_success || status == Status::Aborted && self.scenario.aborts_too_late();
        let (old, new) = self.bench.names;
        match name.as_deref() {
            Some(name) if name == new && may_be_new => Ok(Claim::New),
            Some(name) if name == old && !is_success => Ok(Claim::Old),
            Some(other) if !is_success && other == format!("{new}{INCONSISTENT_SUFFIX}") => Ok(Claim::Unknown),
            Some(_) | None => Err(Broken::ArtifactName { status, found: name }),
        }
    }

    fn check_new(&self, runs: &dyn Seen) -> Result<(), Broken> {
        match self.bench.new.as_deref() {
            Some(new) if runs.is(new) => Ok(()),
            Some(new) => Err(Broken::SuccessWithoutNew {
                runs: Shown(runs).to_string(),
                expected: Some(Shown(new).to_string()),
            }),
            None if runs.is(&*self.bench.old) => Err(Broken::SuccessWithoutNew {
                runs: Shown(runs).to_string(),
                expected: None,
            }),
            None => Ok(()),
        }
    }
}
