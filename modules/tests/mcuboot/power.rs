//! Power cuts at every flash operation of whole deployments, the bootloader's included.
//!
//! The deployment is driven as the client does it, with the state machine of its design: the state is stored before the
//! action (here in a variable, which survives a cut), and a stored state leads on after the boot. At the end:
//! *success <=> the new image runs and is confirmed; failure <=> the old image runs*, whatever was cut.

use mender_modules::mcuboot::Error;
use mender_testkit::bootloader::{Flag, Magic, SwapType, decide};
use mender_testkit::flash::{CutAt, FlashError, PowerCut};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::device::{Device, Failed, Small, V1, V2, V3, download, image};

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
    /// The bootloader refuses the image's signature.
    Refused,
    /// The download has a second file.
    BadPayload,
}

const STORIES: [Story; 6] = [
    Story::Success,
    Story::NoRestart,
    Story::NotCommitted,
    Story::FailsAfterConfirm,
    Story::Refused,
    Story::BadPayload,
];

/// What is stored. The comment says where a boot goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    /// The download, from its beginning.
    Nothing,
    /// Verify_reboot: a reboot has happened.
    Install,
    Verify,
    /// Rollback.
    Commit,
    Rollback,
    RollbackVerify,
    Failure,
    Cleanup {
        success: bool,
    },
}

struct Deployment<'a, const WRITE: usize> {
    device: &'a Device<WRITE, 512>,
    story: Story,
    cuts: std::vec::IntoIter<PowerCut>,
    stored: Stored,
    inconsistent: bool,
    log: Vec<String>,
}

/// The end of one run of the firmware.
enum End {
    /// Restart, wanted or not.
    Boot,
    Done {
        success: bool,
    },
}

impl<const WRITE: usize> Deployment<'_, WRITE> {
    fn next_cut(&mut self) {
        if let Some(cut) = self.cuts.next() {
            self.device.flash.cut_power(cut);
        }
    }

    /// MCUboot on its way back erases slot 1's trailer, which asks for a permanent swap. If that erase is torn so that image_ok
    /// reads as erased while all of the magic, eight bytes further, is still there, the request has become one of a test, and
    /// the bootloader reverts the way back at the next boot. See "Limits" in the module's documentation.
    fn bootloader_forgets(&self) -> bool {
        let (slot0, slot1) = (self.device.trailer(0), self.device.trailer(1));
        let way_back = matches!(slot0.swap_type, SwapType::Permanent | SwapType::Revert)
            && slot0.magic == Magic::Good
            && slot0.copy_done == Flag::Unset;
        way_back && slot1.magic == Magic::Good && slot1.image_ok == Flag::Unset && slot1.swap_type != SwapType::Test
    }

    /// Boots until nothing cuts it.
    fn boot(&mut self) {
        loop {
            if !self.device.flash.power_is_on() {
                self.device.flash.restore_power();
                self.next_cut();
            }
            match self.device.boot.boot(&self.device.flash) {
                Ok(outcome) => {
                    self.log.push(format!(
                        "boot: {:?} {:?} {:?}",
                        outcome.ran, outcome.swapped, self.stored
                    ));
                    assert!(outcome.ran.is_some(), "nothing boots: {:#?}", self.log);
                    if self.stored == Stored::Nothing {
                        assert_eq!(outcome.swapped, SwapType::None, "not meant: {:#?}", self.log);
                        assert_eq!(outcome.ran, Some(V1));
                    }
                    return;
                }
                Err(FlashError::PowerLost) if self.bootloader_forgets() => return,
                Err(FlashError::PowerLost) => self.log.push("boot: cut".into()),
                Err(error) => panic!("{error}: {:#?}", self.log),
            }
        }
    }

    /// The result of a callback, or `None` if the power went.
    fn done(&mut self, what: &str, result: Result<(), Failed>) -> Option<Result<(), Failed>> {
        self.log.push(format!("{what}: {result:?}"));
        self.device.flash.power_is_on().then_some(result)
    }

    /// Success or failure, or `None` after a cut in the bootloader's own weak moment.
    fn run(&mut self) -> Option<bool> {
        self.next_cut();
        for _ in 0..40 {
            match self.firmware() {
                Some(End::Done { success }) => return Some(success),
                Some(End::Boot) | None if self.bootloader_forgets() => return None,
                Some(End::Boot) | None => self.boot(),
            }
        }
        panic!("no end: {:#?}", self.log);
    }

    fn firmware(&mut self) -> Option<End> {
        let mut module = self.device.module();
        if let Stored::Install = self.stored {
            self.stored = Stored::Verify;
        }
        if let Stored::Commit = self.stored {
            self.stored = Stored::Rollback;
        }
        loop {
            match self.stored {
                Stored::Nothing => {
                    let mut source = MemoryPayload::new("zephyr-image", 600).file("app.bin", image(V2));
                    if self.story == Story::BadPayload {
                        source = source.file("second", [0; 10]);
                    }
                    let result = download(&mut module, source);
                    let result = self.done("download", result)?;
                    if result.is_err() {
                        self.stored = Stored::Cleanup { success: false };
                        continue;
                    }
                    self.stored = Stored::Install;
                }
                Stored::Install => {
                    let result = block_on(module.request_swap());
                    match self.done("install", result)? {
                        Ok(()) if self.story == Story::NoRestart => self.stored = Stored::Rollback,
                        Ok(()) => {
                            self.stored = Stored::Verify;
                            return Some(End::Boot);
                        }
                        Err(_) => self.stored = Stored::Failure,
                    }
                }
                Stored::Verify => {
                    let result = block_on(module.check_swapped());
                    self.stored = match self.done("verify", result)? {
                        Ok(()) if self.story == Story::NotCommitted => Stored::Rollback,
                        Ok(()) => Stored::Commit,
                        Err(_) => Stored::Rollback,
                    };
                }
                Stored::Commit => {
                    let result = block_on(module.confirm());
                    self.stored = match self.done("commit", result)? {
                        Ok(()) if self.story == Story::FailsAfterConfirm => Stored::Rollback,
                        Ok(()) => Stored::Cleanup { success: true },
                        Err(_) => Stored::Rollback,
                    };
                }
                Stored::Rollback => {
                    let result = block_on(module.request_revert());
                    match self.done("rollback", result)? {
                        Ok(()) => {
                            self.stored = Stored::RollbackVerify;
                            return Some(End::Boot);
                        }
                        Err(_) => {
                            self.inconsistent = true;
                            self.stored = Stored::Failure;
                        }
                    }
                }
                Stored::RollbackVerify => {
                    let result = block_on(module.check_reverted());
                    match self.done("rollback verify", result)? {
                        Ok(()) => self.stored = Stored::Failure,
                        Err(_) => return Some(End::Boot),
                    }
                }
                Stored::Failure => {
                    let result = block_on(module.discard());
                    let _ = self.done("failure", result)?;
                    self.stored = Stored::Cleanup { success: false };
                }
                Stored::Cleanup { success } => {
                    let result = block_on(module.discard());
                    assert_eq!(self.done("cleanup", result)?, Ok(()));
                    return Some(End::Done { success });
                }
            }
        }
    }
}

