//! Power cuts at every flash operation of whole deployments, the bootloader's included.
//!
//! At the end: *success <=> the new image runs and is confirmed; failure <=> the old image runs*, whatever was cut.

use embassy_boot::BootError;
use mender::deployment::{Action, Event};
use mender::update_module::CallbackState;
use mender_testkit::flash::{CutAt, PowerCut};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::device::{Device, Module, PAGES, Request, image};
use crate::support::{Outcome, Surroundings, deploy};

/// What goes wrong besides the power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    Success,
    /// The restart after install fails: rollback while the request is pending.
    NoRestart,
    /// The new software does not reach the server: rollback under test.
    NotCommitted,
    /// The image was confirmed, but the commit fails all the same: rollback after a confirmation.
    FailsAfterConfirm,
    /// The watchdog restarts the new software before it has looked: the bootloader reverts.
    Crashes,
    /// The download has a second file.
    BadPayload,
}

const STORIES: [Story; 6] = [
    Story::Success,
    Story::NoRestart,
    Story::NotCommitted,
    Story::FailsAfterConfirm,
    Story::Crashes,
    Story::BadPayload,
];

struct Run<const WRITE: usize> {
    device: Device<WRITE>,
    story: Story,
    cuts: std::vec::IntoIter<PowerCut>,
    /// At the last start of bootloader or firmware.
    before: Request,
    crashed: bool,
}

impl<const WRITE: usize> Run<WRITE> {
    fn next_cut(&mut self) {
        if let Some(cut) = self.cuts.next() {
            self.device.flash.cut_power(cut);
        }
    }

    fn request(&self) -> Request {
        Request::of(&self.device.state().to_bytes(), WRITE)
    }

    /// See "Limits" in the module's documentation: an image was swapped in, and a cut within the erase that was to end this
    /// has left the request of a new swap, of images that are not where it expects them.
    fn bootloader_forgets(&self) -> bool {
        match (self.before, self.request()) {
            (Request::Swap { steps: before }, Request::Swap { steps }) => {
                // After the swap back a "revert" that is torn into "swap" asks for no more than the first time.
                let once_more = steps == 0 && self.device.runs() == Some(1);
                before >= 2 * PAGES && steps < 2 * PAGES && !once_more
            }
            (Request::None, _) | (_, Request::None) => false,
        }
    }
}

impl<const WRITE: usize> Surroundings for Run<WRITE> {
    type Module = Module<WRITE>;

    fn start(&mut self) -> Module<WRITE> {
        self.before = self.request();
        self.device.module()
    }

    fn restart(&mut self) -> bool {
        loop {
            if self.is_down() {
                if self.bootloader_forgets() {
                    return false;
                }
                self.device.flash.restore_power();
                self.next_cut();
            }
            self.before = self.request();
            match self.device.boots() {
                Ok(_) if self.story == Story::Crashes && !self.crashed && self.device.runs() == Some(2) => {
                    self.crashed = true;
                }
                Ok(_) => {
                    let runs = self.device.runs();
                    assert!(runs == Some(1) || runs == Some(2), "a broken image runs");
                    return true;
                }
                Err(BootError::Flash(_)) if self.is_down() => {}
                Err(error) => panic!("{error:?}: {:?}", self.device.flash.violations()),
            }
        }
    }

    fn is_down(&self) -> bool {
        !self.device.flash.power_is_on()
    }

    fn payload(&self) -> MemoryPayload {
        let source = MemoryPayload::new("embassy-boot-image", 600).file("app.bin", image(2));
        match self.story {
            Story::BadPayload => source.file("second", [0; 10]),
            Story::Success | Story::NoRestart | Story::NotCommitted | Story::FailsAfterConfirm | Story::Crashes => {
                source
            }
        }
    }

