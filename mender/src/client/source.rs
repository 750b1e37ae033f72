//! An artifact on its way: blocks in, events of its payload out; and whether it fits the device.

use core::ops::Range;
use core::task::{Context, Poll};

use super::blocks::{Blocks, End, Full};
use crate::agent::deployment::{Module, Trouble};
use crate::artifact::{self, Event as Found, Parser};
use crate::provides::Provides;
use crate::update_module::{Artifact, Descriptor, Failure, PayloadError, PayloadEvent, PayloadSource};

/// What is found next in the artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The header is complete and verified.
    Header,
    /// Something of the payload.
    Payload(PayloadEvent),
    /// Nothing: the next block has to come first.
    Empty,
    /// Nothing more, for the reason of [`Source::trouble`].
    Failed,
}

/// Blocks in, events out.
pub(super) struct Source<'p, 'b, 'w> {
    pub(super) parser: Parser<'w>,
    blocks: &'p Blocks<'b>,
    /// The block at work.
    block: &'b mut [u8],
    /// Bytes of it that were filled, from where the parser is on.
    filled: Range<usize>,
    /// The last data event's bytes: in the block, or in what was unpacked.
    data: Range<usize>,
    pub(super) state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Reading,
    Ended,
    /// The blocks ended early.
    Broken,
    Refused(artifact::Error),
}

impl<'p, 'b, 'w> Source<'p, 'b, 'w> {
    pub(super) fn new(parser: Parser<'w>, blocks: &'p Blocks<'b>) -> Source<'p, 'b, 'w> {
        Source {
            parser,
            blocks,
            block: &mut [],
            filled: 0..0,
            data: 0..0,
            state: State::Reading,
        }
    }

    /// Why nothing more is found.
    pub(super) fn trouble(&self) -> Trouble {
        match self.state {
            State::Reading | State::Ended | State::Broken => Trouble::Unfinished,
            State::Refused(error) => Trouble::Artifact(error),
        }
    }

    /// Whether a device can take the artifact, whose header is there, and which of its modules.
    pub(super) fn fit(
        &self,
        device_type: &str,
        installed: Provides<'_>,
        modules: &[Descriptor],
    ) -> Result<Module, Trouble> {
        let header = self.parser.header().ok_or(Trouble::Unfinished)?;
        let payload_type = header.payload_type().unwrap_or("");
        let module = Module::find(modules, payload_type);
        if matches!(module, Module::Missing) {
            return Err(Trouble::WrongType(Failure::of(payload_type)));
        }
        header
            .check_fit(device_type, installed)
            .map_err(|misfit| Trouble::Misfit(Failure::of(&misfit)))?;
        Ok(module)
    }

    /// The last data event's bytes, if they are not of the block but were unpacked.
    #[cfg(feature = "gzip")]
    fn unpacked(&self) -> Option<&[u8]> {
        self.parser.unpacked()
    }

    #[cfg(not(feature = "gzip"))]
    fn unpacked(&self) -> Option<&[u8]> {
        None
    }

    pub(super) fn step(&mut self) -> Step {
        self.data = 0..0;
        loop {
            match self.state {
                State::Reading => {}
                State::Ended => return Step::Payload(PayloadEvent::End),
                State::Broken | State::Refused(_) => return Step::Failed,
            }
            let input = self.block.get(self.filled.clone()).unwrap_or(&[]);
            let (consumed, found) = match self.parser.feed(input) {
                Ok(fed) => fed,
                Err(error) => {
                    self.state = State::Refused(error);
                    continue;
                }
            };
            self.filled.start += consumed;
            return match found {
                Found::NeedInput => {
                    if self.next_block() {
                        continue;
                    }
                    Step::Empty
                }
                Found::Header => Step::Header,
                Found::File { len } => Step::Payload(PayloadEvent::File { len }),
                Found::Data(data) => {
                    let len = data.len();
                    self.data = if self.unpacked().is_some() {
                        0..len
                    } else {
                        // The data are the last of the bytes consumed.
                        self.filled.start - len..self.filled.start
                    };
                    Step::Payload(PayloadEvent::Data)
                }
                Found::FileEnd => Step::Payload(PayloadEvent::FileEnd),
            };
        }
    }

    /// Gives the block at work back and takes the next; `false` if there is none yet.
    fn next_block(&mut self) -> bool {
        let block = core::mem::take(&mut self.block);
        if !block.is_empty() {
            self.blocks.give_back(block);
        }
        self.filled = 0..0;
        match self.blocks.take() {
            None => return false,
            Some(Ok(Full { block, len, at })) => {
                self.block = block;
                // What the module had is passed over.
                let passed = self.parser.consumed().saturating_sub(at) as usize;
                self.filled = passed.min(len)..len;
            }
            Some(Err(end)) => match (self.parser.finish(), end) {
                (_, End::Broken) => self.state = State::Broken,
                (Ok(()), _) => self.state = State::Ended,
                (Err(artifact::Error::Truncated { .. }), End::Maybe) => {
                    self.blocks.incomplete();
                    return false;
                }
                (Err(error), _) => self.state = State::Refused(error),
            },
        }
        true
    }
}

impl PayloadSource for Source<'_, '_, '_> {
    fn artifact(&self) -> Artifact<'_> {
        let header = self.parser.header();
        Artifact {
            name: header.map_or("", |header| header.artifact_name()),
            payload_type: header.and_then(|header| header.payload_type()).unwrap_or(""),
            meta_data: header.and_then(|header| header.meta_data()),
        }
    }

    #[cfg(feature = "std")]
    fn header(&self) -> Option<artifact::Header<'_>> {
        self.parser.header()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<PayloadEvent, PayloadError>> {
        loop {
            match self.step() {
                Step::Payload(event) => return Poll::Ready(Ok(event)),
                // Comes once, before the module is called.
                Step::Header => {}
                Step::Empty => {
                    self.blocks.want(self.parser.consumed());
                    self.blocks.wait(cx);
                    return Poll::Pending;
                }
                Step::Failed => {
                    return Poll::Ready(Err(match self.state {
                        State::Refused(_) => PayloadError::Artifact,
                        State::Reading | State::Ended | State::Broken => PayloadError::Connection,
                    }));
                }
            }
        }
    }

    fn file_name(&self) -> &str {
        self.parser.file_name()
    }

    fn data(&self) -> &[u8] {
        let bytes = self.unpacked().unwrap_or(self.block);
        bytes.get(self.data.clone()).unwrap_or(&[])
    }

    fn file_sha256(&self) -> Option<&[u8; 32]> {
        self.parser.file_sha256().filter(|_| self.parser.file_left().is_some())
    }

    fn have(&mut self, bytes: &[u8]) {
        self.data = 0..0;
        let left = self.parser.file_left().unwrap_or(0);
        let (bytes, _) = bytes.split_at(left.min(bytes.len()));
        // Bytes of a file, and not more than there are: they are hashed, and cannot be wrong before its end.
        if let (State::Reading, false) = (self.state, bytes.is_empty())
            && let Ok((taken, _)) = self.parser.feed(bytes)
        {
            self.filled.start = (self.filled.start + taken).min(self.filled.end);
        }
    }
}
