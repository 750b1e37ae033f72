//! An artifact comes: its header is read and judged, then a module takes the payload while the driver goes on.

use core::ops::{ControlFlow, Range};
use core::task::{Context, Poll};

use embassy_futures::select::{Either, select};

use super::blocks::{Blocks, End};
use super::device::{Clock, Device};
use super::driver::{Beside, Driver, Turn};
use crate::agent::deployment::{Module, Trouble};
use crate::agent::{Agent, Memory};
use crate::artifact::{self, Event as Found, Parser};
use crate::net::Connector;
use crate::storage::Storage;
use crate::update_module::{
    Artifact, Descriptor, Failure, ModuleSet, Payload, PayloadError, PayloadEvent, PayloadSource,
};

impl<'c, D: Device, C: Connector, S: Storage, K: Clock> Driver<'c, D, C, S, K> {
    /// Gets an artifact, and tells the agent how it went. `Break` if the client is to stop.
    pub(super) async fn download<M: ModuleSet>(
        &mut self,
        agent: &mut Agent<'_>,
        memory: &mut Memory<'_>,
        other_block: &mut [u8],
        modules: &mut M,
    ) -> ControlFlow<()> {
        let installed_len = memory.installed_len;
        let (front, work) = memory.front.split_at_mut_checked(installed_len).unwrap_or_default();
        // Until the first block is there, however long that takes, the agent has the room for the header too.
        let first = {
            let blocks = Blocks::new(&mut []);
            let mut rest = Memory {
                token: &mut *memory.token,
                link: &mut *memory.link,
                link_len: memory.link_len,
                window: &mut *memory.window,
                front: &mut *front,
                installed_len,
                spare: &mut *work,
                block: &mut *memory.block,
            };
            if let Turn::Stop = self.run(agent, &mut rest, Beside::Header(&blocks)).await {
                return ControlFlow::Break(());
            }
            memory.link_len = rest.link_len;
            blocks.take().map(|first| first.map(|(_, len)| len))
        };
        let blocks = Blocks::new(other_block);
        let mut source = Source::new(Parser::new(self.config.artifact_limits, work), &blocks);
        // What is left to the agent from then on.
        let mut rest = Memory {
            token: &mut *memory.token,
            link: &mut *memory.link,
            link_len: memory.link_len,
            window: &mut *memory.window,
            front,
            installed_len,
            spare: &mut [],
            block: &mut *memory.block,
        };
        match first {
            Some(Ok(len)) => blocks.hand_over(core::mem::take(&mut rest.block), len),
            Some(Err(end)) => blocks.end(end),
            None => {}
        }
        let mut module = Module::None;
        let result = 'taken: {
            // The header first: an artifact that does not fit costs no flash write.
            loop {
                match source.step() {
                    Step::Header => break,
                    Step::Empty => {
                        if let Turn::Stop = self.run(agent, &mut rest, Beside::Header(&blocks)).await {
                            return ControlFlow::Break(());
                        }
                    }
                    Step::Payload(_) => {}
                    Step::Failed => break 'taken Err(source.trouble()),
                }
            }
            if rest.block.is_empty() {
                rest.block = blocks.take_back();
            }
            module = match self.judge(agent, &mut rest, &source, modules.descriptors()) {
                Ok(module) => module,
                Err(trouble) => break 'taken Err(trouble),
            };
            rest.spare = source.parser.take_spare();
            let take = async {
                let mut payload = Payload::new(&mut source);
                if let Module::Known(index, traits) = &mut module {
                    let taken = modules.download(*index, &mut payload).await.map_err(Trouble::Module)?;
                    if let Some(now) = taken {
                        *traits = now;
                    }
                }
                // What the module left unread is verified too, and so is the artifact's end.
                payload.finish().await.map_err(|_| Trouble::Unfinished)
            };
            let taken = match select(take, self.run(agent, &mut rest, Beside::Payload(&blocks))).await {
                Either::First(taken) => taken,
                // Nothing else is asked for while an artifact comes.
                Either::Second(_) => return ControlFlow::Break(()),
            };
            agent.interrupted();
            // The stream's own trouble explains a module's failure, not the other way round.
            match (taken, source.state) {
                (Err(_), State::Refused(error)) => Err(Trouble::Artifact(error)),
                (taken, _) => taken,
            }
        };
        self.artifact_host = None;
        let record = result.and_then(|()| {
            let header = source.parser.header().ok_or(Trouble::Unfinished)?;
            let installed = crate::agent::memory::as_provides(front);
            agent.record(memory.block, &header, installed).ok_or(Trouble::Record)
        });
        agent.downloaded(self.now(), memory, module, record);
        ControlFlow::Continue(())
    }

    /// Whether this device can take the artifact, and who.
    fn judge(
        &self,
        agent: &Agent<'_>,
        memory: &mut Memory<'_>,
        source: &Source<'_, '_, '_>,
        modules: &[Descriptor],
    ) -> Result<Module, Trouble> {
        let header = source.parser.header().ok_or(Trouble::Unfinished)?;
        let payload_type = header.payload_type().unwrap_or("");
        let module = Module::find(modules, payload_type);
        if matches!(module, Module::Missing) {
            return Err(Trouble::WrongType(Failure::of(payload_type)));
        }
        header
            .check_fit(self.config.device_type, memory.installed())
            .map_err(|misfit| Trouble::Misfit(Failure::of(&misfit)))?;
        // What will have to be stored at the end fits: nothing is half received now, so the agent's block is free.
        let (block, installed) = memory.record();
        agent.record(block, &header, installed).ok_or(Trouble::Record)?;
        Ok(module)
    }
}

/// What is found next in the artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
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
struct Source<'p, 'b, 'w> {
    parser: Parser<'w>,
    blocks: &'p Blocks<'b>,
    /// The block at work.
    block: &'b mut [u8],
    /// Bytes of it that were filled, from where the parser is on.
    filled: Range<usize>,
    /// The last data event's bytes.
    data: Range<usize>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    /// The blocks ended early.
    Broken,
    Refused(artifact::Error),
}

impl<'p, 'b, 'w> Source<'p, 'b, 'w> {
    fn new(parser: Parser<'w>, blocks: &'p Blocks<'b>) -> Source<'p, 'b, 'w> {
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
    fn trouble(&self) -> Trouble {
        match self.state {
            State::Reading | State::Ended | State::Broken => Trouble::Unfinished,
            State::Refused(error) => Trouble::Artifact(error),
        }
    }

    fn step(&mut self) -> Step {
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
                    // The data are the last of the bytes consumed.
                    self.data = self.filled.start - data.len()..self.filled.start;
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
            Some(Ok((block, len))) => {
                self.block = block;
                self.filled = 0..len;
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
        self.block.get(self.data.clone()).unwrap_or(&[])
    }
}
