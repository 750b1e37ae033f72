//! When the inventory is due, and how it is sent: a full report after the start, changes at each interval. Pure.
//!
//! The first report replaces what the server has, later ones only add (device API, section 7). A first one that failed is
//! repeated as such. Other software is reported at once, and in full. So is everything after a login: whoever was decommissioned
//! and accepted again has a new record, and the server does not say so.

use super::config::Config;
use super::io::Ctx;
use super::message::Call;
use super::session::{CallEnd, Reply};
use super::time::{Backoff, Deadline, Instant, Millis};
use crate::api::Class;
use crate::api::inventory::Method;
use crate::fmt::{info, warning};
use crate::text::Shown;

/// See the [module](self).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Inventory {
    method: Method,
    /// `None`: not before somebody asks.
    due: Option<Deadline>,
    backoff: Backoff,
    /// Attributes in the report under way.
    attributes: u8,
}

impl Inventory {
    /// There is nothing to send before the server knows the device.
    pub(super) const fn new() -> Inventory {
        Inventory {
            method: Method::Put,
            due: None,
            backoff: Backoff::new(),
            attributes: 0,
        }
    }

    /// Other software is in use: the server has to hear everything again.
    pub(super) fn software_changed(&mut self) {
        self.method = Method::Put;
        self.due = Some(Deadline::NOW);
    }

    /// The device has a new token, and may have a new record: the server has to hear everything, at once if it had not accepted the
    /// device before. Tokens also end on their own; nothing is sent for that alone.
    pub(super) fn authorized(&mut self, is_new: bool) {
        self.method = Method::Put;
        if is_new {
            self.due = Some(Deadline::NOW);
        }
    }

    /// Somebody asks for it.
    pub(super) fn asked(&mut self) {
        self.due = Some(Deadline::NOW);
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.left(now).is_zero()
    }

    /// Time until it is due.
    pub(super) fn left(&self, now: Instant) -> Millis {
        self.due.map_or(Millis::FOREVER, |due| due.left(now))
    }

    pub(super) fn method(&self) -> Method {
        self.method
    }

    /// A report of so many attributes is written; `false` if there is nothing to send.
    pub(super) fn written(&mut self, attributes: usize, ctx: &Ctx<'_>) -> bool {
        // The server takes 100.
        self.attributes = attributes as u8;
        if attributes == 0 {
            self.taken(self.method, ctx);
        }
        attributes > 0
    }

    fn taken(&mut self, report: Method, ctx: &Ctx<'_>) {
        self.backoff.reset();
        if report == self.method {
            self.method = Method::Patch;
            self.wait(ctx.now, ctx.config);
        } else {
            // Changes, by a token that was got for them: the server may know nothing else.
            self.due = Some(Deadline::NOW);
        }
    }

    fn wait(&mut self, now: Instant, config: &Config<'_>) {
        self.due = config
            .inventory_interval
            .map(|interval| Deadline::after(now, Millis::of(interval)));
    }

    /// What became of the report; the number of attributes if it was taken.
    pub(super) fn replied(&mut self, call: Call, reply: Reply, ctx: &Ctx<'_>) -> Option<usize> {
        match reply.end {
            CallEnd::NetworkDown => {}
            CallEnd::Failed(error) => warning!("the inventory could not be sent: {}", Shown(&error)),
            CallEnd::Answer(status) => match Class::of(status) {
                Class::Success => {
                    info!("inventory sent: {} attributes", self.attributes);
                    if let Call::Inventory { report, .. } = call {
                        self.taken(report, ctx);
                    }
                    return Some(usize::from(self.attributes));
                }
                // The same again would be refused again.
                Class::GiveUp | Class::Forbidden => {
                    warning!("the server does not take the inventory (status {status})");
                    self.backoff.reset();
                    self.wait(ctx.now, ctx.config);
                    return None;
                }
                Class::Reauthenticate | Class::NotFound | Class::Conflict | Class::RateLimited | Class::RetryLater => {
                    warning!("the server does not take the inventory (status {status})");
                }
            },
        }
        self.due = Some(Deadline::after(
            ctx.now,
            reply.pause(&mut self.backoff, Millis::BUSY, ctx),
        ));
        None
    }
}
