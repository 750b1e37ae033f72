//! Proves an update module: every flow of a deployment and every power cut, through the real client.
//!
//! [`ModuleTest`] puts a module into a [`Client`](mender::client::Client) on a simulated board, in virtual time, with the
//! simulated server on the other end, and plays deployments:
//!
//! - one that succeeds, on a new board and on one that has been through a failed deployment (as all that follow);
//! - one for each thing that can go wrong: each callback fails, in the place of the module's code and after it; a reset
//!   out of the blue before and after each callback; an abort by the operator at each report; a server that refuses the
//!   commit, or is lost before it; a damaged payload, a broken download; callbacks that reset each time, up to the client's
//!   limit;
//! - firmware that starts, but never gets as far as its client, because it hangs or resets at once: for modules with a reboot
//!   and a rollback, whose bootloader has to go back by itself;
//! - a second, different update, after one that succeeded and after one that failed;
//! - each of these again with a power cut at each operation on the board's flash and files, the bootloader's included:
//!   before it, within it, after it;
//! - and some with a second cut while the device recovers from the first.
//!
//! Which of the cuts are played: by default a sample of about a thousand, always the same ones. With `MENDER_TESTKIT_ALL=1`
//! every cut of every scenario, and every second cut in the recovery from each cut of four scenarios: success, a refused
//! commit, firmware that hangs, an abort at the commit; of the other second cuts a sample. What a torn operation leaves is
//! always a sample of its possibilities, of as many as [`seeds`](ModuleTest::seeds) says. Cuts that leave the very same
//! state are played, and counted, once: after an operation and before the next is one case, if nothing else happens between
//! them. [`Summary`] has the numbers.
//!
//! At each end the invariant of the client's design must hold: *reported success ⇔ the new software runs and is committed;
//! reported failure ⇔ the old software runs*, or the module could not go back, and the artifact name then says so
//! (`_INCONSISTENT`). "Runs" is what the board runs after two more restarts, so a new image that was never confirmed does
//! not count. Nothing may be active before `install`. The flash chip's rules must be kept. After a failure the same
//! update must work.
//!
//! What is broken is reported with the scenario, the power cut and what it struck, the last events, and a line that
//! replays just this one: see [`Violation`].
//!
//! A case is not played from its beginning: what a cut would leave is set aside while the scenario is played once, and what
//! is known to follow from equal states is not played again. `explore.rs` and `memo.rs` say why nothing is missed; a test
//! compares both ways cut by cut. Therefore nothing that a module knows may survive a restart but in the board: not in a
//! closure of the test, and not in [`Board::boots`].
//!
//! | file | job |
//! |---|---|
//! | `scenario.rs` | what can go wrong, from the module's table |
//! | `bench.rs` | the boards on which scenarios begin |
//! | `play.rs`, `witness.rs` | a deployment, boot after boot; what is made to happen, and written down |
//! | `judge.rs`, `violation.rs` | whether its end is right; what is said if not |
//! | `explore.rs`, `memo.rs` | the power cuts of a scenario |
//! | `sweep.rs`, `case.rs` | which cases are played; the line that replays one |
//! | `board.rs` | what a module finds |
//!
//! May depend on everything else in the kit, and on the client's public API.

mod bench;
mod board;
mod case;
mod explore;
mod judge;
mod memo;
mod play;
mod scenario;
mod sweep;
mod violation;
mod witness;

use std::fmt;
use std::rc::Rc;

use mender::UpdateModule;

pub use board::{Board, Runs};
pub use case::Case;
pub use scenario::Callback;
pub use violation::{Broken, CutMade, REPLAY_VARIABLE, Violation};

use crate::artifact::ArtifactWriter;
use crate::device::SeededRng;
use crate::flash::FlashError;
use bench::{DEVICE_TYPE, Release};
use board::Seen;
use scenario::{Ground, Scenario};

