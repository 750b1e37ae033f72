//! An artifact comes: its header is read and judged, then a module takes the payload while the driver goes on.

use core::ops::ControlFlow;

use embassy_futures::select::{Either, select};

use super::blocks::{Blocks, Full};
use super::device::{Clock, Device};
use super::driver::{Beside, Driver, Turn};
use super::source::{Source, State, Step};
use crate::agent::deployment::{Module, Trouble};
use crate::agent::{Agent, Memory};
use crate::artifact::Parser;
use crate::net::Connector;
use crate::storage::Storage;
#[cfg(feature = "gzip")]
use crate::unpack::Unpacker;
use crate::update_module::{Descriptor, ModuleSet, Payload};

impl<'c, D: Device, C: Connector, S: Storage, K: Clock> Driver<'c, D, C, S, K> {
    /// Gets an artifact, and tells the agent how it went. `Break` if the client is to stop.
    pub(super) async fn download<M: ModuleSet>(
        &mut self,
        agent: &mut Agent<'_>,
        memory: &mut Memory<'_>,
        other_block: &mut [u8],
        #[cfg(feature = "gzip")] unpacker: &mut Unpacker,
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
            blocks.take().map(|first| first.map(|full| full.len))
        };
        let blocks = Blocks::new(other_block);
        let limits = self.config.artifact_limits;
        #[cfg(feature = "artifact-keys")]
        let parser = Parser::with_keys(limits, work, self.config.artifact_keys);
        #[cfg(not(feature = "artifact-keys"))]
        let parser = Parser::new(limits, work);
        #[cfg(feature = "gzip")]
        let parser = parser.unpacking(unpacker);
        let mut source = Source::new(parser, &blocks);
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
            Some(Ok(len)) => {
                let block = core::mem::take(&mut rest.block);
                blocks.hand_over(Full { block, len, at: 0 });
            }
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
        let module = source.fit(self.config.device_type, memory.installed(), modules)?;
        let header = source.parser.header().ok_or(Trouble::Unfinished)?;
        // What will have to be stored at the end fits: nothing is half received now, so the agent's block is free.
        let (block, installed) = memory.record();
        agent.record(block, &header, installed).ok_or(Trouble::Record)?;
        Ok(module)
    }
}
