//! Power cuts at every flash operation of whole deployments, the bootloader's included.
//!
//! The deployment is driven as the client does it, with the state machine of its design: the state is stored before the
//! action (here in a variable, which survives a cut), and a stored state leads on after the boot. At the end:
//! *success <=> the new image runs and is confirmed; failure <=> the old image runs*, whatever was cut; without a rollback
//! failure may also be reported as inconsistent.
//!
//! The set that runs always covers each mode on one geometry. `MENDER_LONG_TESTS=1` adds write units, starts and seeds.

use mender_modules::mcuboot::{DirectXip, Error, Overwrite, SwapMove, SwapOffset, SwapScratch};
use mender_testkit::bootloader::{Flag, Magic, Mode, SwapType};
use mender_testkit::flash::{CutAt, FlashError, PowerCut};
use mender_testkit::image::{ImageBuilder, Version};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::device::{Device, Failed, TestMode, V1, V2, V3, download};
use crate::geometry;

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

struct Deployment<'a, const WRITE: usize, M> {
    device: &'a Device<WRITE, 512, M>,
    story: Story,
    cuts: std::vec::IntoIter<PowerCut>,
    stored: Stored,
    /// What runs, as only the bootloader knows.
    runs: Version,
    /// The version of the image that is deployed.
    new: Version,
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

