//! When the server is asked for an update, and by which way. Pure.

use super::answer::Polled;
use super::io::Ctx;
use super::message::Call;
use super::session::{CallEnd, Reply};
use super::time::{Backoff, Deadline, Instant, Millis};
use crate::api::next::NextError;
use crate::fmt::warning;
use crate::text::Shown;

/// How long the v1 route is used without asking for v2 again.
const ROUTE_KEPT: Millis = Millis::from_secs(24 * 3600);

/// What follows a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Nothing,
    Offer {
        link_len: u16,
    },
    /// The server does not know the way: it is asked by the other one, at once.
    AskAgain,
    /// Later.
    Wait,
}

/// See the [module](self).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Updates {
    due: Deadline,
    backoff: Backoff,
    route: Call,
    /// Until then the v1 route is used, if it is.
    kept: Deadline,
}

impl Updates {
    pub(super) const fn new() -> Updates {
        Updates {
            due: Deadline::NOW,
            backoff: Backoff::new(),
            route: Call::PollV2,
            kept: Deadline::NOW,
        }
    }

    pub(super) fn left(&self, now: Instant) -> Millis {
        self.due.left(now)
    }

    pub(super) fn hurry(&mut self) {
        self.due = Deadline::NOW;
    }

    /// v2 first; v1 at once if the server does not know v2, and for a day then.
    pub(super) fn route(&mut self, now: Instant) -> Call {
        if self.kept.is_due(now) {
            self.route = Call::PollV2;
        }
        self.route
    }

    /// A deployment is over; another may be waiting. Well: the server knows that it succeeded. One that did not may be offered
    /// again and again, each time with writes to flash.
    pub(super) fn finished(&mut self, well: bool, ctx: &Ctx<'_>) {
        if well {
            self.backoff.reset();
        }
        self.seldom(Millis::ZERO, ctx);
    }

    /// The same again will hardly come to something else: more and more seldom, down to what is usual.
    fn seldom(&mut self, asked: Millis, ctx: &Ctx<'_>) {
        let interval = Millis::of(ctx.config.update_poll_interval);
        let pause = self
            .backoff
            .pause_as_asked(ctx.retry_first(), interval, asked, ctx.random);
        self.due = Deadline::after(ctx.now, pause);
    }

    pub(super) fn replied(&mut self, reply: Reply, polled: Result<Polled, NextError>, ctx: &Ctx<'_>) -> Outcome {
        match reply.end {
            CallEnd::NetworkDown => {}
            CallEnd::Failed(error) => warning!("cannot check for an update: {}", Shown(&error)),
            CallEnd::Answer(_) => match polled {
                Ok(Polled::Offer { link_len }) => return Outcome::Offer { link_len },
                Ok(Polled::Nothing) => {
                    self.idle(ctx);
                    return Outcome::Nothing;
                }
                Err(NextError::RouteMissing) if matches!(self.route, Call::PollV2) => {
                    self.route = Call::PollV1;
                    self.kept = Deadline::after(ctx.now, ROUTE_KEPT);
                    return Outcome::AskAgain;
                }
                Err(error) => {
                    warning!("cannot check for an update: {error}");
                    match error {
                        // The server has ended the deployment that it had for this device.
                        NextError::Conflict => {
                            self.idle(ctx);
                            return Outcome::Wait;
                        }
                        // The device API says the usual interval, but a gateway may have said so.
                        NextError::Forbidden | NextError::Refused { .. } => {
                            self.seldom(reply.asked, ctx);
                            return Outcome::Wait;
                        }
                        NextError::RouteMissing
                        | NextError::Unauthorized
                        | NextError::RateLimited
                        | NextError::RetryLater { .. }
                        | NextError::Malformed => {}
                    }
                }
            },
        }
        self.due = Deadline::after(ctx.now, reply.pause(&mut self.backoff, Millis::BUSY, ctx));
        Outcome::Wait
    }

    /// There is nothing to do until the next poll.
    fn idle(&mut self, ctx: &Ctx<'_>) {
        self.backoff.reset();
        self.due = Deadline::after(ctx.now, Millis::of(ctx.config.update_poll_interval));
    }
}
