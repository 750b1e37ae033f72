//! The download step: network and module side by side, and the checks between them.

use core::future::poll_fn;

use embassy_futures::select::{Either, select};
use embassy_sync::zerocopy_channel::Channel;
use rand_core::CryptoRng;

use super::{Module, Running, traits_of};
use crate::artifact::{Limits, Parser};
use crate::client::device::{Clock, Device};
use crate::client::download::{Block, Fetch, Source, Step};
use crate::client::updates::Updates;
use crate::deployment::Event;
use crate::deployment::record::{DeploymentRecord, RecordError};
use crate::net::Connector;
use crate::provides::ProvidesBuf;
use crate::storage::Storage;
use crate::update_module::{Failure, ModuleSet, Payload, PayloadEvent};

impl<'c, D, C, S, K, R, M> Updates<'_, 'c, D, C, S, K, R, M>
where
    D: Device,
    C: Connector + 'c,
    S: Storage,
    K: Clock,
    R: CryptoRng,
    M: ModuleSet,
{
    pub(super) async fn download(&mut self, running: &mut Running) -> Event {
        let (random, device, config) = {
            let mut session = self.session.lock().await;
            (session.random(), self.device, self.config)
        };
        let mut blocks = [Block::new(self.block_a), Block::new(self.block_b)];
        let mut channel = Channel::new(&mut blocks);
        let (mut sender, receiver) = channel.split();
        let fetch = Fetch {
            config,
            device,
            connector: self.connector,
            clock: self.clock,
            session: self.session,
            route: running.route,
            id: &running.id,
            link: self.link,
            link_len: running.link_len,
            head: self.download_head,
            random,
        };
        let mut source = Source::new(Parser::new(Limits::DEFAULT, self.artifact), receiver);
        // Who is called, and then has to clean up, even if the download fails.
        let mut called = Module::None;
        let take = async {
            // The header first: an artifact that does not fit costs no flash write.
            loop {
                match poll_fn(|cx| source.poll_step(cx)).await {
                    Ok(Step::Header) => break,
                    Ok(Step::Payload(PayloadEvent::End)) => return Err(None),
                    Ok(Step::Payload(_)) => {}
                    Err(_) => return Err(None),
                }
            }
            let Some(header) = source.header() else {
                return Err(None);
            };
            let module = match header.payload_type() {
                None => Module::None,
                Some(artifact_type) => match M::find(artifact_type) {
                    Some(module) => Module::Known(module, traits_of::<M>(module)),
                    None => {
                        return Err(Some(Failure::new(format_args!(
                            "no update module for the payload type \"{artifact_type}\""
                        ))));
                    }
                },
            };
            let session = self.session.lock().await;
            let installed = session.installed();
            header
                .check_fit(config.device_type, installed)
                .map_err(|misfit| Some(Failure::new(misfit)))?;
            let next_len = ProvidesBuf::copy_of(installed, self.next)
                .and_then(|mut next| {
                    header.update_provides(&mut next)?;
                    Ok(next.len())
                })
                .map_err(|error| Some(Failure::new(error)))?;
            drop(session);
            let needed = next_len + DeploymentRecord::header_len(&running.id, header.payload_type().unwrap_or(""));
            if needed > self.scratch.len() {
                return Err(Some(Failure::new(RecordError::TooLong { needed })));
            }
            let mut payload = Payload::new(&mut source);
            called = module;
            if let Module::Known(index, _) = module {
                self.modules.download(index, &mut payload).await.map_err(Some)?;
            }
            // What the module left unread is verified too, and so is the artifact's end.
            payload.finish().await.map_err(|_| None)?;
            Ok(next_len)
        };
        let result = match select(take, async {
            fetch.run(&mut sender).await;
            core::future::pending::<()>().await;
        })
        .await
        {
            Either::First(result) => result,
            Either::Second(()) => Err(None),
        };
        let trouble = source.trouble();
        running.module = called;
        match result {
            Ok(next_len) => {
                running.next_len = next_len;
                Event::Done
            }
            Err(failure) => {
                // The stream's own trouble explains a module's failure, not the other way round.
                match (trouble, failure) {
                    (Some(trouble), _) => self.trouble(running, format_args!("{trouble}")).await,
                    (None, Some(failure)) => self.trouble(running, format_args!("download: {failure}")).await,
                    (None, None) => {
                        self.trouble(running, format_args!("the artifact is not complete"))
                            .await
                    }
                }
                Event::Failed
            }
        }
    }
}
