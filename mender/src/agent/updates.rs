//! When the server is asked for an update, and by which way. Pure.

use super::answer::Polled;
use super::io::Ctx;
use super::message::Call;
use super::session::Reply;
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

    /// A deployment is over; another may be waiting.
    pub(super) fn finished(&mut self, ctx: &Ctx<'_>) {
        self.backoff.reset();
        self.due = Deadline::after(ctx.now, ctx.retry_first());
    }

    pub(super) fn replied(&mut self, reply: Reply, polled: Result<Polled, NextError>, ctx: &Ctx<'_>) -> Outcome {
        let asked = match reply {
            Reply::NetworkDown => {
                self.due = Deadline::after(ctx.now, Millis::of(ctx.config.network_retry));
                return Outcome::Wait;
            }
            Reply::Failed(error) => {
                warning!("cannot check for an update: {}", Shown(&error));
                error.retry_after()
            }
            Reply::Answer { retry_after, .. } => match polled {
                Ok(Polled::Offer { link_len }) => return Outcome::Offer { link_len },
                Ok(Polled::Nothing) => {
                    self.idle(ctx);
                    return Outcome::Nothing;
                }
                Err(NextError::RouteMissing) if self.route == Call::PollV2 => {
                    self.route = Call::PollV1;
                    self.kept = Deadline::after(ctx.now, ROUTE_KEPT);
                    return Outcome::AskAgain;
                }
                Err(error) => {
                    warning!("cannot check for an update: {error}");
                    match error {
                        // The server has ended the deployment that it had for this device.
                        NextError::Conflict | NextError::Forbidden => {
                            self.idle(ctx);
                            return Outcome::Wait;
                        }
                        NextError::RouteMissing
                        | NextError::Unauthorized
                        | NextError::RateLimited
                        | NextError::Refused { .. }
                        | NextError::RetryLater { .. }
                        | NextError::Malformed => retry_after,
                    }
                }
            },
        };
        let pause = self.backoff.pause(ctx.retry_first(), ctx.retry_cap(), ctx.random);
        self.due = Deadline::after(ctx.now, pause.max(asked.unwrap_or(Millis::ZERO)));
        Outcome::Wait
    }

    /// There is nothing to do until the next poll.
    fn idle(&mut self, ctx: &Ctx<'_>) {
        self.backoff.reset();
        self.due = Deadline::after(ctx.now, Millis::of(ctx.config.update_poll_interval));
    }
}
