//! The patch itself: its header, then changes, new bytes and a step in turn until the new image is complete.

use super::heatshrink::Heatshrink;

/// Why a patch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Another type than `sequential`, another compression than `heatshrink` or `none`, parameters of heatshrink that
    /// it does not know or that need more than 24 bits together, or a data format.
    NotSupported,
    /// The window that was lent is too short for the one that the patch was made with.
    Window {
        /// It takes 2 to the power of this: detools' `--heatshrink-window-sz2`.
        bits: u8,
    },
    /// It makes an image of another length than was asked for.
    Length,
    /// It contradicts itself, reaches beyond the old or the new image, goes on behind its end, or has a number above
    /// 31 bits.
    Malformed,
    /// It ends early.
    Truncated,
}

/// What comes next of the new image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Nothing, until there is more of the patch: all of the input was taken.
    More,
    /// So many bytes, as they were put into the buffer.
    New(usize),
    /// So many bytes of the old image, each plus (modulo 256) the one in the buffer. All of them are within the old image.
    Changed {
        /// Offset in the old image.
        from: u32,
        /// How many.
        len: usize,
    },
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Type and compression.
    Type,
    NewLen,
    /// Of heatshrink.
    Parameters,
    FormatLen,
    ChangedLen,
    Changed,
    AddedLen,
    Added,
    Step,
    End,
    Failed(Fault),
}

#[derive(Clone, Copy, Debug)]
enum Codec {
    None,
    Heatshrink(Heatshrink),
}

/// Of an image.
const MAX_LEN: u32 = i32::MAX as u32;

/// A patch as it arrives: see the [module documentation](super). At most 60 bytes; window and buffer are lent.
#[derive(Debug)]
pub struct Patch {
    place: Place,
    codec: Codec,
    compressed: bool,
    number: Number,
    old_len: u32,
    new_len: u32,
    /// Where in the old image.
    from: i32,
    /// How much of the new image is there, or under way.
    made: u32,
    /// How much of the changes or of the new bytes is still to come.
    left: u32,
}

impl Patch {
    /// A patch that makes an image of `new_len` bytes of one of `old_len`.
    pub const fn new(old_len: u32, new_len: u32) -> Patch {
        Patch {
            place: Place::Type,
            codec: Codec::None,
            compressed: false,
            number: Number::NONE,
            // What is behind cannot be said in a patch.
            old_len: if old_len > MAX_LEN { MAX_LEN } else { old_len },
            new_len,
            from: 0,
            made: 0,
            left: 0,
        }
    }

    /// Takes bytes of the patch from the front of `input`, and gives what they say: to be called until it is [`Piece::More`].
    ///
    /// `window` is the same in every call, and nobody else's between them; with the compression `none` it may be empty. `buffer` is
    /// not empty; a piece is at most as long.
    ///
    /// # Errors
    ///
    /// [`Fault`], and the same again in every later call.
    pub fn next(&mut self, input: &mut &[u8], window: &mut [u8], buffer: &mut [u8]) -> Result<Piece, Fault> {
        let piece = self.try_next(input, window, buffer);
        if let Err(fault) = piece {
            self.place = Place::Failed(fault);
        }
        piece
    }

    /// Says at the end of the input whether that was all of the patch.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`], [`Fault::Malformed`] for what is left behind the end, or what [`next`](Patch::next) failed with.
    pub fn finish(&self) -> Result<(), Fault> {
        let over = match &self.codec {
            Codec::None => true,
            Codec::Heatshrink(heatshrink) => heatshrink.is_over(),
        };
        match self.place {
            Place::Failed(fault) => Err(fault),
            Place::End if over => Ok(()),
            Place::End => Err(Fault::Malformed),
            Place::Type
            | Place::NewLen
            | Place::Parameters
            | Place::FormatLen
            | Place::ChangedLen
            | Place::Changed
            | Place::AddedLen
            | Place::Added
            | Place::Step => Err(Fault::Truncated),
        }
    }

    fn try_next(&mut self, input: &mut &[u8], window: &mut [u8], buffer: &mut [u8]) -> Result<Piece, Fault> {
        loop {
            match self.place {
                Place::Failed(fault) => return Err(fault),
                Place::Changed | Place::Added => {
                    let mut len = 0;
                    for to in buffer.iter_mut().take(self.left as usize) {
                        let Some(byte) = self.byte(input, window) else { break };
                        *to = byte;
                        len += 1;
                    }
                    if len == 0 && self.left > 0 {
                        return Ok(Piece::More);
                    }
                    // At most what is left.
                    self.left -= len as u32;
                    let is_changed = self.place == Place::Changed;
                    let from = self.from;
                    if is_changed {
                        // Within the old image.
                        self.from += len as i32;
                    }
                    if self.left == 0 {
                        self.place = if is_changed { Place::AddedLen } else { Place::Step };
                    }
                    if len > 0 {
                        return Ok(if is_changed {
                            Piece::Changed { from: from as u32, len }
                        } else {
                            Piece::New(len)
                        });
                    }
                }
                Place::Type
                | Place::NewLen
                | Place::Parameters
                | Place::FormatLen
                | Place::ChangedLen
                | Place::AddedLen
                | Place::Step
                | Place::End => {
                    let Some(byte) = self.byte(input, window) else {
                        return Ok(Piece::More);
                    };
                    self.take(byte, window)?;
                }
            }
        }
    }

