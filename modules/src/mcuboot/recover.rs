//! For recovery tools: requests and confirmations outside of deployments. Depends on the flash and all below it.

use embedded_storage_async::nor_flash::NorFlash;

use super::change;
use super::decide::{Op, Step, confirm, confirm_before_overwriting};
use super::error::{Fault, Stop};
use super::flash::Slots;
use super::image::{self, Examiner};
use super::mode::Mode;
use super::mode::sealed::Kind;
use super::slot::Slot;
use super::trailer::{ERASED, PERMANENT, SET, TEST};
use crate::hasher::Hash;

/// What is asked of the bootloader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Run the image in slot 1, and go back at the boot after unless it confirms itself.
    Test,
    /// Run the image in slot 1 for good.
    Permanent,
}

/// No change here writes a note.
const NO_NOTE: Hash = [0; 32];

impl<P: NorFlash, S: NorFlash, const BUFFER: usize, M: Mode> Slots<P, S, BUFFER, M> {
    /// Requests an image that is in slot 1, however it got there.
    pub(super) async fn request(&mut self, request: Request) -> Result<(), Stop> {
        self.try_perform(Op::MayReceive).await?;
        let primary = self.cells(Slot::Primary).await?;
        if let Some(change) = confirm_before_overwriting(M::KIND, primary) {
            self.change(change, &NO_NOTE).await?;
        }
        let start = self.geometry.image_offset;
        let mut examiner = Examiner::new(self.geometry.room, true);
        self.examine(Slot::Secondary, start, &mut examiner)
            .await?
            .map_err(Stop::Damaged)?;
        if start > 0 && image::is_image(self.read(Slot::Secondary, 0, 4).await?) {
            self.erase(Slot::Secondary, 0, start).await?;
        }
        let values = match (M::KIND, request) {
            (Kind::Xip, Request::Test) => [ERASED, ERASED, ERASED],
            (Kind::Xip, Request::Permanent) => [ERASED, SET, SET],
            (Kind::Move | Kind::Offset | Kind::Scratch | Kind::Overwrite, Request::Test) => [TEST, ERASED, ERASED],
            (Kind::Move | Kind::Offset | Kind::Scratch | Kind::Overwrite, Request::Permanent) => {
                [PERMANENT, ERASED, SET]
            }
        };
        let now = self.cells(Slot::Secondary).await?;
        match change::request(values, start.saturating_add(examiner.image.len), &self.geometry, now) {
            change::Request::There => Ok(()),
            change::Request::Write(change) => self.change(change, &NO_NOTE).await.map(drop),
            change::Request::Shared => Err(Stop::Damaged(Fault::SharesTrailer)),
        }
    }

    /// Sets image_ok of the running image if its trailer allows it.
    pub(super) async fn confirm_running(&mut self) -> Result<(), Stop> {
        match confirm(M::KIND, self.cells(Slot::Primary).await?) {
            Step::Done => Ok(()),
            Step::Refuse(stop) => Err(stop),
            Step::Change(change, _) => self.change(change, &NO_NOTE).await.map(drop),
        }
    }
}