impl<const WRITE: usize, M: TestMode> Deployment<'_, WRITE, M> {
    fn next_cut(&mut self) {
        if let Some(cut) = self.cuts.next() {
            self.device.flash.cut_power(cut);
        }
    }

    /// Power was cut where MCUboot itself loses the old image on its way back. See "Limits" in the module's documentation.
    ///
    /// Swap using offset: the erase of slot 1's trailer, which holds the request, is torn so that copy_done reads as erased
    /// while all of the magic is still there. The request has become one of a test, with an image in the wrong place.
    fn bootloader_loses_the_old_image(&self) -> bool {
        let slot1 = self.device.trailer(1);
        *self.device.boot.mode() == Mode::Offset
            && slot1.magic == Magic::Good
            && (slot1.image_ok, slot1.copy_done) == (Flag::Unset, Flag::Unset)
            && slot1.swap_type != SwapType::Test
    }

    /// Boots until nothing cuts it.
    fn boot(&mut self) {
        loop {
            if !self.device.flash.power_is_on() {
                self.device.flash.restore_power();
                self.next_cut();
            }
            match self.device.try_boot() {
                Ok(outcome) => {
                    self.log.push(format!(
                        "boot: {:?} {:?} {:?}",
                        outcome.ran, outcome.swapped, self.stored
                    ));
                    self.runs = outcome.ran.unwrap_or_else(|| panic!("nothing boots: {:#?}", self.log));
                    if self.stored == Stored::Nothing {
                        assert_eq!(outcome.swapped, SwapType::None, "not meant: {:#?}", self.log);
                        assert_eq!(outcome.ran, Some(V1));
                    }
                    return;
                }
                Err(FlashError::PowerLost) if self.bootloader_loses_the_old_image() => return,
                Err(FlashError::PowerLost) => self.log.push("boot: cut".into()),
                Err(error) => panic!("{error}: {:#?}", self.log),
            }
        }
    }

    /// The result of a callback, or `None` if the power went. What it says of the image that runs must be true.
    fn done(&mut self, what: &str, result: Result<(), Failed>) -> Option<Result<(), Failed>> {
        self.log.push(format!("{what}: {result:?}"));
        if !self.device.flash.power_is_on() {
            return None;
        }
        let told = match (&result, what) {
            (Ok(()), "verify" | "commit") => Some(self.new),
            (Ok(()), "rollback verify") => Some(V1),
            (Err(Error::OldRuns(_)), _) => Some(V1),
            (Err(Error::NewRuns | Error::AlreadyConfirmed), _) => Some(self.new),
            _ => None,
        };
        if let Some(told) = told {
            assert_eq!(told, self.runs, "the module is wrong about what runs: {:#?}", self.log);
        }
        Some(result)
    }

    /// Success or failure, or `None` after a cut in the bootloader's own weak moment.
    fn run(&mut self) -> Option<bool> {
        self.next_cut();
        for _ in 0..40 {
            match self.firmware() {
                Some(End::Done { success }) => return Some(success),
                Some(End::Boot) | None if self.bootloader_loses_the_old_image() => return None,
                Some(End::Boot) | None => self.boot(),
            }
        }
        panic!("no end: {:#?}", self.log);
    }

    /// Where a failure leads.
    fn back(&mut self) -> Stored {
        if M::REVERTS {
            return Stored::Rollback;
        }
        self.inconsistent = true;
        Stored::Failure
    }

    fn firmware(&mut self) -> Option<End> {
        let mut module = self.device.module();
        if let Stored::Install = self.stored {
            self.stored = Stored::Verify;
        }
        if let Stored::Commit = self.stored {
            self.stored = self.back();
        }
        // The bootloader may have installed what `failure` was about to withdraw.
        if self.stored == Stored::Failure && !M::REVERTS {
            self.inconsistent = true;
        }
        loop {
            match self.stored {
                Stored::Nothing => {
                    let mut source = MemoryPayload::new("zephyr-image", 600).file("app.bin", (self.device.image)(V2));
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
                        Ok(()) if self.story == Story::NoRestart => {
                            self.stored = if M::REVERTS { Stored::Rollback } else { Stored::Failure };
                        }
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
                        Ok(()) if self.story == Story::NotCommitted => self.back(),
                        Ok(()) => Stored::Commit,
                        Err(Error::OldRuns(_)) if !M::REVERTS => Stored::Failure,
                        Err(_) => self.back(),
                    };
                }
                Stored::Commit => {
                    let result = block_on(module.confirm());
                    self.stored = match self.done("commit", result)? {
                        Ok(()) if self.story == Story::FailsAfterConfirm => self.back(),
                        Ok(()) => Stored::Cleanup { success: true },
                        Err(_) => self.back(),
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
fn deploy<const WRITE: usize, M: TestMode>(
    start: &Device<WRITE, 512, M>,
    story: Story,
    cuts: Vec<PowerCut>,
) -> Option<(u64, bool)> {
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
        runs: V1,
        new: start.new_version(),
        inconsistent: false,
        log: Vec::new(),
    };
    let success = deployment.run()?;
    let (inconsistent, runs, log) = (deployment.inconsistent, deployment.runs, deployment.log);
    device.flash.restore_power();
    let operations = device.flash.operations();
    let case = format!("{case}: {log:#?}");
    assert!(!inconsistent || (!M::REVERTS && !success), "{case}");
    // bootutil sets copy_done in a cell that a torn erase has left unfit to be written, and does not mind.
    let mut violations = device.flash.violations();
    if *device.boot.mode() == Mode::DirectXip {
        let max_align = device.boot.max_align();
        let from_end = 16u32.next_multiple_of(max_align) + 2 * max_align;
        let (slot0, slot1) = (device.boot.layout().slot0.end, device.boot.layout().slot1.end);
        let cells = [slot0, slot1].map(|end| FlashError::NotErased { offset: end - from_end });
        violations.retain(|violation| !cells.contains(violation));
    }
    assert_eq!(violations, [], "{case}");
    assert!(device.is_settled() || inconsistent, "a request is left: {case}");
    let wanted = if success {
        device.new_version()
    } else if inconsistent {
        runs
    } else {
        V1
    };
    assert_eq!(device.version(device.running.get()), Some(wanted), "{case}");
    for _ in 0..2 {
        let boot = device.boots();
        assert_eq!((boot.ran, boot.swapped), (Some(wanted), SwapType::None), "{case}");
    }
    // The device can be updated again.
    let mut module = device.module();
    let source = MemoryPayload::new("zephyr-image", 1000).file("app.bin", (device.image)(V3));
    download(&mut module, source).unwrap_or_else(|error| panic!("{error}: {case}"));
    assert_eq!(block_on(module.request_swap()), Ok(()), "{case}");
    assert_eq!(device.boots().ran, Some(V3), "{case}");
    assert_eq!(block_on(device.module().check_swapped()), Ok::<(), Error>(()), "{case}");
    Some((operations, success))
}

fn long() -> bool {
    std::env::var_os("MENDER_LONG_TESTS").is_some()
}

fn cut_everywhere<const WRITE: usize, M: TestMode>(start: &Device<WRITE, 512, M>) {
    let (mut done, mut forgotten) = (0, 0);
    let seeds = if long() { 24 } else { 4 };
    // The bootloader cannot refuse one of two equal images.
    let equal = start.new_version() == V1;
    for story in STORIES.into_iter().filter(|story| !equal || *story != Story::Refused) {
        let (operations, success) = deploy(start, story, Vec::new()).expect("no cut");
        assert_eq!(success, story == Story::Success);
        for operation in 1..=operations {
            let mut ats = vec![CutAt::Before, CutAt::After];
            ats.extend((0..seeds).map(|i| CutAt::Within {
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
        done > 300 && forgotten <= done / 500,
        "{done} done, {forgotten} forgotten by the bootloader"
    );
}

fn cut() -> impl Strategy<Value = PowerCut> {
    let at = prop_oneof![
        Just(CutAt::Before),
        Just(CutAt::After),
        any::<u64>().prop_map(|seed| CutAt::Within { seed })
    ];
    (1u64..60, at).prop_map(|(operation, at)| PowerCut { operation, at })
}

/// Several cuts in one deployment, from every start. `SEED` chooses others.
fn cut_several_times<const WRITE: usize, M: TestMode>(starts: &[Device<WRITE, 512, M>]) {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::with_cases(if long() { 20_000 } else { 500 })
    });
    let cases = (
        0..STORIES.len(),
        0..starts.len(),
        proptest::collection::vec(cut(), 2..5),
    );
    runner
        .run(&cases, |(story, start, cuts)| {
            deploy(&starts[start], STORIES[story], cuts);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// The starts that leave different trailers.
fn starts<const WRITE: usize, M: TestMode>() -> Vec<Device<WRITE, 512, M>> {
    let mut starts = vec![Device::factory(), Device::updated()];
    if M::REVERTS {
        starts.push(Device::reverted());
    }
    starts
}

/// One write unit of a mode: from an updated device always, from all starts in the long set.
fn everywhere<const WRITE: usize, M: TestMode>() {
    if long() {
        for start in starts::<WRITE, M>() {
            cut_everywhere(&start);
        }
    } else {
        cut_everywhere(&Device::<WRITE, 512, M>::updated());
    }
}

/// Write units that the short set leaves out.
fn other_units<M: TestMode>() {
    if long() {
        everywhere::<1, M>();
        everywhere::<2, M>();
        everywhere::<4, M>();
        everywhere::<16, M>();
        everywhere::<32, M>();
    }
}

macro_rules! in_mode {
    ($($name:ident, $mode:ident;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn a_cut_anywhere_from_a_factory_image() {
                cut_everywhere(&Device::<8, 512, $mode>::factory());
            }

            #[test]
            fn a_cut_anywhere_from_an_updated_image() {
                cut_everywhere(&Device::<8, 512, $mode>::updated());
            }

            #[test]
            fn a_cut_anywhere_from_a_reverted_image() {
                if <$mode as mender_modules::mcuboot::Mode>::REVERTS {
                    cut_everywhere(&Device::<8, 512, $mode>::reverted());
                }
            }

            #[test]
            fn a_cut_anywhere_with_other_write_units() {
                other_units::<$mode>();
            }

            #[test]
            fn several_cuts() {
                cut_several_times(&starts::<8, $mode>());
            }
        }
    )*};
}

in_mode! {
    by_move, SwapMove;
    by_offset, SwapOffset;
    by_scratch, SwapScratch;
    overwriting, Overwrite;
    in_place, DirectXip;
}

/// A magic of sixteen write units can be torn at more places than one of two.
#[test]
fn a_cut_anywhere_on_flash_written_by_the_byte() {
    everywhere::<1, SwapMove>();
    everywhere::<1, SwapOffset>();
}

#[test]
fn a_cut_anywhere_on_flash_written_by_the_word() {
    everywhere::<4, SwapMove>();
}

#[test]
fn a_cut_anywhere_on_flash_with_large_units() {
    everywhere::<16, SwapOffset>();
    everywhere::<32, SwapMove>();
    everywhere::<32, DirectXip>();
}

/// Overwrite-only with images of less than a sector: the bootloader erases all of them in slot 1. In slots of two sectors it does
/// so with any image.
#[test]
fn a_cut_anywhere_while_a_sector_is_overwritten() {
    for (sectors, whole, image) in [
        (7, false, (|version| built(version, 400)) as fn(Version) -> Vec<u8>),
        (7, true, |version| built(version, 512)),
        (2, false, |version| built(version, 900)),
    ] {
        let blank = || {
            let mut device = geometry::blank::<8, 512, Overwrite>((sectors, sectors), 8);
            if whole {
                device.boot = device.boot.with_mode(Mode::Overwrite { fast: false });
            }
            Device { image, ..device }
        };
        cut_everywhere(&blank().into_factory());
        cut_everywhere(&blank().into_updated());
    }
}

fn built(version: Version, len: usize) -> Vec<u8> {
    ImageBuilder::new(version).image_len(len).build()
}

/// The images that reach into the sector of the note, which then is not written: the rules without one decide.
fn without_note<const WRITE: usize, M: TestMode>(sectors: (u32, u32), image: fn(Version) -> Vec<u8>) {
    let blank = || Device {
        image,
        ..geometry::blank::<WRITE, 512, M>(sectors, (WRITE as u32).max(8))
    };
    for start in [blank().into_factory(), blank().into_updated(), blank().into_reverted()] {
        let received = start.copy();
        received.download(&image(V2)).unwrap();
        let slot1 = received.slot(1);
        assert!(!slot1.chunks(512).any(|sector| sector.starts_with(b"mender new image")));
        cut_everywhere(&start);
    }
}

#[test]
fn a_cut_anywhere_without_a_note() {
    without_note::<8, SwapMove>((7, 6), |version| built(version, 5 * 512));
    without_note::<8, SwapOffset>((7, 7), |version| built(version, 5 * 512));
    without_note::<8, SwapScratch>((7, 7), |version| built(version, 5 * 512 + 100));
}

/// There is no note either if the image that comes is the one that runs.
#[test]
fn a_cut_anywhere_with_the_same_image() {
    fn same(version: Version) -> Vec<u8> {
        let version = if version == V2 { V1 } else { version };
        built(version, 1200 + 300 * usize::from(version.major))
    }
    without_note::<8, SwapMove>((7, 7), same);
    without_note::<8, SwapOffset>((7, 8), same);
    without_note::<8, SwapScratch>((7, 7), same);
}
