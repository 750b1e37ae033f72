//! What the server is told of a deployment: progress, the commit gate, the verdict, the log.

use core::ops::ControlFlow;

use embassy_futures::select::{Either3, select3};
use rand_core::CryptoRng;

use super::Running;
use crate::api::log::LogWriter;
use crate::api::status::DeploymentStatus;
use crate::client::calls::Reported;
use crate::client::device::{Clock, Device};
use crate::client::session::User;
use crate::client::updates::Updates;
use crate::deployment::{Event, Progress, Verdict};
use crate::fmt::{error, warning};
use crate::net::Connector;
use crate::storage::Storage;
use crate::update_module::ModuleSet;

/// How often a log's upload is tried.
const LOG_TRIES: u32 = 3;

impl<'c, D, C, S, K, R, M> Updates<'_, 'c, D, C, S, K, R, M>
where
    D: Device,
    C: Connector + 'c,
    S: Storage,
    K: Clock,
    R: CryptoRng,
    M: ModuleSet,
{
    pub(super) async fn report(&mut self, running: &mut Running, progress: Progress) -> Event {
        let status = match progress {
            Progress::Downloading => DeploymentStatus::Downloading,
            Progress::Installing => DeploymentStatus::Installing,
            Progress::Rebooting => DeploymentStatus::Rebooting,
        };
        let reported = self.session.lock().await.report(&running.id, status).await;
        match reported {
            Reported::Stored => Event::Done,
            Reported::Unwanted => {
                self.trouble(running, format_args!("{status}: the server has aborted the deployment"))
                    .await;
                Event::Aborted
            }
            Reported::Refused | Reported::Later { .. } => {
                self.remark(running, format_args!("{status} could not be reported"))
                    .await;
                Event::Failed
            }
        }
    }

    /// New software must log in and report before it may stay (behaviour of clients, section 6): with a fresh token, and
    /// as often as fits into the commit timeout.
    pub(super) async fn commit_gate(&mut self, running: &mut Running) -> Event {
        let began = self.clock.uptime();
        loop {
            let mut session = self.session.lock().await;
            let pause = if session.online(User::Updates).await.is_ok() {
                session.forget_token();
                let asked = match session.report(&running.id, DeploymentStatus::Installing).await {
                    Reported::Stored => {
                        running.delivery.reset();
                        return Event::Done;
                    }
                    Reported::Unwanted => {
                        drop(session);
                        self.trouble(running, format_args!("the server has aborted the deployment"))
                            .await;
                        return Event::Aborted;
                    }
                    Reported::Refused => break,
                    Reported::Later { retry_after } => retry_after,
                };
                running.delivery.pause(session.random()).max(asked.unwrap_or_default())
            } else {
                self.config.network_retry
            };
            drop(session);
            let waited = self.clock.uptime().saturating_sub(began);
            if waited.saturating_add(pause) > self.config.commit_timeout {
                break;
            }
            self.clock.sleep(pause).await;
        }
        running.delivery.reset();
        self.trouble(
            running,
            format_args!("the new software could not report to the server in time"),
        )
        .await;
        Event::Failed
    }

    /// One try to tell the verdict. Says when the next is due, if it failed.
    pub(super) async fn report_verdict(&mut self, running: &mut Running, verdict: Verdict) -> Event {
        let mut session = self.session.lock().await;
        let pause = if session.online(User::Updates).await.is_ok() {
            let asked = match session.report(&running.id, status_of(verdict)).await {
                Reported::Stored => return Event::Done,
                Reported::Unwanted => return Event::Aborted,
                Reported::Refused => {
                    // A deployment that is given up before the server has its verdict may become a failure there; one
                    // that never is keeps the device from every other update.
                    match running.refusals_left.checked_sub(1) {
                        Some(left) => running.refusals_left = left,
                        None => return Event::Aborted,
                    }
                    None
                }
                Reported::Later { retry_after } => retry_after,
            };
            running.delivery.pause(session.random()).max(asked.unwrap_or_default())
        } else {
            self.config.network_retry
        };
        running.next_try = self.clock.uptime().saturating_add(pause);
        Event::Failed
    }

    /// Waits until the verdict may be told again; `Break` if the client is to stop.
    pub(super) async fn pause_delivery(&mut self, running: &mut Running) -> ControlFlow<()> {
        let pause = running.next_try.saturating_sub(self.clock.uptime());
        if pause.is_zero() {
            return ControlFlow::Continue(());
        }
        self.session.lock().await.offline(User::Updates).await;
        let handle = self.handle;
        match select3(self.clock.sleep(pause), handle.update.wait(), handle.stop.wait()).await {
            Either3::First(()) | Either3::Second(()) => ControlFlow::Continue(()),
            Either3::Third(()) => ControlFlow::Break(()),
        }
    }

    pub(super) async fn upload_log(&mut self, running: &mut Running) -> Event {
        let mut log = match LogWriter::new(self.link) {
            Ok(log) => log,
            Err(error) => {
                error!("{error}");
                return Event::Failed;
            }
        };
        running.journal.write_to(self.storage, &mut log).await;
        let Some(body) = log.finish() else { return Event::Done };
        let len = body.len();
        for _ in 0..LOG_TRIES {
            let body = self.link.get(..len).unwrap_or(&[]);
            let mut session = self.session.lock().await;
            let reported = session.upload_log(&running.id, body).await;
            let random = session.random();
            drop(session);
            match reported {
                Reported::Stored => return Event::Done,
                Reported::Unwanted | Reported::Refused => return Event::Failed,
                Reported::Later { retry_after } => {
                    let pause = running.delivery.pause(random).max(retry_after.unwrap_or_default());
                    self.clock.sleep(pause).await;
                }
            }
        }
        warning!("the deployment log could not be sent");
        Event::Failed
    }
}

fn status_of(verdict: Verdict) -> DeploymentStatus {
    match verdict {
        Verdict::Success => DeploymentStatus::Success,
        Verdict::Failure => DeploymentStatus::Failure,
    }
}
