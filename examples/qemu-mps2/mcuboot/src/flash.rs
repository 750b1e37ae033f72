//! The board's flash by the names that the model knows: of the kit's simulated one, it uses three calls. Depends on `board`.

use core::cell::RefCell;
use core::ops::Range;

use board::flash::Flash;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// Power went, which here nobody is left to hear of.
    #[allow(dead_code, reason = "the model passes it on")]
    PowerLost,
    /// The driver's reason.
    #[allow(dead_code, reason = "it is printed")]
    Driver(board::flash::FlashError),
}

/// The flash.
#[derive(Debug)]
pub struct SimFlash<const WRITE: usize, const SECTOR: usize> {
    flash: RefCell<Flash>,
}

impl<const WRITE: usize, const SECTOR: usize> SimFlash<WRITE, SECTOR> {
    /// Of the board.
    pub fn new(flash: Flash) -> Self {
        const {
            assert!(
                WRITE == <Flash>::WRITE_SIZE && SECTOR == <Flash>::ERASE_SIZE,
                "the units are the driver's"
            );
        }
        SimFlash {
            flash: RefCell::new(flash),
        }
    }

    /// Reads.
    ///
    /// # Errors
    ///
    /// [`FlashError`].
    pub fn read_now(&self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.flash.borrow_mut().read(offset, bytes).map_err(FlashError::Driver)
    }

    /// Writes.
    ///
    /// # Errors
    ///
    /// [`FlashError`].
    pub fn write_now(&self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.flash.borrow_mut().write(offset, bytes).map_err(FlashError::Driver)
    }

    /// Erases.
    ///
    /// # Errors
    ///
    /// [`FlashError`].
    pub fn erase_now(&self, range: Range<u32>) -> Result<(), FlashError> {
        self.flash
            .borrow_mut()
            .erase(range.start, range.end)
            .map_err(FlashError::Driver)
    }
}