/// Length of the payload unless another one is given.
const PAYLOAD_LEN: usize = 3000;

/// So many power cuts are played unless changed.
const DEFAULT_BOUND: usize = 1000;

/// A test of the update module `M`, on a board whose chip has a write unit of `WRITE` bytes and sectors of `SECTOR` bytes.
///
/// See the [crate's documentation](crate) for an example, and the [module's](self) for what is played.
///
/// | method | says | unless called |
/// |---|---|---|
/// | [`new`](ModuleTest::new) or [`on_chip`](ModuleTest::on_chip) | how to make the module from what survives a reset | needed |
/// | [`runs`](ModuleTest::runs) or [`observe`](ModuleTest::observe) | which software runs | needed, or [`changes_nothing`](ModuleTest::changes_nothing) |
/// | [`payload`](ModuleTest::payload) or [`artifact`](ModuleTest::artifact) | what is deployed | one file of 3000 bytes |
/// | [`next_payload`](ModuleTest::next_payload) or [`next_artifact`](ModuleTest::next_artifact) | what a second update brings | the first payload, complemented |
/// | [`factory`](ModuleTest::factory) | what is on the board before the first boot | nothing |
/// | [`boot`](ModuleTest::boot) | what the bootloader does | nothing |
/// | [`sectors`](ModuleTest::sectors) | the size of the module's part of the chip | 16 sectors |
/// | [`seed`](ModuleTest::seed), [`bound`](ModuleTest::bound) | which deployments are chosen, and how many | 1, 1000 |
pub struct ModuleTest<M, const WRITE: usize = 4, const SECTOR: usize = 4096> {
    make: Hook<Board<WRITE, SECTOR>, M>,
    look: Hook<Board<WRITE, SECTOR>, Box<dyn Seen>>,
    sight: Sight,
    factory: Hook<Board<WRITE, SECTOR>, ()>,
    boot: Hook<Board<WRITE, SECTOR>, Result<(), FlashError>>,
    excuse: Hook<Board<WRITE, SECTOR>, bool>,
    excuse_dead: Hook<Board<WRITE, SECTOR>, bool>,
    content: Content,
    next: Option<Content>,
    sectors: usize,
    seed: u64,
    seeds: u64,
    few_second_cuts: bool,
    keeps_dead_firmware: bool,
    bound: usize,
    replay: Option<String>,
}

/// What the author says about a board.
type Hook<B, T> = Box<dyn Fn(&B) -> T>;

/// How the kit knows the new software.
enum Sight {
    /// It does not: nothing was said.
    None,
    /// There is none.
    ChangesNothing,
    /// By the deployment in which nothing goes wrong.
    Learns,
    /// The author says it: see [`Runs`].
    Knows,
}

/// What is deployed.
#[derive(Clone)]
enum Content {
    Payload(Vec<u8>),
    Artifact(Rc<dyn Fn(ArtifactWriter) -> ArtifactWriter>),
}

/// What a test has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Scenarios without a power cut.
    pub scenarios: u64,
    /// Deployments: those without a power cut, the update after each of them that failed, and one for each cut.
    pub deployments: u64,
    /// Power cuts, each of which left another state than the others of its scenario.
    pub cuts: u64,
    /// Those of them that struck while the device recovered from another one.
    pub second_cuts: u64,
    /// Cuts that left, to the last bit, what another one of the scenario had left: the same case, played and counted once.
    pub repeated: u64,
    /// Starts of the firmware after a cut that were played; of the others the end was known.
    pub boots: u64,
    /// Resets: the module's own and those out of the blue.
    pub resets: u64,
    /// Power cuts that were not judged: see [`ModuleTest::excuse`].
    pub excused: u64,
    /// Single power cuts that were left out to stay within the [bound](ModuleTest::bound).
    pub left_out: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} scenarios, {} deployments, {} power cuts ({} in a recovery; {} left out, {} the same as others), {} excused",
            self.scenarios, self.deployments, self.cuts, self.second_cuts, self.left_out, self.repeated, self.excused
        )
    }
}

