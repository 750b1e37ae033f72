//! The module in the real client, with embassy-boot's own bootloader: the kit's test of update modules.

use embassy_boot::{BootError, BootLoader, BootLoaderConfig, FirmwareUpdaterConfig};
use mender::UpdateModule;
use mender_modules::Restart;
use mender_modules::embassy_boot::{EmbassyBoot, EmbassyBootImage};
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::flash::{FlashError, Operation};
use mender_testkit::module_test::{Board, ModuleTest, Summary};

use crate::area::Area;
use crate::device::Request;

/// Where the partitions are, on a chip with write units of `WRITE` bytes and sectors of `SECTOR`. `ACTIVE` and `DFU` are their
/// erase units; the larger one is the bootloader's page.
#[derive(Clone, Copy)]
pub struct Plan<const WRITE: usize, const SECTOR: usize, const ACTIVE: usize, const DFU: usize> {
    /// Pages of ACTIVE; DFU has one more.
    pages: u32,
    state_sectors: u32,
    /// Bytes that the bootloader copies at once.
    copied: usize,
    /// Of the images: versions 1, 2 and 3.
    lens: [u32; 3],
}

pub type Module<const WRITE: usize, const SECTOR: usize, const ACTIVE: usize, const DFU: usize, R> = EmbassyBoot<
    Area<WRITE, SECTOR, ACTIVE>,
    Area<WRITE, SECTOR, DFU>,
    Area<WRITE, SECTOR, SECTOR>,
    R,
    EmbassyBootImage,
    256,
>;

/// Bytes that differ everywhere from version to version and from page to page, no erased ones among them.
fn image(version: u8, len: u32) -> Vec<u8> {
    (0..len)
        .map(|at| (at as u8 ^ (at >> 7) as u8).wrapping_mul(5).wrapping_add(version * 16) & 0x7f)
        .collect()
}

impl<const WRITE: usize, const SECTOR: usize, const ACTIVE: usize, const DFU: usize> Plan<WRITE, SECTOR, ACTIVE, DFU> {
    const PAGE: u32 = if ACTIVE > DFU { ACTIVE as u32 } else { DFU as u32 };

    /// Images that fill ACTIVE but for the last 250 bytes, of which the record takes 96; the bootloader copies whole
    /// pages.
    pub fn of_pages(pages: u32) -> Self {
        Plan {
            pages,
            state_sectors: 1,
            copied: Self::PAGE as usize,
            lens: [200, 150, 250].map(|less| pages * Self::PAGE - less),
        }
    }

    fn active(&self, board: &Board<WRITE, SECTOR>) -> Area<WRITE, SECTOR, ACTIVE> {
        Area(board.flash(0..self.pages * Self::PAGE))
    }

    fn dfu(&self, board: &Board<WRITE, SECTOR>) -> Area<WRITE, SECTOR, DFU> {
        Area(board.flash(self.pages * Self::PAGE..(2 * self.pages + 1) * Self::PAGE))
    }

    /// Where STATE begins, and where it ends.
    fn state_range(&self) -> (u32, u32) {
        let start = (2 * self.pages + 1) * Self::PAGE;
        (start, start + self.state_sectors * SECTOR as u32)
    }

    fn state(&self, board: &Board<WRITE, SECTOR>) -> Area<WRITE, SECTOR, SECTOR> {
        let (start, end) = self.state_range();
        Area(board.flash(start..end))
    }

    fn boot(&self, board: &Board<WRITE, SECTOR>) -> Result<(), FlashError> {
        let mut boot = BootLoader::new(BootLoaderConfig {
            active: self.active(board),
            dfu: self.dfu(board),
            state: self.state(board),
        });
        match boot.prepare_boot(&mut vec![0; self.copied]) {
            Ok(_) => Ok(()),
            Err(BootError::Flash(_)) if !board.chip().power_is_on() => Err(FlashError::PowerLost),
            Err(error) => Err(board.chip().violations().pop().unwrap_or_else(|| panic!("{error:?}"))),
        }
    }

    fn len(&self, version: u8) -> u32 {
        let [first, second, third] = self.lens;
        match version {
            1 => first,
            2 => second,
            _ => third,
        }
    }

    fn image(&self, version: u8) -> Vec<u8> {
        image(version, self.len(version))
    }

    /// Whether a page of ACTIVE is that of an image.
    fn has(&self, board: &Board<WRITE, SECTOR>, page: u32, version: u8) -> bool {
        let start = page * Self::PAGE;
        let range = start as usize..(start + Self::PAGE).min(self.len(version)).max(start) as usize;
        !range.is_empty() && self.active(board).0.to_bytes()[range.clone()] == self.image(version)[range]
    }

