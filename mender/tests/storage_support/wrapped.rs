//! Flash with other habits, around a simulated one.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// What goes wrong, or is otherwise than usual.
#[derive(Debug, Default)]
pub struct Habits {
    /// Erased bytes are zero.
    pub erases_to_zero: Cell<bool>,
    /// The read after so many others fails.
    pub failing_read: Cell<Option<usize>>,
    /// No erase succeeds. It may begin.
    pub erase_fails: Cell<bool>,
    /// Writes at this offset and after it do nothing, silently.
    pub dead_from: Cell<Option<u32>>,
    /// Writes fail before they begin.
    pub write_fails: Cell<bool>,
    /// Each operation waits once before it begins and once after it.
    pub waits: Cell<bool>,
}

/// A flash that is read in units of `READ` bytes.
#[derive(Clone, Debug)]
pub struct Wrapped<F, const READ: usize = 1> {
    pub flash: F,
    pub habits: Rc<Habits>,
}

impl<F, const READ: usize> Wrapped<F, READ> {
    pub fn new(flash: F) -> Self {
        Wrapped {
            flash,
            habits: Rc::default(),
        }
    }

    async fn wait(&self) {
        let mut left = usize::from(self.habits.waits.get());
        std::future::poll_fn(|_| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            Poll::Pending
        })
        .await;
    }

    fn turn(&self, bytes: &[u8]) -> Vec<u8> {
        let mask = if self.habits.erases_to_zero.get() { 0xff } else { 0 };
        bytes.iter().map(|byte| byte ^ mask).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    Read,
    Write,
    Erase,
    Below,
}

impl NorFlashError for Failed {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<F: NorFlash, const READ: usize> ErrorType for Wrapped<F, READ> {
    type Error = Failed;
}

impl<F: NorFlash, const READ: usize> ReadNorFlash for Wrapped<F, READ> {
    const READ_SIZE: usize = READ;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failed> {
        assert!((offset as usize).is_multiple_of(READ) && bytes.len().is_multiple_of(READ));
        self.wait().await;
        match self.habits.failing_read.get() {
            Some(0) => {
                self.habits.failing_read.set(None);
                return Err(Failed::Read);
            }
            Some(left) => self.habits.failing_read.set(Some(left - 1)),
            None => {}
        }
        self.flash.read(offset, bytes).await.map_err(|_| Failed::Below)?;
        let turned = self.turn(bytes);
        bytes.copy_from_slice(&turned);
        self.wait().await;
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash, const READ: usize> NorFlash for Wrapped<F, READ> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Failed> {
        self.wait().await;
        if self.habits.erase_fails.get() {
            return Err(Failed::Erase);
        }
        self.flash.erase(from, to).await.map_err(|_| Failed::Below)?;
        self.wait().await;
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failed> {
        self.wait().await;
        if self.habits.write_fails.get() {
            return Err(Failed::Write);
        }
        if self.habits.dead_from.get().is_none_or(|dead| offset < dead) {
            let turned = self.turn(bytes);
            self.flash.write(offset, &turned).await.map_err(|_| Failed::Below)?;
        }
        self.wait().await;
        Ok(())
    }
}
