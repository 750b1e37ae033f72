//! gzip (RFC 1952) in little memory: the data of one member as they come, in a window of any length.
//!
//! About 4 KB of flash on Cortex-M4; the state takes 1.1 KB of RAM beside the window. Pure; depends on nothing.
//!
//! | file | job |
//! |---|---|
//! | `mod.rs` | the member: its head, its end, what is handed out |
//! | `block.rs` | the blocks of deflate (RFC 1951) |
//! | `code.rs`, `bits.rs`, `crc.rs` | prefix codes, bits, the checksum |

mod bits;
mod block;
mod code;
mod crc;

use super::Fault;
use block::{Blocks, Progress};
use crc::Crc;

/// First bytes of a member: gzip, and that it is deflate (RFC 1952, section 2.3.1).
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// Length of a member's head without the fields that it may have.
const HEAD_LEN: u8 = 10;

const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The byte of the head that has this number.
    Head(u8),
    /// The fields behind the head that the flags tell of.
    Fields,
    ExtraLen,
    Skip(u16),
    Text,
    Blocks,
    /// The byte of CRC and length that has this number.
    End(u8),
    Ended,
    Failed(Fault),
}

/// Unpacks gzip: bytes in, data out. One member, as `mender-artifact` writes it.
///
/// The window must be as long as that of the program which packed the data: 32 KiB for most; `mender-artifact` uses no shorter one. What
/// is short, as the header of an artifact, does with less. gzip does not say how long the window was, so a
/// [`Fault::Window`] comes as soon as data refer to something that is further back.
///
/// ```
/// use mender::unpack::{Fault, Gunzip};
///
/// /// The sum of the bytes of something packed.
/// fn sum(packed: &[u8], gunzip: &mut Gunzip) -> Result<u32, Fault> {
///     let (mut rest, mut sum) = (packed, 0);
///     loop {
///         let (used, data) = gunzip.feed(rest)?;
///         if data.is_empty() {
///             break; // all of the input was used
///         }
///         rest = &rest[used..];
///         sum += data.iter().map(|byte| u32::from(*byte)).sum::<u32>();
///     }
///     gunzip.finish()?;
///     Ok(sum)
/// }
///
/// let mut gunzip = Gunzip::<[u8; 1024]>::new();
/// let packed = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x4b\x4c\x4a\x06\0\xc2\x41\x24\x35\x03\0\0\0";
/// assert_eq!(sum(packed, &mut gunzip), Ok(97 + 98 + 99));
/// ```
#[derive(Debug)]
// In this order: what is near the front takes shorter instructions.
#[repr(C)]
pub struct Gunzip<W: ?Sized = [u8]> {
    state: State,
    flags: u8,
    crc: Crc,
    /// Bytes that were unpacked, as far as 32 bits go.
    total: u32,
    blocks: Blocks<W>,
}

impl<const WINDOW: usize> Gunzip<[u8; WINDOW]> {
    /// At the beginning of a member, with a window of this length.
    #[expect(clippy::new_without_default, reason = "where it is used, it is in a `static`")]
    pub const fn new() -> Self {
        Gunzip {
            state: State::Head(0),
            flags: 0,
            crc: Crc::NEW,
            total: 0,
            blocks: Blocks::new(),
        }
    }
}

impl Gunzip {
    /// Goes to the beginning of another member.
    pub fn restart(&mut self) {
        self.state = State::Head(0);
        self.crc = Crc::NEW;
        self.total = 0;
        self.blocks.restart();
    }

    /// Length of the window in bytes.
    pub fn window_len(&self) -> usize {
        self.blocks.window_len()
    }

