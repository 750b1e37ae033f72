//! zstd, as `mender-artifact --compression zstd_best` writes it: one frame, with a window of at most 8 MiB.
//!
//! RFC 8878: section 3.1.1.1 for the frame's head, 3.1.1.2 for a block's. Blocks are given to the decoder one by one, each when all of it
//! has come: what is unpacked but not handed out is never more than a window and a block.

use std::vec::Vec;

use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::io::Read;

use super::{Decoder, std};
use crate::unpack::Fault;

const WINDOW_LEN: u32 = 8 << 20;
/// Of a block.
const MAX_BLOCK_LEN: usize = 128 * 1024;
const OUTPUT_LEN: usize = 128 * 1024;
const MAGIC_LEN: usize = 4;
const BLOCK_HEAD_LEN: usize = 3;
const CHECKSUM_LEN: usize = 4;

pub(super) struct Zstd {
    decoder: FrameDecoder,
    state: State,
    has_checksum: bool,
    /// What has come of the part that is next.
    part: Vec<u8>,
    output: Vec<u8>,
    len: usize,
    /// Bytes that were unpacked.
    total: u64,
}

#[derive(Clone, Copy)]
enum State {
    Head,
    Block,
    /// All blocks have come; the last data are to be handed out.
    Last,
    Ended,
}

impl Zstd {
    pub(super) fn new() -> Zstd {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(u64::from(WINDOW_LEN));
        Zstd {
            decoder,
            state: State::Head,
            has_checksum: false,
            part: Vec::new(),
            output: std::vec![0; OUTPUT_LEN],
            len: 0,
            total: 0,
        }
    }

    /// How long the part is that is next, as far as its bytes tell: it has to be asked again when so many have come.
    fn part_len(&self) -> Result<usize, Fault> {
        Ok(match (self.state, self.part.as_slice()) {
            (State::Head, [_, _, _, _, descriptor, ..]) => {
                let is_single = descriptor >> 5 & 1 == 1;
                let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
                let content_size = [usize::from(is_single), 2, 4, 8][usize::from(descriptor >> 6)];
                MAGIC_LEN + 1 + usize::from(!is_single) + dictionary + content_size
            }
            (State::Head, _) => MAGIC_LEN + 1,
            (State::Block, &[a, b, c, ..]) => {
                let head = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
                // One byte that is repeated, or so many.
                let len = if head >> 1 & 3 == 1 { 1 } else { head >> 3 };
                if len > MAX_BLOCK_LEN {
                    return Err(Fault::Malformed);
                }
                let is_last = head & 1 == 1;
                BLOCK_HEAD_LEN + len + CHECKSUM_LEN * usize::from(is_last && self.has_checksum)
            }
            (State::Block, _) => BLOCK_HEAD_LEN,
            (State::Last | State::Ended, _) => 0,
        })
    }

    /// Unpacks a part, all of which has come.
    fn end_part(&mut self) -> Result<(), Fault> {
        let mut part = self.part.as_slice();
        match self.state {
            State::Head => {
                self.has_checksum = part.get(MAGIC_LEN).is_some_and(|descriptor| descriptor >> 2 & 1 == 1);
                self.decoder.reset(&mut part).map_err(|error| match error {
                    FrameDecoderError::WindowSizeTooBig { requested, .. } => Fault::Window {
                        needed: u32::try_from(requested).unwrap_or(u32::MAX),
                    },
                    _ => Fault::Malformed,
                })?;
                self.state = State::Block;
            }
            State::Block => {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                if self
                    .decoder
                    .decode_blocks(&mut part, one)
                    .map_err(|_| Fault::Malformed)?
                {
                    self.state = State::Last;
                }
            }
            State::Last | State::Ended => {}
        }
        self.part.clear();
        Ok(())
    }

    /// All data were handed out.
    fn end(&mut self) -> Result<(), Fault> {
        let size = self.decoder.content_size();
        let checksum = self.decoder.get_checksum_from_data();
        let is_right = checksum.is_none() || checksum == self.decoder.get_calculated_checksum();
        if !is_right || size != 0 && size != self.total {
            return Err(Fault::Checksum);
        }
        self.state = State::Ended;
        Ok(())
    }
}

impl Decoder for Zstd {
    fn feed(&mut self, input: &[u8]) -> Result<usize, Fault> {
        self.len = 0;
        let mut rest = input;
        loop {
            match self.state {
                State::Head => {}
                State::Block | State::Last => {
                    self.len = self.decoder.read(&mut self.output).map_err(|_| Fault::Malformed)?;
                    self.total += self.len as u64;
                    if self.len > 0 {
                        return Ok(input.len() - rest.len());
                    }
                }
                State::Ended if rest.is_empty() => return Ok(input.len()),
                State::Ended => return Err(Fault::Trailing),
            }
            if let State::Last = self.state {
                self.end()?;
                continue;
            }
            let missing = self.part_len()?.saturating_sub(self.part.len());
            let (came, after) = rest.split_at(missing.min(rest.len()));
            self.part.extend_from_slice(came);
            rest = after;
            if self.part.len() < self.part_len()? {
                if rest.is_empty() {
                    return Ok(input.len());
                }
                continue;
            }
            self.end_part()?;
        }
    }

    fn output(&self) -> &[u8] {
        self.output.get(..self.len).unwrap_or(&[])
    }

    fn finish(&self) -> Result<(), Fault> {
        match self.state {
            State::Ended => Ok(()),
            State::Head | State::Block | State::Last => Err(Fault::Truncated),
        }
    }

    fn window_len(&self) -> u32 {
        WINDOW_LEN
    }
}