    /// The next byte, decompressed where that has begun.
    fn byte(&mut self, input: &mut &[u8], window: &mut [u8]) -> Option<u8> {
        match &mut self.codec {
            Codec::None => {
                let (byte, rest) = input.split_first()?;
                *input = rest;
                Some(*byte)
            }
            Codec::Heatshrink(heatshrink) => heatshrink.byte(input, window),
        }
    }

    /// Takes a byte that is not one of the image. Apart from what waits for flash, which is larger with it.
    #[inline(never)]
    fn take(&mut self, byte: u8, window: &mut [u8]) -> Result<(), Fault> {
        match self.place {
            Place::Type => {
                self.compressed = match byte {
                    0 => false,
                    4 => true,
                    _ => return Err(Fault::NotSupported),
                };
                self.place = Place::NewLen;
                return Ok(());
            }
            Place::Parameters => {
                self.codec = Codec::Heatshrink(Heatshrink::new(byte, window)?);
                self.place = Place::FormatLen;
                return Ok(());
            }
            // Behind the end; the others take no byte.
            Place::End | Place::Changed | Place::Added | Place::Failed(_) => return Err(Fault::Malformed),
            Place::NewLen | Place::FormatLen | Place::ChangedLen | Place::AddedLen | Place::Step => {}
        }
        let Some(number) = self.number.push(byte)? else {
            return Ok(());
        };
        let len = u32::try_from(number).map_err(|_| Fault::Malformed);
        self.place = match self.place {
            Place::NewLen => match len? {
                len if len != self.new_len => return Err(Fault::Length),
                // Of an empty image nothing follows.
                0 => Place::End,
                _ if self.compressed => Place::Parameters,
                _ => Place::FormatLen,
            },
            Place::FormatLen if number != 0 => return Err(Fault::NotSupported),
            Place::FormatLen => Place::ChangedLen,
            Place::ChangedLen => {
                let len = self.part(len?)?;
                // All of them must be there; a place outside of the old image does no harm as long as nothing is read.
                // One in front of it is, as it is cast, above all lengths.
                let end = (self.from as u32).checked_add(len);
                if len > 0 && end.is_none_or(|end| end > self.old_len) {
                    return Err(Fault::Malformed);
                }
                Place::Changed
            }
            Place::AddedLen => {
                self.part(len?)?;
                Place::Added
            }
            Place::Step
            | Place::Type
            | Place::Parameters
            | Place::Changed
            | Place::Added
            | Place::End
            | Place::Failed(_) => {
                self.from = self.from.checked_add(number).ok_or(Fault::Malformed)?;
                if self.made == self.new_len {
                    Place::End
                } else {
                    Place::ChangedLen
                }
            }
        };
        Ok(())
    }

    /// Begins with so many bytes of the new image.
    fn part(&mut self, len: u32) -> Result<u32, Fault> {
        self.left = len;
        self.made = self.made.checked_add(len).ok_or(Fault::Malformed)?;
        if self.made > self.new_len {
            return Err(Fault::Malformed);
        }
        Ok(len)
    }
}

/// A number that arrives: 31 bits and a sign, more than any image of a microcontroller has bytes.
#[derive(Clone, Copy, Debug)]
struct Number {
    value: u32,
    negative: bool,
    /// Of the next byte.
    shift: u8,
}

impl Number {
    const NONE: Number = Number {
        value: 0,
        negative: false,
        shift: 0,
    };

    /// Takes the next byte, and gives the number if it was the last one.
    fn push(&mut self, byte: u8) -> Result<Option<i32>, Fault> {
        let bits = if self.shift == 0 {
            self.negative = byte & 0x40 != 0;
            6
        } else {
            7
        };
        let value = u32::from(byte) & ((1 << bits) - 1);
        // The fifth byte has room for four bits, and there is no sixth.
        if self.shift == 27 && byte > 0xf {
            return Err(Fault::Malformed);
        }
        self.value |= value << self.shift;
        self.shift += bits;
        if byte & 0x80 != 0 {
            return Ok(None);
        }
        let Number { value, negative, .. } = core::mem::replace(self, Number::NONE);
        // Below 2^31.
        let value = value as i32;
        Ok(Some(if negative { -value } else { value }))
    }
}
