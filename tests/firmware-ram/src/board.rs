//! The board: who it is, time that passes only while someone sleeps, flash in RAM.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::{Future, pending, poll_fn};
use core::task::Poll;
use core::time::Duration;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use mender::client::{Clock, Device, Event, Handle, Inventory};
use mender::deployment::Verdict;

/// Length of the flash with the client's records.
pub const RECORDS_LEN: usize = 0x2000;

/// What survives a restart, and what the client is told.
pub struct Board {
    pub handle: Handle,
    /// Deployments that succeeded.
    pub finished: Cell<usize>,
    /// A module has restarted the device.
    pub restarting: Cell<bool>,
    /// For the report: what the server answered or a module did last.
    pub doing: Cell<&'static str>,
    uptime: Cell<Duration>,
    records: RefCell<[u8; RECORDS_LEN]>,
}

impl Board {
    pub const fn new() -> Board {
        Board {
            handle: Handle::new(),
            finished: Cell::new(0),
            restarting: Cell::new(false),
            doing: Cell::new(""),
            uptime: Cell::new(Duration::ZERO),
            records: RefCell::new([0xff; RECORDS_LEN]),
        }
    }

    /// Restarts: whoever runs the client drops it.
    pub async fn restart_now(&self) {
        self.restarting.set(true);
        pending().await
    }
}

impl Device for &Board {
    fn identity(&self) -> impl AsRef<[(&str, &str)]> {
        [("mac", "02:00:5e:10:00:01")]
    }

    async fn restart(&self) {
        self.restart_now().await;
    }

    fn static_inventory(&self, report: &mut Inventory<'_, '_>) {
        report.text("hostname", "board-1");
        report.text("bootloader", "MCUboot 2.1.0");
    }

    fn dynamic_inventory(&self, report: &mut Inventory<'_, '_>) {
        report.text("signal", "-71 dBm");
    }

    fn observe(&self, event: Event<'_>) {
        match event {
            Event::Finished(Verdict::Success) => self.finished.set(self.finished.get() + 1),
            Event::Finished(Verdict::Failure) => panic!("a deployment failed"),
            Event::Unauthorized(refused) => panic!("no token: {refused:?}"),
            _ => {}
        }
    }
}

impl Clock for &Board {
    fn uptime(&self) -> Duration {
        self.uptime.get()
    }

    /// Lets everything else go on for a while, then the time has passed.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        let mut polls_left = 16_u8;
        poll_fn(move |_| {
            polls_left = polls_left.saturating_sub(1);
            if polls_left > 0 {
                return Poll::Pending;
            }
            self.uptime.set(self.uptime.get() + duration);
            Poll::Ready(())
        })
    }
}

/// The flash with the client's records. Writes that would set a bit end the run.
pub struct Records<'b>(pub &'b Board);

impl ErrorType for Records<'_> {
    type Error = Infallible;
}

impl ReadNorFlash for Records<'_> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        let start = offset as usize;
        bytes.copy_from_slice(&self.0.records.borrow()[start..start + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        RECORDS_LEN
    }
}

impl NorFlash for Records<'_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Infallible> {
        self.0.records.borrow_mut()[from as usize..to as usize].fill(0xff);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        let start = offset as usize;
        let mut records = self.0.records.borrow_mut();
        for (cell, byte) in records[start..start + bytes.len()].iter_mut().zip(bytes) {
            assert!(*cell & byte == *byte, "a write without an erase");
            *cell = *byte;
        }
        Ok(())
    }
}
