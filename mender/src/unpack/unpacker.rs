//! What the artifact parser unpacks with.

use core::fmt;

use super::fault::Fault;
use super::gzip::Gunzip;

/// A compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
}

/// What unpacks the archives of a compressed artifact, one after the other: the memory for it, which is lent to the
/// [`Parser`](crate::artifact::Parser).
///
/// `WINDOW` is the length of the window for gzip in bytes; beside it there are 1.1 KB of state. Artifacts as `mender-artifact` packs them take
/// 32,768; packed for a shorter window, they take that. With 0 there is none, and gzip is refused by name.
///
/// ```
/// use mender::artifact::{Limits, Parser};
/// use mender::unpack::Unpacker;
///
/// let mut unpacker = Unpacker::<[u8; 4096]>::new(); // on a microcontroller: in a `static`
/// let mut work = [0; 2048];
/// let parser = Parser::new(Limits::DEFAULT, &mut work).unpacking(&mut unpacker);
/// # let _ = parser;
/// ```
pub struct Unpacker<W: ?Sized = [u8]> {
    at_work: Format,
    /// What was unpacked last, from where on nobody has taken it, and where what was taken last begins.
    next: usize,
    taken: usize,
    gzip: Gunzip<W>,
}

impl<W: ?Sized> fmt::Debug for Unpacker<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

impl<const WINDOW: usize> Unpacker<[u8; WINDOW]> {
    /// With a window of this length.
    #[expect(clippy::new_without_default, reason = "where it is used, it is in a `static`")]
    pub const fn new() -> Self {
        Unpacker {
            at_work: Format::Gzip,
            next: 0,
            taken: 0,
            gzip: Gunzip::new(),
        }
    }
}

impl Unpacker {
    /// Whether there is memory for this compression.
    pub(crate) fn knows(&self, format: Format) -> bool {
        match format {
            Format::Gzip => self.gzip.window_len() > 0,
        }
    }

    /// Length of the window of what is at work.
    pub(crate) fn window_len(&self) -> u32 {
        match self.at_work {
            Format::Gzip => u32::try_from(self.gzip.window_len()).unwrap_or(u32::MAX),
        }
    }

    /// Something that is compressed in this way begins.
    pub(crate) fn begin(&mut self, format: Format) {
        self.at_work = format;
        self.next = 0;
        self.taken = 0;
        match format {
            Format::Gzip => self.gzip.restart(),
        }
    }

    /// Takes the next bytes, when everything that was unpacked has been taken. How many were used: all, if they gave nothing.
    pub(crate) fn feed(&mut self, input: &[u8]) -> Result<usize, Fault> {
        self.next = 0;
        self.taken = 0;
        match self.at_work {
            Format::Gzip => self.gzip.unpack(input),
        }
    }

    /// Takes what was unpacked, at most `len` bytes. Nothing: more has to be fed.
    pub(crate) fn take(&mut self, len: usize) -> &[u8] {
        self.taken = self.next;
        self.next = self.output().len().min(self.next.saturating_add(len));
        self.last()
    }

    /// Whether there is something to take.
    pub(crate) fn has_output(&self) -> bool {
        self.next < self.output().len()
    }

    /// What was taken last.
    pub(crate) fn last(&self) -> &[u8] {
        self.output().get(self.taken..self.next).unwrap_or(&[])
    }

    /// At the end of the input: whether what was compressed is complete.
    pub(crate) fn finish(&self) -> Result<(), Fault> {
        match self.at_work {
            Format::Gzip => self.gzip.finish(),
        }
    }

    fn output(&self) -> &[u8] {
        match self.at_work {
            Format::Gzip => self.gzip.output(),
        }
    }
}
