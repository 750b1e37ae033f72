//! [`TlsConnector`]: hands connections to the work, and is the work.

use core::cell::RefCell;
use core::convert::Infallible;
use core::time::Duration;

use embassy_futures::select::{Either3, select, select3};
use embassy_futures::yield_now;

use super::error::{StreamError, TlsError};
use super::memory::{Place, State, Target, TlsMemory, stream_until, work_until};
use super::records::Seen;
use super::roots::{RootError, Roots};
use super::session::{self, Handshake};
use super::stream::{Kind, Tls, TlsStream};
use crate::fmt::warning;
use crate::net::{Connector, Endpoint, Security};
use crate::rng::SecureRng;

/// What the time means for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Validity {
    /// Certificates must be valid now. Without a time there is no connection. This is the default.
    #[default]
    Checked,
    /// As [`Checked`](Validity::Checked) if the time is known. If it is not, all certificates of a chain must have been valid
    /// together at one time, which may be long ago.
    ///
    /// The risk: whoever has got hold of a key whose certificate has expired since can play the server, for which it
    /// needs to be on the path as well. What a device without a clock can do instead: take the time from the network
    /// (SNTP, the cellular network) before the client's first connection, and give it by
    /// [`Clock::unix_time`](crate::client::Clock::unix_time).
    CheckedIfKnown,
}

/// TLS 1.3 over a plain connector. [`Endpoint`]s that want plain connections get them.
///
/// See the [module's documentation](super) for what it needs and what it promises.
pub struct TlsConnector<'a, C, R, const RX: usize = 16_640, const TX: usize = 1_024> {
    plain: C,
    memory: &'a TlsMemory<RX, TX>,
    rng: RefCell<R>,
    roots: Roots<'a>,
    validity: Validity,
}

impl<C, R, const RX: usize, const TX: usize> core::fmt::Debug for TlsConnector<'_, C, R, RX, TX> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TlsConnector")
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

impl<'a, C: Connector, R: SecureRng, const RX: usize, const TX: usize> TlsConnector<'a, C, R, RX, TX> {
    /// TLS over `plain`, trusting `roots`.
    ///
    /// `rng` makes the keys of each connection: they are only as good as it is.
    ///
    /// # Errors
    ///
    /// [`RootError`] if a root is no certificate, or there is none.
    pub fn new(plain: C, memory: &'a mut TlsMemory<RX, TX>, rng: R, roots: Roots<'a>) -> Result<Self, RootError> {
        roots.check()?;
        Ok(TlsConnector {
            plain,
            memory,
            rng: RefCell::new(rng),
            roots,
            validity: Validity::Checked,
        })
    }

    /// With another rule for the time.
    #[must_use]
    pub fn validity(self, validity: Validity) -> Self {
        TlsConnector { validity, ..self }
    }

    /// Works on one place for ever.
    async fn serve(&self, place: &Place<RX, TX>) -> Infallible {
        loop {
            // A connect may be dropped before it is seen here.
            let is_wanted = work_until(&place.door, |door| match door.state {
                State::Connect => Some(true),
                State::Close | State::Abort => Some(false),
                State::Free | State::Failed(_) | State::Idle | State::Asked(_) | State::Done(_) => None,
            });
            if is_wanted.await {
                let aborted = work_until(&place.door, |door| (door.state == State::Abort).then_some(()));
                // Whichever ends first: TLS state and plain connection are dropped with the other one.
                select(aborted, self.connection(place)).await;
            }
            // A stream that is still there hears of its failure before the place is free.
            work_until(&place.door, |door| {
                matches!(door.state, State::Close | State::Abort).then_some(())
            })
            .await;
            self.memory.free(&place.door);
        }
    }

