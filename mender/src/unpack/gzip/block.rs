//! The blocks of deflate: RFC 1951, section 3.2.

use core::ops::Range;

use super::bits::Bits;
use super::code::{Code, at};
use crate::unpack::Fault;

/// In which order the lengths of the code for lengths come (section 3.2.7).
static ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The symbol for the end of a block; those above it are for lengths of copies.
const END: u16 = 256;
const MAX_LITERALS: u16 = 286;
const MAX_DISTANCES: u16 = 30;
/// A copy is not from further back.
const MAX_DISTANCE: usize = 32 * 1024;
/// The shortest window that a program packs with.
const MIN_WINDOW: u32 = 256;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Made,
    /// More bits have to come first. Nothing was changed.
    NeedsBits,
    /// What was unpacked has to be handed out first.
    NeedsRoom,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum State {
    /// A block's head.
    Block,
    /// How long the stored data are, and that again, inverted.
    StoredLen,
    StoredCheck(u16),
    Stored(u16),
    /// How many lengths follow.
    Counts,
    /// So many lengths of the code for lengths are there.
    CodeLens(u8),
    /// So many lengths of both codes are there.
    Lens(u16),
    /// A symbol that stands for a byte, a copy's length or the end.
    Symbol,
    /// The rest of a copy's length.
    Len(u16),
    /// A copy's distance, its length is known.
    Distance(u16),
    DistanceRest {
        len: u16,
        symbol: u16,
    },
    Copy {
        len: u16,
        distance: u16,
    },
}

/// The blocks, and the window into which they are unpacked, round and round.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Blocks<W: ?Sized = [u8]> {
    pub(super) bits: Bits,
    state: State,
    is_last: bool,
    code_count: u8,
    literal_count: u16,
    /// Of both codes.
    count: u16,
    /// Where the next byte goes.
    head: usize,
    /// Where the output begins.
    start: usize,
    /// Bytes in front of the output, up to the longest distance.
    before: usize,
    literals: Code<[u16; 288]>,
    /// For distances, and before that for lengths.
    distances: Code<[u16; 32]>,
    lens: [u8; 320],
    window: W,
}

impl<const WINDOW: usize> Blocks<[u8; WINDOW]> {
    pub(super) const fn new() -> Self {
        Blocks {
            bits: Bits::NONE,
            state: State::Block,
            is_last: false,
            code_count: 0,
            literal_count: 0,
            count: 0,
            head: 0,
            start: 0,
            before: 0,
            literals: Code::new(),
            distances: Code::new(),
            lens: [0; 320],
            window: [0; WINDOW],
        }
    }
}

impl Blocks {
    pub(super) fn restart(&mut self) {
        self.bits = Bits::NONE;
        self.state = State::Block;
        self.is_last = false;
        self.head = 0;
        self.start = 0;
        self.before = 0;
    }

    pub(super) fn window_len(&self) -> usize {
        self.window.len()
    }

    /// The output begins anew.
    pub(super) fn begin_output(&mut self) {
        self.before = (self.before + self.output_len()).min(MAX_DISTANCE);
        if self.head >= self.window.len() {
            self.head = 0;
        }
        self.start = self.head;
    }

    /// What was unpacked since it began.
    pub(super) fn output(&self) -> &[u8] {
        let Range { start, end } = self.start..self.head;
        self.window.get(start..end).unwrap_or(&[])
    }

    fn output_len(&self) -> usize {
        self.head - self.start
    }

    fn is_full(&self) -> bool {
        self.head >= self.window.len()
    }

    fn put(&mut self, byte: u8) {
        if let Some(place) = self.window.get_mut(self.head) {
            *place = byte;
            self.head += 1;
        }
    }

