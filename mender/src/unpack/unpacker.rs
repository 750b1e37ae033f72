//! What the artifact parser unpacks with.

#[cfg(all(any(feature = "xz", feature = "zstd"), not(target_os = "none")))]
extern crate std;

use core::fmt;

use super::fault::Fault;
use super::format::Format;
use super::gzip::Gunzip;
#[cfg(all(any(feature = "xz", feature = "zstd"), not(target_os = "none")))]
use super::host;

/// What unpacks the archives of a compressed artifact, one after the other: the memory for it, which is lent to the
/// [`Parser`](crate::artifact::Parser).
///
/// `WINDOW` is the length of the window for gzip in bytes; beside it there are 1.1 KB of state. Artifacts as `mender-artifact` packs them take
/// 32,768; packed for a shorter window, they take that. With 0 there is none, and gzip is refused by name. On hosts, with the features
/// `xz` and `zstd`, it unpacks these as well, with memory of the heap: up to 66 MiB and 8 MiB, and no artifact takes more.
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
    /// At work, if gzip is not.
    #[cfg(all(any(feature = "xz", feature = "zstd"), not(target_os = "none")))]
    host: Option<std::boxed::Box<dyn host::Decoder>>,
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
            #[cfg(all(any(feature = "xz", feature = "zstd"), not(target_os = "none")))]
            host: None,
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
            #[cfg(all(any(feature = "xz", feature = "zstd"), not(target_os = "none")))]
            Format::Xz | Format::Zstd => host::knows(format),
            #[cfg(not(all(any(feature = "xz", feature = "zstd"), not(target_os = "none"))))]
            Format::Xz | Format::Zstd => false,
        }
    }

    /// Length of the window of what is at work.
    pub(crate) fn window_len(&self) -> u32 {
        #[cfg(all(any(feature = "xz", feature = "zstd"), not(target_os = "none")))]
        if let Some(host) = &self.host {
            return host.window_len();
        }
        u32::try_from(self.gzip.window_len()).unwrap_or(u32::MAX)
    }

    /// Something that is compressed in this way begins.
    pub(crate) fn begin(&mut self, format: Format) {
        self.next = 0;
        self.taken = 0;
        #[cfg(all(any(feature = "xz", feature = "zstd"), not(target_os = "none")))]
        {
            self.host = host::decoder(format);
        }
        // No other begins that is not known.
        let _ = format;
        self.gzip.restart();
    }

    /// Takes the next bytes, when everything that was unpacked has been taken. How many were used: all, if they gave nothing.
    pub(crate) fn feed(&mut self, input: &[u8]) -> Result<usize, Fault> {
        self.next = 0;
        self.taken = 0;
        #[cfg(all(any(feature = "xz", feature = "zstd"), not(target_os = "none")))]
        if let Some(host) = &mut self.host {
            return host.feed(input);
        }
        self.gzip.unpack(input)
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
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        #[cfg(all(any(feature = "xz", feature = "zstd"), not(target_os = "none")))]
        if let Some(host) = self.host.take() {
            // Its memory is not needed for longer.
            return host.finish();
        }
        self.gzip.finish()
    }

    fn output(&self) -> &[u8] {
        #[cfg(all(any(feature = "xz", feature = "zstd"), not(target_os = "none")))]
        if let Some(host) = &self.host {
            return host.output();
        }
        self.gzip.output()
    }
}