    /// One connection, from its handshake to its end.
    #[expect(
        clippy::await_holding_refcell_ref,
        reason = "nobody else borrows the records and the target of a place in use"
    )]
    async fn connection(&self, place: &Place<RX, TX>) {
        let mut records = place.records.borrow_mut();
        let (rx, tx) = &mut *records;
        let seen = Seen::default();
        let target = place.target.borrow();
        let opened = async {
            let now = self.now(&target)?;
            let endpoint = Endpoint {
                host: &target.host,
                port: target.port,
                security: Security::Plain,
                peer: target.peer,
                unix_time: target.unix_seconds.map(Duration::from_secs),
            };
            let plain = self.plain.connect(endpoint).await.map_err(|error| {
                warning!("cannot connect to {}: {error:?}", target.host);
                TlsError::Connect
            })?;
            let handshake = Handshake {
                rng: &self.rng,
                roots: self.roots.of(target.peer),
                host: &target.host,
                now,
            };
            session::run(plain, (rx, tx), &seen, handshake, &place.door).await
        };
        if let Err(error) = opened.await {
            place.door.borrow_mut().set(State::Failed(error));
        }
    }

    /// The time for certificates.
    fn now(&self, target: &Target) -> Result<Option<Duration>, TlsError> {
        match (target.unix_seconds, self.validity) {
            (Some(now), Validity::Checked | Validity::CheckedIfKnown) => Ok(Some(Duration::from_secs(now))),
            (None, Validity::Checked) => Err(TlsError::NoTime),
            (None, Validity::CheckedIfKnown) => Ok(None),
        }
    }
}

/// The work goes on; when it is dropped, the streams hear of it.
struct Driven<'m, const RX: usize, const TX: usize>(&'m TlsMemory<RX, TX>);

impl<const RX: usize, const TX: usize> Drop for Driven<'_, RX, TX> {
    fn drop(&mut self) {
        self.0.is_driven.set(false);
        for place in &self.0.places {
            let mut door = place.door.borrow_mut();
            let state = match door.state {
                State::Connect => State::Failed(TlsError::NotDriven),
                State::Idle | State::Asked(_) | State::Done(Ok(_)) => State::Done(Err(StreamError::Over)),
                State::Close | State::Abort => State::Free,
                State::Free | State::Failed(_) | State::Done(Err(_)) => continue,
            };
            door.set(state);
        }
    }
}

impl<C: Connector, R: SecureRng, const RX: usize, const TX: usize> Connector for TlsConnector<'_, C, R, RX, TX> {
    type Connection<'c>
        = TlsStream<'c, C::Connection<'c>>
    where
        Self: 'c;
    type Error = TlsError;

    async fn connect<'c>(&'c self, endpoint: Endpoint<'_>) -> Result<Self::Connection<'c>, TlsError> {
        match endpoint.security {
            Security::Plain => match self.plain.connect(endpoint).await {
                Ok(plain) => Ok(TlsStream(Kind::Plain(plain))),
                Err(error) => {
                    warning!("cannot connect to {}: {error:?}", endpoint.host);
                    Err(TlsError::Connect)
                }
            },
            Security::Tls => {
                if !self.memory.is_driven.get() {
                    // It may be polled after whoever connects.
                    yield_now().await;
                }
                if !self.memory.is_driven.get() {
                    return Err(TlsError::NotDriven);
                }
                let host = endpoint.host.try_into().map_err(|_| TlsError::Host)?;
                let door = self.memory.take(Target {
                    host,
                    port: endpoint.port,
                    peer: endpoint.peer,
                    unix_seconds: endpoint.unix_time.map(|time| time.as_secs()),
                });
                let door = door.await;
                // Gives the place back if it is dropped.
                let tls = Tls { door };
                stream_until(door, |door| match &door.state {
                    State::Failed(error) => Some(Err(error.clone())),
                    State::Idle => Some(Ok(())),
                    State::Free | State::Connect | State::Asked(_) | State::Done(_) | State::Close | State::Abort => {
                        None
                    }
                })
                .await?;
                Ok(TlsStream(Kind::Tls(tls)))
            }
        }
    }

    async fn work(&self) -> Infallible {
        self.memory.is_driven.set(true);
        let _driven = Driven(self.memory);
        let [first, second] = &self.memory.places;
        match select3(self.serve(first), self.serve(second), self.plain.work()).await {
            Either3::First(never) | Either3::Second(never) | Either3::Third(never) => never,
        }
    }
}