/// One deployment with cuts; checks the end, and gives the number of flash operations and whether it succeeded, or `None`
/// if it ended in the bootloader's weak moment.
fn deploy<const WRITE: usize>(start: &Device<WRITE, 512>, story: Story, cuts: Vec<PowerCut>) -> Option<(u64, bool)> {
    let mut device = start.copy();
    if story == Story::Refused {
        device.boot = device.boot.refusing(V2);
    }
    let case = format!("{story:?}, {cuts:?}");
    let mut deployment = Deployment {
        device: &device,
        story,
        cuts: cuts.into_iter(),
        stored: Stored::Nothing,
        inconsistent: false,
        log: Vec::new(),
    };
    let success = deployment.run()?;
    let (inconsistent, log) = (deployment.inconsistent, deployment.log);
    device.flash.restore_power();
    let operations = device.flash.operations();
    let case = format!("{case}: {log:#?}");
    assert!(!inconsistent, "{case}");
    assert_eq!(device.flash.violations(), [], "{case}");
    assert_eq!(
        decide(&device.trailer(0), &device.trailer(1)),
        SwapType::None,
        "a request is left: {case}"
    );
    let wanted = if success { V2 } else { V1 };
    assert_eq!(device.version(0), Some(wanted), "{case}");
    for _ in 0..2 {
        let boot = device.boot.boot(&device.flash).unwrap();
        assert_eq!((boot.ran, boot.swapped), (Some(wanted), SwapType::None), "{case}");
    }
    // The device can be updated again.
    device
        .download(&image(V3))
        .unwrap_or_else(|error| panic!("{error}: {case}"));
    assert_eq!(block_on(device.module().request_swap()), Ok(()), "{case}");
    assert_eq!(device.boots().ran, Some(V3), "{case}");
    assert_eq!(
        block_on(device.module().check_swapped()),
        Ok::<(), Error<_, _>>(()),
        "{case}"
    );
    Some((operations, success))
}

fn cut_everywhere<const WRITE: usize>(start: &Device<WRITE, 512>) {
    let (mut done, mut forgotten) = (0, 0);
    for story in STORIES {
        let (operations, success) = deploy(start, story, Vec::new()).expect("no cut");
        assert_eq!(success, story == Story::Success);
        for operation in 1..=operations {
            let mut ats = vec![CutAt::Before, CutAt::After];
            ats.extend((0..6).map(|i| CutAt::Within {
                seed: operation * 100 + i,
            }));
            for at in ats {
                match deploy(start, story, vec![PowerCut { operation, at }]) {
                    Some(_) => done += 1,
                    None => forgotten += 1,
                }
            }
        }
    }
    assert!(
        done > 1000 && forgotten <= done / 500,
        "{done} done, {forgotten} forgotten by the bootloader"
    );
}

#[test]
fn a_cut_anywhere_from_a_factory_image() {
    cut_everywhere(&Small::factory());
}

#[test]
fn a_cut_anywhere_from_an_updated_image() {
    cut_everywhere(&Small::updated());
}

#[test]
fn a_cut_anywhere_from_a_reverted_image() {
    cut_everywhere(&Small::reverted());
}

/// A magic of sixteen write units can be torn at more places than one of two.
#[test]
fn a_cut_anywhere_on_flash_written_by_the_byte() {
    cut_everywhere(&Device::<1, 512>::updated());
}

#[test]
fn a_cut_anywhere_on_flash_written_by_the_word() {
    cut_everywhere(&Device::<4, 512>::updated());
}

fn cut() -> impl Strategy<Value = PowerCut> {
    let at = prop_oneof![
        Just(CutAt::Before),
        Just(CutAt::After),
        any::<u64>().prop_map(|seed| CutAt::Within { seed })
    ];
    (1u64..60, at).prop_map(|(operation, at)| PowerCut { operation, at })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(std::env::var("SEED").map_or(1, |seed| seed.parse().expect("a number"))),
        ..ProptestConfig::with_cases(1000)
    })]
    #[test]
    fn several_cuts(story in 0..STORIES.len(), start in 0..3, cuts in proptest::collection::vec(cut(), 2..5)) {
        let start = match start {
            0 => Small::factory(),
            1 => Small::updated(),
            _ => Small::reverted(),
        };
        deploy(&start, STORIES[story], cuts);
    }
}