    fn answer(&mut self, action: Action, event: Event) -> Event {
        match (self.story, action) {
            (Story::NoRestart, Action::Call(CallbackState::Reboot)) => Event::Failed,
            (Story::NotCommitted, Action::CommitGate) => Event::Failed,
            (Story::FailsAfterConfirm, Action::Call(CallbackState::Commit)) => Event::Failed,
            (_, _) => event,
        }
    }
}

/// One deployment with cuts; checks the end, and gives the number of flash operations and how it ended, or `None`
/// if it came into the bootloader's weak moment.
fn update<const WRITE: usize>(start: &Device<WRITE>, story: Story, cuts: Vec<PowerCut>) -> Option<(u64, Outcome)> {
    let case = format!("{story:?}, {cuts:?}");
    let mut run = Run {
        device: start.copy(),
        story,
        cuts: cuts.into_iter(),
        before: Request::None,
        crashed: false,
    };
    run.next_cut();
    let outcome = deploy(&mut run)?;
    let device = run.device;
    device.flash.restore_power();
    let operations = device.flash.operations();
    let case = format!("{case}: {}", outcome.log);
    assert!(!outcome.inconsistent, "{case}");
    let wanted = if outcome.succeeded() { 2 } else { 1 };
    for _ in 0..3 {
        assert_eq!(device.runs(), Some(wanted), "{case}");
        device.boots().unwrap();
    }
    // The device can be updated again.
    device.download(&image(3)).expect(&case);
    block_on(device.module().request_swap()).expect(&case);
    device.boots().unwrap();
    assert_eq!(device.runs(), Some(3), "{case}");
    block_on(device.module().check_swapped()).expect(&case);
    assert_eq!(device.flash.violations(), [], "{case}");
    Some((operations, outcome))
}

fn cut_everywhere<const WRITE: usize>(start: &Device<WRITE>) {
    let (mut done, mut forgotten) = (0, 0);
    for story in STORIES {
        let (operations, outcome) = update(start, story, Vec::new()).expect("no cut");
        assert_eq!(outcome.succeeded(), story == Story::Success, "{outcome:?}");
        for operation in 1..=operations {
            let mut ats = vec![CutAt::Before, CutAt::After];
            ats.extend((0..5).map(|i| CutAt::Within {
                seed: operation * 100 + i,
            }));
            for at in ats {
                match update(start, story, vec![PowerCut { operation, at }]) {
                    Some(_) => done += 1,
                    None => forgotten += 1,
                }
            }
        }
    }
    println!("{done} cuts, {forgotten} forgotten by the bootloader");
    assert!(done > 2000 && forgotten == 0, "{done}, {forgotten}");
}

#[test]
fn a_cut_anywhere_from_a_factory_image() {
    cut_everywhere(&Device::<4>::factory());
}

#[test]
fn a_cut_anywhere_from_an_updated_image() {
    cut_everywhere(&Device::<4>::updated());
}

#[test]
fn a_cut_anywhere_from_a_reverted_image() {
    cut_everywhere(&Device::<8>::reverted());
}

/// A magic of one byte is the one that can be torn into another.
#[test]
fn a_cut_anywhere_on_flash_written_by_the_byte() {
    cut_everywhere(&Device::<1>::updated());
}

fn cut() -> impl Strategy<Value = PowerCut> {
    let at = prop_oneof![
        Just(CutAt::Before),
        Just(CutAt::After),
        any::<u64>().prop_map(|seed| CutAt::Within { seed })
    ];
    (1u64..90, at).prop_map(|(operation, at)| PowerCut { operation, at })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(std::env::var("SEED").map_or(1, |seed| seed.parse().expect("a number"))),
        ..ProptestConfig::with_cases(600)
    })]
    #[test]
    fn several_cuts(story in 0..STORIES.len(), start in 0..3, cuts in proptest::collection::vec(cut(), 2..5)) {
        let start = match start {
            0 => Device::<4>::factory(),
            1 => Device::updated(),
            _ => Device::reverted(),
        };
        update(&start, STORIES[story], cuts);
    }
}