    /// See "Limits" in the module's documentation: a cut within an erase of STATE has left the request to do a part of
    /// the swap again. The bootloader's erase can leave any part. The module's can leave all of it, where it stops at the
    /// end of a first word of several bytes; anything else that the module leaves is not excused.
    ///
    /// ACTIVE's first page is the last that a swap brings, its last page the last that a swap back brings. So one of them in
    /// place, before the step that brings it is the next one to do, means that the steps are not those that were done.
    fn is_limit(&self, board: &Board<WRITE, SECTOR>) -> bool {
        let (start, end) = self.state_range();
        match board.chip().cut_operation() {
            Some(Operation::Erase { offset }) if (start..end).contains(&offset) => {}
            Some(Operation::Erase { .. } | Operation::Write { .. } | Operation::Other) | None => return false,
        }
        let state = self.state(board).0.to_bytes();
        let Request::Swap { steps } = Request::of(&state, WRITE) else {
            return false;
        };
        let last = self.pages - 1;
        // What one version may replace: the first one, or in a second update the second.
        let mut updates = [(1, 2), (2, 3), (1, 3)].into_iter();
        if board.is_booting() {
            updates.any(|(old, new)| {
                let swapped = self.has(board, 0, new) && steps + 1 < 2 * self.pages;
                let swapped_back = self.has(board, last, old) && (2..4 * self.pages - 1).contains(&steps);
                swapped || swapped_back
            })
        } else {
            let rest_is_erased = state[WRITE..].iter().all(|byte| *byte == 0xff);
            WRITE > 1 && rest_is_erased && updates.any(|(_, new)| self.has(board, 0, new))
        }
    }

    pub fn module(
        &self,
        board: &Board<WRITE, SECTOR>,
    ) -> Module<WRITE, SECTOR, ACTIVE, DFU, impl Restart + use<WRITE, SECTOR, ACTIVE, DFU>> {
        let config = FirmwareUpdaterConfig {
            dfu: self.dfu(board),
            state: self.state(board),
        };
        Module::<WRITE, SECTOR, ACTIVE, DFU, _>::new(config, self.active(board), board.restart())
            .expect("partitions for the bootloader")
    }

    fn test(self) -> ModuleTest<Module<WRITE, SECTOR, ACTIVE, DFU, impl Restart>, WRITE, SECTOR> {
        self.test_of(
            move |board| self.module(board),
            |artifact, _, new| artifact.file("app.bin", new),
        )
    }

    /// The test of a module of a kind, with an artifact that makes the second image of the first; the third one is always
    /// whole.
    pub fn test_of<T: UpdateModule>(
        self,
        make: impl Fn(&Board<WRITE, SECTOR>) -> T + 'static,
        fill: fn(ArtifactWriter, &[u8], &[u8]) -> ArtifactWriter,
    ) -> ModuleTest<T, WRITE, SECTOR> {
        let (state, end) = self.state_range();
        ModuleTest::<_, WRITE, SECTOR>::on_chip(make)
            .sectors(end as usize / SECTOR)
            .factory(move |board| {
                board.chip().patch(0, &self.image(1));
                // Each word is written once between erases, but for what embassy-boot demands of a chip: in STATE it writes
                // zeros once more over what a cut has left of them.
                board.chip().allow_zeros_over(state..end);
            })
            .boot(move |board| self.boot(board))
            .observe(move |board| {
                let active = self.active(board).0.to_bytes();
                [1, 2, 3]
                    .into_iter()
                    .find(|version| active.starts_with(&self.image(*version)))
            })
            .artifact(move |artifact| fill(artifact, &self.image(1), &self.image(2)))
            .next_artifact(move |artifact| artifact.file("app.bin", &self.image(3)))
            .excuse(move |board| self.is_limit(board))
    }

    /// `excused`: so many cuts, at most.
    fn passes(self, excused: u64) {
        Self::tell(excused, self.test().bound(100).run());
    }

    pub fn tell(excused: u64, summary: Summary) {
        println!("EmbassyBoot, {WRITE}-byte words, sectors of {ACTIVE} in ACTIVE and {DFU} in DFU: {summary}");
        assert!(summary.cuts > 90 && summary.resets > 300, "{summary}");
        assert!(summary.excused <= excused, "{summary}");
    }
}

#[test]
fn words_of_1_byte_sectors_of_4096() {
    Plan::<1, 4096, 4096, 4096>::of_pages(3).passes(0);
}

#[test]
fn words_of_4_bytes_sectors_of_4096() {
    Plan::<4, 4096, 4096, 4096>::of_pages(2).passes(0);
}

#[test]
fn words_of_8_bytes_sectors_of_2048() {
    Plan::<8, 2048, 2048, 2048>::of_pages(3).passes(0);
}

#[test]
fn words_of_32_bytes_and_two_sectors_for_the_state() {
    let plan = Plan::<32, 2048, 2048, 2048>::of_pages(2);
    Plan {
        state_sectors: 2,
        ..plan
    }
    .passes(0);
}

/// Internal flash with large pages, DFU on a chip with small sectors; short images, that the bootloader copies in parts.
#[test]
fn small_sectors_in_dfu() {
    let plan = Plan::<4, 512, 2048, 512>::of_pages(3);
    Plan {
        copied: 512,
        lens: [3 * 2048 - 200, 700, 1500],
        ..plan
    }
    .passes(2);
}

#[test]
fn small_sectors_in_active() {
    Plan::<4, 512, 512, 2048>::of_pages(3).passes(0);
}