impl<M, const WRITE: usize, const SECTOR: usize> fmt::Debug for ModuleTest<M, WRITE, SECTOR> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleTest")
            .field("sectors", &self.sectors)
            .field("seed", &self.seed)
            .field("bound", &self.bound)
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}

impl<M: UpdateModule> ModuleTest<M> {
    /// A test on a chip with words of 4 bytes and sectors of 4096.
    ///
    /// `make` is called at each boot: it makes the module as the firmware does, from nothing but what survives a restart.
    pub fn new(make: impl Fn(&Board) -> M + 'static) -> Self {
        Self::on_chip(make)
    }
}

impl<M: UpdateModule, const WRITE: usize, const SECTOR: usize> ModuleTest<M, WRITE, SECTOR> {
    /// As [`new`](ModuleTest::new), on another chip: `ModuleTest::<_, 8, 512>::on_chip(...)`.
    pub fn on_chip(make: impl Fn(&Board<WRITE, SECTOR>) -> M + 'static) -> Self {
        ModuleTest {
            make: Box::new(make),
            look: Box::new(|_| Box::new(())),
            sight: Sight::None,
            factory: Box::new(|_| ()),
            boot: Box::new(|_| Ok(())),
            excuse: Box::new(|_| false),
            excuse_dead: Box::new(|_| false),
            content: Content::Payload(default_payload()),
            next: None,
            sectors: 16,
            seed: 1,
            seeds: 1,
            few_second_cuts: false,
            keeps_dead_firmware: false,
            bound: DEFAULT_BOUND,
            replay: None,
        }
    }

    /// Says which software runs, called when the board has booted (after the [`boot`](ModuleTest::boot) hook) and before
    /// `install`. Look at what *is* there, not at what the module believes.
    #[must_use]
    pub fn runs(mut self, look: impl Fn(&Board<WRITE, SECTOR>) -> Runs + 'static) -> Self {
        self.look = Box::new(move |board| Box::new(look(board)));
        self.sight = Sight::Knows;
        self
    }

