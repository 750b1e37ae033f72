//! What the server is told of a deployment: progress, the commit gate, the verdict, the log.

use rand_core::CryptoRng;

use super::Running;
use crate::api::log::LogWriter;
use crate::api::status::DeploymentStatus;
use crate::client::calls::Reported;
use crate::client::device::{Clock, Device};
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
            let mut asked = None;
            if self.device.network_up().await.is_ok() {
                let mut session = self.session.lock().await;
                session.forget_token();
                let reported = session.report(&running.id, DeploymentStatus::Installing).await;
                drop(session);
                match reported {
                    Reported::Stored => {
                        self.news.authorized.signal(());
                        return Event::Done;
                    }
                    Reported::Unwanted => {
                        self.trouble(running, format_args!("the server has aborted the deployment"))
                            .await;
                        return Event::Aborted;
                    }
                    Reported::Refused => break,
                    Reported::Later { retry_after } => asked = retry_after,
                }
            }
            let random = self.session.lock().await.random();
            let pause = running.delivery.pause(random).max(asked.unwrap_or_default());
            let waited = self.clock.uptime().saturating_sub(began);
            if waited.saturating_add(pause) > self.config.commit_timeout {
                break;
            }
            self.clock.sleep(pause).await;
        }
        self.trouble(
            running,
            format_args!("the new software could not report to the server in time"),
        )
        .await;
        Event::Failed
    }

    pub(super) async fn report_verdict(&mut self, running: &mut Running, verdict: Verdict) -> Event {
        if self.device.network_up().await.is_err() {
            return Event::Failed;
        }
        let reported = self.session.lock().await.report(&running.id, status_of(verdict)).await;
        match reported {
            Reported::Stored => Event::Done,
            // 400 and its like stay as they are: repeating the report would not end.
            Reported::Unwanted | Reported::Refused => Event::Aborted,
            Reported::Later { .. } => Event::Failed,
        }
    }

    pub(super) async fn deliver(&mut self, running: &mut Running, verdict: Verdict) -> Event {
        let mut asked = None;
        if self.device.network_up().await.is_ok() {
            let reported = self.session.lock().await.report(&running.id, status_of(verdict)).await;
            match reported {
                Reported::Stored => return Event::Done,
                Reported::Unwanted | Reported::Refused => return Event::Aborted,
                Reported::Later { retry_after } => asked = retry_after,
            }
        }
        let random = {
            let mut session = self.session.lock().await;
            session.close();
            session.random()
        };
        self.device.network_down().await;
        let pause = running.delivery.pause(random).max(asked.unwrap_or_default());
        self.clock.sleep(pause).await;
        Event::Failed
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