    /// Takes the next bytes: how many of them were used, and data. Call it again with what is left, even if that is nothing, until
    /// there are no data: all of the input was used then.
    ///
    /// # Errors
    ///
    /// [`Fault`], and the same one in every later call. All data before the fault were handed out; they must not be used.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, &[u8]), Fault> {
        let used = self.unpack(input)?;
        Ok((used, self.output()))
    }

    /// To be called at the end of the input: whether the member is complete.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`], or an earlier one again.
    pub fn finish(&self) -> Result<(), Fault> {
        match self.state {
            State::Ended => Ok(()),
            State::Failed(fault) => Err(fault),
            State::Head(_)
            | State::Fields
            | State::ExtraLen
            | State::Skip(_)
            | State::Text
            | State::Blocks
            | State::End(_) => Err(Fault::Truncated),
        }
    }

    /// As [`feed`](Gunzip::feed), whose data are the [`output`](Gunzip::output).
    pub(super) fn unpack(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        self.blocks.begin_output();
        loop {
            self.blocks.bits.fill(&mut rest);
            match self.step() {
                Ok(Progress::Made) => {}
                // There is no more input either, or there would be bits enough.
                Ok(Progress::NeedsBits | Progress::NeedsRoom) => break,
                Err(fault) => {
                    self.state = State::Failed(fault);
                    // What came before the fault is handed out first, however the input was cut.
                    if self.output().is_empty() {
                        return Err(fault);
                    }
                    break;
                }
            }
        }
        let output = self.blocks.output();
        self.crc.add(output);
        self.total = self.total.wrapping_add(output.len() as u32);
        Ok(input.len() - rest.len())
    }

    /// What the last call unpacked.
    pub(super) fn output(&self) -> &[u8] {
        self.blocks.output()
    }

    fn step(&mut self) -> Result<Progress, Fault> {
        macro_rules! take {
            ($count:expr) => {
                match self.blocks.bits.take($count) {
                    Some(bits) => bits,
                    None => return Ok(Progress::NeedsBits),
                }
            };
        }
        self.state = match self.state {
            State::Head(at) => {
                // Eight bits.
                let byte = take!(8) as u8;
                match MAGIC.get(usize::from(at)) {
                    Some(&magic) if magic != byte => return Err(Fault::Malformed),
                    None if at == MAGIC.len() as u8 => {
                        if byte & RESERVED != 0 {
                            return Err(Fault::Malformed);
                        }
                        self.flags = byte;
                    }
                    // Time, how hard it was tried, and the system.
                    Some(_) | None => {}
                }
                if at < HEAD_LEN - 1 {
                    State::Head(at + 1)
                } else {
                    State::Fields
                }
            }
            State::Fields => {
                // In this order.
                let field = self.flags & (EXTRA | NAME | COMMENT | HEADER_CRC);
                let (flag, next) = if field & EXTRA != 0 {
                    (EXTRA, State::ExtraLen)
                } else if field & NAME != 0 {
                    (NAME, State::Text)
                } else if field & COMMENT != 0 {
                    (COMMENT, State::Text)
                } else if field & HEADER_CRC != 0 {
                    // Nothing of the head is used.
                    (HEADER_CRC, State::Skip(2))
                } else {
                    (0, State::Blocks)
                };
                self.flags &= !flag;
                next
            }
            State::ExtraLen => State::Skip(take!(16)),
            State::Skip(0) => State::Fields,
            State::Skip(left) => {
                take!(8);
                State::Skip(left - 1)
            }
            State::Text => match take!(8) {
                0 => State::Fields,
                _ => State::Text,
            },
            State::Blocks => match self.blocks.step()? {
                Some(progress) => return Ok(progress),
                None => State::End(0),
            },
            // The checksum is that of all data, so these are handed out first.
            State::End(_) if !self.blocks.output().is_empty() => return Ok(Progress::NeedsRoom),
            State::End(at) => {
                let end = u64::from(self.total) << 32 | u64::from(self.crc.value());
                // Eight bits.
                if take!(8) as u8 != (end >> (8 * u32::from(at))) as u8 {
                    return Err(Fault::Checksum);
                }
                if at < 7 { State::End(at + 1) } else { State::Ended }
            }
            State::Ended if self.blocks.bits.is_empty() => return Ok(Progress::NeedsBits),
            State::Ended => return Err(Fault::Trailing),
            State::Failed(fault) => return Err(fault),
        };
        Ok(Progress::Made)
    }
}
