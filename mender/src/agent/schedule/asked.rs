//! What was decided, with what it needs of memory: the bytes to be sent, the inventory's first attributes, the texts that an observer
//! is told. Pure.

use super::{Agent, News, facts};
use crate::agent::download::Download;
use crate::agent::event::Event;
use crate::agent::io::{Do, Io};
use crate::agent::memory::Memory;
use crate::agent::time::Millis;
use crate::api::inventory::{InventoryWriter, Method, Value};
use crate::fmt::warning;
use crate::net::Peer;
use crate::provides::ARTIFACT_NAME;

/// What the client calls itself in the inventory.
const CLIENT_NAME: &str = "mender-rs";

impl Agent<'_> {
    /// What was decided, with what it needs of memory.
    pub(super) fn io<'m>(&'m mut self, memory: &'m mut Memory<'_>) -> Io<'m> {
        match self.asked.1 {
            Do::NetworkUp => Io::NetworkUp,
            Do::NetworkDown => Io::NetworkDown,
            Do::Connect(peer) => {
                let elsewhere = peer == Peer::ArtifactHost || self.session.is_redirected();
                // It was parsed before.
                let url = memory.url().filter(|_| elsewhere).unwrap_or(self.setup.url);
                let own = self.setup.url;
                let is_own = url.port == own.port && url.host.eq_ignore_ascii_case(own.host);
                Io::Connect(peer, url.endpoint(if is_own { Peer::Server } else { peer }))
            }
            Do::Send(peer, piece) => Io::Send(
                peer,
                memory.window.get(..usize::from(piece.len)).unwrap_or(&[]),
                piece.is_last,
            ),
            Do::Receive(peer) => Io::Receive(peer, memory.window),
            Do::ReceiveBlock => Io::Receive(Peer::ArtifactHost, memory.block),
            Do::Sign => Io::Sign(facts(&self.setup, &self.deployment).digest(memory.window)),
            Do::Inventory(method) => {
                let config = self.setup.config;
                let (installed, spare) = memory.split();
                let room = spare.len().min(usize::from(self.setup.report_len));
                let spare = spare.get_mut(..room).unwrap_or(&mut []);
                // There is room for an empty one.
                let Ok(mut writer) = InventoryWriter::new(spare) else {
                    return Io::Sleep(None);
                };
                if method == Method::Put {
                    let name = installed
                        .artifact_name()
                        .is_none()
                        .then_some((ARTIFACT_NAME, config.artifact_name));
                    let fixed = [
                        ("device_type", config.device_type),
                        ("mender_client", CLIENT_NAME),
                        ("mender_client_version", env!("CARGO_PKG_VERSION")),
                    ];
                    for (key, value) in name.into_iter().chain(installed).chain(fixed) {
                        if let Err(error) = writer.push(key, Value::Text(value)) {
                            warning!("the inventory is not complete: {error}");
                        }
                    }
                }
                Io::Inventory(writer, method)
            }
            Do::Read(key) => Io::Read(key, memory.block),
            Do::Write(key, len) => Io::Write(key, memory.block.get(..usize::from(len)).unwrap_or(&[])),
            Do::Call(module, state) => Io::Call(module, state),
            Do::Download => Io::Download,
            Do::HandOver(len) => {
                self.news = Some(News::Progress);
                let received = self.download().map_or(0, |download| download.progress().0);
                let at = received.saturating_sub(len as u32);
                Io::HandOver { len, at }
            }
            Do::Complete => Io::Complete,
            Do::Broken => Io::Broken,
            Do::Restart => Io::Restart,
            Do::Sleep(left) => Io::Sleep((left < Millis::FOREVER).then(|| left.as_duration())),
            Do::Tell => self.tell(memory),
            Do::Stop => Io::Stop,
        }
    }

    fn download(&self) -> Option<&Download> {
        self.deployment.as_ref()?.download.as_ref()
    }

    fn tell<'m>(&'m mut self, memory: &'m mut Memory<'_>) -> Io<'m> {
        let id = self.deployment.as_ref().map_or("", |deployment| deployment.id.as_str());
        let Some(news) = self.news.take() else {
            return Io::Sleep(None);
        };
        Io::Tell(match news {
            News::Authorized => Event::Authorized,
            News::Unauthorized(refused) => Event::Unauthorized(refused),
            News::NoUpdate => Event::NoUpdate,
            News::Offered => Event::Offered {
                id,
                artifact_name: self.session.answer.artifact_name(memory.spare()),
            },
            News::Resumed(state) => Event::Resumed { id, state },
            News::Deployment(told) => told.event(),
            News::Progress => {
                let (received, total) = self.download().map_or((0, None), |download| download.progress());
                Event::Progress {
                    received: u64::from(received),
                    total: total.map(u64::from),
                }
            }
            News::Finished(verdict) => Event::Finished(verdict),
            News::InventorySent { attributes } => Event::InventorySent { attributes },
            News::StorageFails => Event::StorageFails,
        })
    }
}
