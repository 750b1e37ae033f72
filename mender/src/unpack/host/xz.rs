//! xz, as `mender-artifact --compression lzma` writes it: one stream, with a dictionary of 64 MiB.

use std::io::ErrorKind;
use std::vec::Vec;

use lzma_rust2::{Action, Status, XzStream};

use super::{Decoder, std};
use crate::unpack::Fault;

/// The decoder may take so much memory: the dictionary, and a little.
const MEMORY_KIB: u32 = 66 * 1024;
const OUTPUT_LEN: usize = 64 * 1024;

pub(super) struct Xz {
    stream: XzStream,
    output: Vec<u8>,
    len: usize,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Unpacking,
    Ended,
}

impl Xz {
    pub(super) fn new() -> Xz {
        Xz {
            stream: XzStream::new_mem_limit(false, MEMORY_KIB),
            output: std::vec![0; OUTPUT_LEN],
            len: 0,
            state: State::Unpacking,
        }
    }
}

impl Decoder for Xz {
    fn feed(&mut self, input: &[u8]) -> Result<usize, Fault> {
        self.len = 0;
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or(&[]);
            match self.state {
                State::Unpacking => {}
                State::Ended if rest.is_empty() => return Ok(used),
                State::Ended => return Err(Fault::Trailing),
            }
            let result = self.stream.process(rest, &mut self.output, Action::Run);
            let step = result.map_err(|error| match error.kind() {
                ErrorKind::OutOfMemory => Fault::Window {
                    needed: self.stream.memory_usage().unwrap_or(u32::MAX).saturating_mul(1024),
                },
                // Its own checksums are part of that.
                _ => Fault::Malformed,
            })?;
            used += step.bytes_consumed;
            self.len = step.bytes_produced;
            if step.status == Status::StreamEnd {
                self.state = State::Ended;
            }
            if self.len > 0 {
                return Ok(used);
            }
            if step.status == Status::Ok && step.bytes_consumed == 0 {
                // It waits for more.
                return if rest.is_empty() {
                    Ok(used)
                } else {
                    Err(Fault::Malformed)
                };
            }
        }
    }

    fn output(&self) -> &[u8] {
        self.output.get(..self.len).unwrap_or(&[])
    }

    fn finish(&self) -> Result<(), Fault> {
        match self.state {
            State::Ended => Ok(()),
            State::Unpacking => Err(Fault::Truncated),
        }
    }

    fn window_len(&self) -> u32 {
        MEMORY_KIB * 1024
    }
}
