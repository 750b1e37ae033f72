//! The module in the real client, with the bootloader's model: the kit's test of update modules.

use mender_modules::Restart;
use mender_modules::esp_ota::{Bootloader, Slot, boot_guard};
use mender_testkit::esp_idf::{EspApp, EspIdf, OtaEntry, ota_state};
use mender_testkit::flash::{FlashError, Rewrites};
use mender_testkit::module_test::{Board, ModuleTest, Summary};
use pollster::block_on;

use crate::device::{Flash, Module, SECTOR, SECTORS, bootloader, image, module, parts, slot, version};

/// A device, and what was done to it before.
#[derive(Clone, Copy, Debug)]
struct Plan {
    how: Bootloader,
    /// Firmware counts its starts.
    guarded: bool,
    /// The slot of the first image, which is what the bootloader chose: the other one is damaged.
    from: Slot,
    /// With otadata as left by a programmer, or as after an update.
    blank: bool,
}

type BoardOf = Board<4, SECTOR>;

/// The slot that runs: the bootloader leaves a mark in no place, so it is asked again, on a copy. It starts what it has started,
/// as the first start of a new image is the only one that it changes anything for.
fn running(map: &EspIdf, flash: &Flash) -> Slot {
    // A bootloader with rollback would give up what runs under test.
    let again = EspIdf {
        rollback: false,
        ..map.clone()
    };
    match again.boot(&flash.fork()) {
        Ok(Some(app)) => slot(app).expect("there is no factory app"),
        Ok(None) | Err(_) => panic!("nothing runs"),
    }
}

impl Plan {
    fn map(&self) -> EspIdf {
        bootloader(self.how == Bootloader::Reverts, false)
    }

    fn boot(&self, board: &BoardOf) -> Result<(), FlashError> {
        // As often as the guard restarts: once.
        for _ in 0..3 {
            let app = self.map().boot(board.chip())?;
            let running = slot(app.expect("something boots")).expect("there is no factory app");
            if !self.guarded {
                return Ok(());
            }
            let mut restarts = 0;
            let (_, mut otadata) = parts(board.chip());
            let guard = block_on(boot_guard(&mut otadata, running, &mut || restarts += 1));
            if guard.is_err() {
                return Err(FlashError::PowerLost);
            }
            if restarts == 0 {
                return Ok(());
            }
        }
        panic!("the guard restarts for ever");
    }

    fn test(self) -> ModuleTest<Module<impl Restart>, 4, SECTOR> {
        let make = move |board: &BoardOf| {
            let running = running(&self.map(), board.chip());
            module(board.chip(), running, self.how, board.restart())
        };
        let test = ModuleTest::<_, 4, SECTOR>::on_chip(make)
            .sectors(SECTORS)
            .factory(move |board| {
                board.chip().set_rewrites(Rewrites::ClearBits);
                board
                    .chip()
                    .patch(self.map().slots[self.from as usize].start, &image(1));
                if !self.blank {
                    let seq = if self.from == Slot::Ota0 { 5 } else { 6 };
                    let valid = OtaEntry::new(seq, ota_state::VALID).to_bytes();
                    let aborted = OtaEntry::new(seq + 1, ota_state::ABORTED).to_bytes();
                    board.chip().patch(0, &aborted);
                    board.chip().patch(SECTOR as u32, &valid);
                }
            })
            .boot(move |board| self.boot(board))
            .observe(move |board| {
                let running = running(&self.map(), board.chip());
                version(&parts(board.chip()).0[running as usize].0.to_bytes())
            })
            .artifact(|artifact| artifact.file("app.bin", &image(2)))
            .next_artifact(|artifact| artifact.file("app.bin", &image(3)));
        match self.how {
            Bootloader::Keeps if !self.guarded => test.keeps_dead_firmware(),
            Bootloader::Keeps | Bootloader::Reverts => test,
        }
    }

    fn passes(self) {
        let summary: Summary = self.test().bound(100).run();
        println!("EspOta, {self:?}: {summary}");
        assert!(summary.cuts > 90 && summary.resets > 100, "{summary}");
        assert_eq!(summary.excused, 0, "{summary}");
    }
}

const REVERTS: Plan = Plan {
    how: Bootloader::Reverts,
    guarded: false,
    from: Slot::Ota0,
    blank: true,
};
const KEEPS: Plan = Plan {
    how: Bootloader::Keeps,
    ..REVERTS
};

#[test]
fn with_rollback() {
    REVERTS.passes();
}

#[test]
fn with_rollback_from_the_second_slot() {
    Plan {
        from: Slot::Ota1,
        blank: false,
        ..REVERTS
    }
    .passes();
}

#[test]
fn without_rollback() {
    KEEPS.passes();
}

#[test]
fn without_rollback_from_the_second_slot() {
    Plan {
        from: Slot::Ota1,
        ..KEEPS
    }
    .passes();
}

#[test]
fn without_rollback_with_the_guard() {
    Plan { guarded: true, ..KEEPS }.passes();
}

/// The test's own eyes.
#[test]
fn the_bootloader_is_asked_what_runs() {
    let device = crate::device::Device::factory(Bootloader::Reverts);
    assert_eq!(running(&device.map(), &device.flash), Slot::Ota0);
    assert_eq!(device.map().boot(&device.flash), Ok(Some(EspApp::Ota(0))));
}