    /// As [`runs`](ModuleTest::runs), by any value that can be compared: a version, or all of the content. The old software is
    /// what is seen before the deployment, the new one what is seen after the deployment in which nothing goes wrong; they
    /// must differ.
    #[must_use]
    pub fn observe<T: PartialEq + fmt::Debug + 'static>(
        mut self,
        look: impl Fn(&Board<WRITE, SECTOR>) -> T + 'static,
    ) -> Self {
        self.look = Box::new(move |board| Box::new(look(board)));
        self.sight = Sight::Learns;
        self
    }

    /// The module changes nothing but the artifact name: there is nothing to see.
    #[must_use]
    pub fn changes_nothing(mut self) -> Self {
        self.look = Box::new(|_| Box::new(()));
        self.sight = Sight::ChangesNothing;
        self
    }

    /// What the artifact brings: one file, `payload.bin`, with this content.
    #[must_use]
    pub fn payload(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.content = Content::Payload(bytes.into());
        self
    }

    /// What the artifact brings: adds files, meta-data, provides. Name, device type and payload type are set already and must
    /// stay.
    #[must_use]
    pub fn artifact(mut self, fill: impl Fn(ArtifactWriter) -> ArtifactWriter + 'static) -> Self {
        self.content = Content::Artifact(Rc::new(fill));
        self
    }

    /// What a second artifact brings, which must be something else: a deployment of it follows one of the first that succeeded
    /// and one that failed. Unless it is given, it is the [`payload`](ModuleTest::payload) with each byte complemented,
    /// where software is [observed](ModuleTest::observe) and what is deployed was not given by
    /// [`artifact`](ModuleTest::artifact); else there is no second update.
    #[must_use]
    pub fn next_payload(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.next = Some(Content::Payload(bytes.into()));
        self
    }

    /// As [`next_payload`](ModuleTest::next_payload), by the means of [`artifact`](ModuleTest::artifact).
    #[must_use]
    pub fn next_artifact(mut self, fill: impl Fn(ArtifactWriter) -> ArtifactWriter + 'static) -> Self {
        self.next = Some(Content::Artifact(Rc::new(fill)));
        self
    }

    /// What the factory does to the blank board: puts the old software on it.
    #[must_use]
    pub fn factory(mut self, fill: impl Fn(&Board<WRITE, SECTOR>) + 'static) -> Self {
        self.factory = Box::new(fill);
        self
    }

    /// What the bootloader does at each boot, before the firmware starts. Its flash operations are cut too: an error of
    /// [`FlashError::PowerLost`] is passed on, and the board boots again. Use the chip's operations that do not wait
    /// ([`write_now`](crate::flash::SimFlash::write_now) and so on).
    #[must_use]
    pub fn boot(mut self, boot: impl Fn(&Board<WRITE, SECTOR>) -> Result<(), FlashError> + 'static) -> Self {
        self.boot = Box::new(boot);
        self
    }

    /// A documented limit: deployments in which this is true just after a power cut are not judged, but counted in
    /// [`Summary::excused`]. For moments in which a bootloader cannot be helped. A fault of the module may leave the same
    /// in flash: ask what the cut struck ([`cut_operation`](crate::flash::SimFlash::cut_operation)), and who was at work
    /// ([`Board::is_booting`]).
    #[must_use]
    pub fn excuse(mut self, limit: impl Fn(&Board<WRITE, SECTOR>) -> bool + 'static) -> Self {
        self.excuse = Box::new(limit);
        self
    }

    /// As [`excuse`](ModuleTest::excuse), for the scenarios in which the new software does not get as far as its client: what
    /// the bootloader forgets then, no module can remind it of.
    #[must_use]
    pub fn excuse_dead_firmware(mut self, limit: impl Fn(&Board<WRITE, SECTOR>) -> bool + 'static) -> Self {
        self.excuse_dead = Box::new(limit);
        self
    }

    /// A documented limit: the bootloader starts new firmware for ever that does not get as far as its client, so there is no end to
    /// judge. Such scenarios are left out. For bootloaders without a rollback of their own, whose new software can still go back
    /// when it runs.
    #[must_use]
    pub fn keeps_dead_firmware(mut self) -> Self {
        self.keeps_dead_firmware = true;
        self
    }

    fn is_excused(&self, scenario: Option<&Scenario>, board: &Board<WRITE, SECTOR>) -> bool {
        (self.excuse)(board) || scenario.is_some_and(Scenario::has_dead_firmware) && (self.excuse_dead)(board)
    }

    /// The number of sectors for the module.
    #[must_use]
    pub fn sectors(mut self, sectors: usize) -> Self {
        self.sectors = sectors;
        self
    }

    /// Chooses other remains of torn words, and another sample where not all is played.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many remains of each torn operation are tried with `MENDER_TESTKIT_ALL`; one otherwise.
    #[must_use]
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds;
        self
    }

    /// With `MENDER_TESTKIT_ALL`, does without the second cuts in the recovery from *each* cut of the main scenarios, and takes a
    /// sample of them: for the tenth test of the same module on yet another chip.
    #[must_use]
    pub fn few_second_cuts(mut self) -> Self {
        self.few_second_cuts = true;
        self
    }

    /// How many power cuts are played at most, an eighth of them in the recovery from another one. Those of the deployment that
    /// succeeds and of the one that the server refuses to commit come first; of the rest an even sample is taken. All are played
    /// with `MENDER_TESTKIT_ALL=1`.
    #[must_use]
    pub fn bound(mut self, cuts: usize) -> Self {
        self.bound = cuts;
        self
    }

    /// Plays one case only: the line is part of a [`Violation`]. The environment variable [`REPLAY_VARIABLE`] does
    /// the same without a change of code.
    #[must_use]
    pub fn replay(mut self, case: &str) -> Self {
        self.replay = Some(case.to_owned());
        self
    }

    /// Runs the test.
    ///
    /// # Panics
    ///
    /// With the text of the [`Violation`], if there is one; if the test was told too little; if the case to replay
    /// does not exist.
    #[track_caller]
    pub fn run(&self) -> Summary {
        match self.try_run() {
            Ok(summary) => summary,
            Err(violation) => panic!("{violation}"),
        }
    }

    /// Runs the test.
    ///
    /// # Errors
    ///
    /// The first [`Violation`].
    ///
    /// # Panics
    ///
    /// If the test was told too little; if the case to replay does not exist; if the bootloader hook or the factory fails on
    /// the board as it is made.
    pub fn try_run(&self) -> Result<Summary, Box<Violation>> {
        self.check_sight();
        sweep::run(self)
    }

    /// Plays one deployment and says, line by line, what happened: for demonstrations, and for looking closer. `case` is one
    /// of the [`scenarios`](ModuleTest::scenarios), with or without power cuts: `success`, or `success / cut 3 after`.
    ///
    /// # Errors
    ///
    /// The [`Violation`].
    ///
    /// # Panics
    ///
    /// As [`try_run`](ModuleTest::try_run); if there is no such case.
    pub fn play_one(&self, case: &str) -> Result<Vec<String>, Box<Violation>> {
        self.check_sight();
        sweep::play(self, case)
    }

    /// The names of all scenarios of this module, by its table and what was said of a second update.
    pub fn scenarios(&self) -> Vec<String> {
        let scenarios = self.all_scenarios().into_iter();
        scenarios.map(|scenario| scenario.name).collect()
    }

    fn all_scenarios(&self) -> Vec<Scenario> {
        let mut scenarios = scenario::all(&M::DESCRIPTOR);
        scenarios.retain(|scenario| !(self.keeps_dead_firmware && scenario.has_dead_firmware()));
        if self.next_content().is_none() {
            scenarios.retain(|scenario| match scenario.ground {
                Ground::New | Ground::Failed => true,
                Ground::Updated | Ground::OtherFailed => false,
            });
        }
        scenarios
    }

    fn check_sight(&self) {
        if let Sight::None = self.sight {
            panic!("tell the test how to see which software runs: call `runs`, `observe` or `changes_nothing`");
        }
    }

    /// What the second update brings.
    fn next_content(&self) -> Option<Content> {
        match (&self.next, &self.content, &self.sight) {
            (Some(next), _, _) => Some(next.clone()),
            (None, Content::Payload(bytes), Sight::Learns) if !bytes.is_empty() => {
                Some(Content::Payload(bytes.iter().map(|byte| !byte).collect()))
            }
            (None, Content::Payload(_) | Content::Artifact(_), _) => None,
        }
    }

    fn artifact_bytes(&self, release: Release) -> Vec<u8> {
        let writer = ArtifactWriter::new(release.name(), DEVICE_TYPE).payload_type(M::DESCRIPTOR.artifact_type);
        let next = match release {
            Release::Factory | Release::First => None,
            Release::Next => self.next_content(),
        };
        next.as_ref().unwrap_or(&self.content).fill(writer).write()
    }
}

impl Content {
    fn fill(&self, writer: ArtifactWriter) -> ArtifactWriter {
        match self {
            Content::Payload(bytes) => writer.file("payload.bin", bytes),
            Content::Artifact(fill) => fill(writer),
        }
    }
}

/// Bytes without a pattern.
fn default_payload() -> Vec<u8> {
    use rand_core::TryRng;
    let mut bytes = vec![0; PAYLOAD_LEN];
    let Ok(()) = SeededRng::new(0).try_fill_bytes(&mut bytes);
    bytes
}