    /// `None` at the end of the last block, which ends with a byte.
    pub(super) fn step(&mut self) -> Result<Option<Progress>, Fault> {
        if self.is_full() {
            if self.window.is_empty() {
                return Err(Fault::Window { needed: MIN_WINDOW });
            }
            return Ok(Some(Progress::NeedsRoom));
        }
        macro_rules! take {
            ($count:expr) => {
                match self.bits.take($count) {
                    Some(bits) => bits,
                    None => return Ok(Some(Progress::NeedsBits)),
                }
            };
        }
        macro_rules! decode {
            ($code:expr) => {{
                let code: &Code = &$code;
                match code.decode(&mut self.bits)? {
                    Some(symbol) => symbol,
                    None => return Ok(Some(Progress::NeedsBits)),
                }
            }};
        }
        self.state = match self.state {
            State::Block if self.is_last => {
                self.bits.align();
                return Ok(None);
            }
            State::Block => {
                let head = take!(3);
                self.is_last = head & 1 == 1;
                match head >> 1 {
                    0 => {
                        self.bits.align();
                        State::StoredLen
                    }
                    1 => {
                        self.set_fixed()?;
                        State::Symbol
                    }
                    2 => State::Counts,
                    _ => return Err(Fault::Malformed),
                }
            }
            State::StoredLen => State::StoredCheck(take!(16)),
            State::StoredCheck(len) => {
                if take!(16) != !len {
                    return Err(Fault::Malformed);
                }
                State::Stored(len)
            }
            State::Stored(0) => State::Block,
            State::Stored(len) => {
                // Eight bits.
                let byte = take!(8) as u8;
                self.put(byte);
                State::Stored(len - 1)
            }
            State::Counts => {
                let counts = take!(14);
                self.literal_count = END + 1 + (counts & 31);
                let distances = 1 + (counts >> 5 & 31);
                self.count = self.literal_count + distances;
                // Four bits.
                self.code_count = 4 + (counts >> 10) as u8;
                if self.literal_count > MAX_LITERALS || distances > MAX_DISTANCES {
                    return Err(Fault::Malformed);
                }
                self.lens = [0; 320];
                State::CodeLens(0)
            }
            State::CodeLens(have) if have < self.code_count => {
                // Three bits.
                let len = take!(3) as u8;
                let place = ORDER.get(usize::from(have)).ok_or(Fault::Malformed)?;
                *at(&mut self.lens, usize::from(*place))? = len;
                State::CodeLens(have + 1)
            }
            State::CodeLens(_) => {
                let code: &mut Code = &mut self.distances;
                code.set(self.lens.get(..ORDER.len()).unwrap_or(&[]))?;
                State::Lens(0)
            }
            State::Lens(have) if have < self.count => {
                let before = self.bits;
                let symbol = decode!(self.distances);
                // How many more bits, and how often at least.
                let (more, base) = match symbol {
                    0..=15 => (0, 1),
                    16 => (2, 3),
                    17 => (3, 3),
                    _ => (7, 11),
                };
                let Some(more) = self.bits.take(more) else {
                    self.bits = before;
                    return Ok(Some(Progress::NeedsBits));
                };
                let len = match symbol {
                    // Below 16.
                    0..=15 => symbol as u8,
                    16 => {
                        let last = usize::from(have).checked_sub(1).ok_or(Fault::Malformed)?;
                        *at(&mut self.lens, last)?
                    }
                    _ => 0,
                };
                let end = have + base + more;
                if end > self.count {
                    return Err(Fault::Malformed);
                }
                for place in self.lens.iter_mut().take(usize::from(end)).skip(usize::from(have)) {
                    *place = len;
                }
                State::Lens(end)
            }
            State::Lens(_) => {
                // A block without an end would go on for ever.
                if self.lens.get(usize::from(END)) == Some(&0) {
                    return Err(Fault::Malformed);
                }
                self.set_codes(self.literal_count, self.count)?;
                State::Symbol
            }
            State::Symbol => match decode!(self.literals) {
                END => State::Block,
                symbol if symbol < END => {
                    // Below 256.
                    self.put(symbol as u8);
                    State::Symbol
                }
                symbol => State::Len(symbol - END - 1),
            },
            // The longest copy has a symbol of its own.
            State::Len(28) => State::Distance(258),
            State::Len(symbol) => {
                let (base, more) = spread(symbol, 2)?;
                State::Distance(3 + base + take!(more))
            }
            State::Distance(len) => State::DistanceRest {
                len,
                symbol: decode!(self.distances),
            },
            State::DistanceRest { len, symbol } => {
                let (base, more) = spread(symbol, 1)?;
                let distance = 1 + base + take!(more);
                let far = usize::from(distance);
                if far > self.before + self.output_len() {
                    return Err(Fault::Malformed);
                }
                if far > self.window.len() {
                    let needed = u32::from(distance).next_power_of_two();
                    return Err(Fault::Window {
                        needed: needed.max(MIN_WINDOW),
                    });
                }
                State::Copy { len, distance }
            }
            State::Copy { len: 0, .. } => State::Symbol,
            State::Copy { len, distance } => {
                let len = self.copy(len, usize::from(distance));
                State::Copy { len, distance }
            }
        };
        Ok(Some(Progress::Made))
    }

    /// Copies from so far back, as far as there is room. How much is left.
    fn copy(&mut self, mut len: u16, distance: usize) -> u16 {
        let mut from = match self.head.checked_sub(distance) {
            Some(from) => from,
            // A distance is not longer than the window.
            None => self.head + self.window.len() - distance,
        };
        while len > 0 && !self.is_full() {
            let byte = self.window.get(from).copied().unwrap_or(0);
            self.put(byte);
            from += 1;
            if from >= self.window.len() {
                from = 0;
            }
            len -= 1;
        }
        len
    }

    /// The codes that need not be told: section 3.2.6.
    fn set_fixed(&mut self) -> Result<(), Fault> {
        for (symbol, len) in self.lens.iter_mut().enumerate() {
            *len = match symbol {
                144..256 => 9,
                256..280 => 7,
                // The distances.
                288.. => 5,
                _ => 8,
            };
        }
        self.set_codes(288, 320)
    }

    /// The codes whose lengths lie one behind the other.
    fn set_codes(&mut self, literals: u16, count: u16) -> Result<(), Fault> {
        let lens = self.lens.get(..usize::from(count)).unwrap_or(&[]);
        let (literal_lens, distance_lens) = lens.split_at_checked(usize::from(literals)).unwrap_or_default();
        let code: &mut Code = &mut self.literals;
        code.set(literal_lens)?;
        let code: &mut Code = &mut self.distances;
        code.set(distance_lens)
    }
}

/// What a symbol for a length or a distance begins at, and how many bits say how much more it is: these grow by one with each
/// group of `1 << group` symbols, but for the first two groups (section 3.2.5).
fn spread(symbol: u16, group: u8) -> Result<(u16, u8), Fault> {
    let size = 1 << group;
    if symbol < size {
        return Ok((symbol, 0));
    }
    let more = (symbol >> group) - 1;
    // No symbol beyond 28 for lengths, and none beyond 29 for distances.
    if more > 13 || group == 2 && more > 5 {
        return Err(Fault::Malformed);
    }
    // At most 13.
    Ok(((size | symbol & (size - 1)) << more, more as u8))
}
