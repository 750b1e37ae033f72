//! The boards on which scenarios begin, each with a server that knows it and a deployment waiting.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mender::UpdateModule;

use super::board::{Board, Seen};
use super::case::Case;
use super::play::{Goal, Player, Stop};
use super::scenario::{Disturbance, Ground, Scenario};
use super::violation::Violation;
use super::witness::{MAC, Stage, Trace};
use super::{ModuleTest, Sight};
use crate::network::{SharedServer, SimNetwork, lock};
use crate::server::{DeploymentId, DeviceId, Effect, Ending, Fault, Server, Settings};
use crate::time::VirtualClock;

pub(super) const DEVICE_TYPE: &str = "sim-board";

/// What a deployment brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Release {
    /// What the factory put on the board.
    Factory,
    /// What the test says is deployed.
    First,
    /// Something else than that.
    Next,
}

impl Release {
    /// The artifact's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Release::Factory => "release-1",
            Release::First => "release-2",
            Release::Next => "release-3",
        }
    }
}

/// A board and a server that know each other, with a deployment waiting. Copied for each case.
pub(super) struct Bench<const WRITE: usize, const SECTOR: usize> {
    pub(super) ground: Ground,
    pub(super) board: Board<WRITE, SECTOR>,
    pub(super) server: Server,
    pub(super) elapsed: Duration,
    pub(super) deployment: DeploymentId,
    pub(super) device: DeviceId,
    /// Where the payload's data are in the artifact.
    payload_at: Option<usize>,
    /// The name of what runs, and of what is deployed.
    pub(super) names: (&'static str, &'static str),
    pub(super) old: Box<dyn Seen>,
    /// What the new software looks like, once that is known.
    pub(super) new: Option<Box<dyn Seen>>,
}

impl<M: UpdateModule, const WRITE: usize, const SECTOR: usize> ModuleTest<M, WRITE, SECTOR> {
    /// A new board: brought into service, with the first deployment waiting.
    pub(super) fn new_board(&self) -> Result<Bench<WRITE, SECTOR>, Box<Violation>> {
        let board = Board::new(self.sectors);
        (self.factory)(&board);
        board.chip().reset_counters();
        let mut server = Server::new(Settings {
            auto_accept: true,
            ..Settings::default()
        });
        // Nobody looks at them here, and the server is copied often.
        server.settings_mut().record_limit = 0;
        let server: SharedServer = Arc::new(Mutex::new(server));
        let clock = VirtualClock::new();
        if let Err(error) = (self.boot)(&board) {
            panic!("the bootloader hook fails on the board as it left the factory: {error}");
        }
        let old = (self.look)(&board);
        let stage = Stage {
            board,
            clock: clock.clone(),
            network: SimNetwork::new(Arc::clone(&server), clock.clone()),
            server: Arc::clone(&server),
            trace: Trace::shared(),
            scenario: None.into(),
            deployment: DeploymentId::from(String::new()).into(),
            look: &*self.look,
            old: &*old,
        };
        let mut player = Player::new(self, &stage);
        if let Err(Stop::Broken(broken)) = player.run(Goal::Inventory) {
            return Err(self.violation(broken, Case::of(&Scenario::registration(), &[]), &stage, Vec::new()));
        }
        let device = lock(&server)
            .find_device("mac", MAC)
            .map(|device| device.id().clone())
            .expect("the device has registered");
        Ok(self.waiting(Ground::New, &stage, device))
    }

    /// A board that has been through a deployment, at its end: the next ground.
    pub(super) fn waiting(
        &self,
        ground: Ground,
        stage: &Stage<'_, WRITE, SECTOR>,
        device: DeviceId,
    ) -> Bench<WRITE, SECTOR> {
        let (from, to) = ground.releases();
        let mut server = lock(&stage.server).clone();
        let artifact = self.artifact_bytes(to);
        let payload_at = last_payload_byte(&artifact);
        let now = stage.clock.date();
        if server.artifacts().all(|known| known.info().name != to.name()) {
            server.add_artifact(artifact, now).expect("a good artifact");
        }
        let deployment = server
            .deploy(to.name(), std::slice::from_ref(&device), now)
            .expect("a good deployment");
        let old = (self.look)(&stage.board);
        let new: Option<Box<dyn Seen>> = match &self.sight {
            Sight::Knows => Some(Box::new(match to {
                Release::Factory => super::Runs::Old,
                Release::First => super::Runs::New,
                Release::Next => super::Runs::Next,
            })),
            // There is but one thing to see.
            Sight::ChangesNothing => Some((self.look)(&stage.board)),
            Sight::Learns | Sight::None => None,
        };
        Bench {
            ground,
            board: stage.board.fork(),
            server,
            elapsed: stage.clock.elapsed(),
            deployment,
            device,
            payload_at,
            names: (from.name(), to.name()),
            old,
            new,
        }
    }
}

impl<const WRITE: usize, const SECTOR: usize> Bench<WRITE, SECTOR> {
    /// Whether the artifact has data that can be damaged on their way.
    pub(super) fn has_payload(&self) -> bool {
        self.payload_at.is_some()
    }

    /// What a scenario does to downloads.
    pub(super) fn disturb_download(&self, stage: &Stage<'_, WRITE, SECTOR>, scenario: &Scenario) {
        let Some(offset) = self.payload_at else { return };
        let mut server = lock(&stage.server);
        for disturbance in &scenario.disturbances {
            match disturbance {
                Disturbance::DamagePayload => {
                    stage.network.add_to_history("damaged");
                    server.inject(Fault::new(Effect::FlipBit { offset }).on_downloads().always());
                }
                Disturbance::BreakDownload => {
                    let cut = Effect::CutBody {
                        len: offset,
                        ending: Ending::Reset,
                    };
                    stage.network.add_to_history("broken");
                    server.inject(Fault::new(cut).on_downloads());
                    server.inject(Fault::new(Effect::LoseAnswer).on_downloads().after(1).always());
                }
                Disturbance::Callback { .. }
                | Disturbance::Abort { .. }
                | Disturbance::RefuseCommit
                | Disturbance::LoseServer
                | Disturbance::DeadFirmware { .. } => {}
            }
        }
    }
}

/// Where the last byte of the artifact's payload is: the artifact is a tar whose last entry is a tar with the files.
fn last_payload_byte(artifact: &[u8]) -> Option<usize> {
    let mut outer = tar::Archive::new(artifact);
    let data = outer.entries().ok()?.filter_map(Result::ok).last()?;
    let (start, len) = (data.raw_file_position() as usize, data.size() as usize);
    let bytes = artifact.get(start..start + len)?;
    let mut inner = tar::Archive::new(bytes);
    let last = inner
        .entries()
        .ok()?
        .filter_map(Result::ok)
        .filter(|file| file.size() > 0)
        .last()?;
    Some(start + (last.raw_file_position() + last.size()) as usize - 1)
}
