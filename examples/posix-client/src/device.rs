//! This host as the client sees it: who it is, how it restarts, what it tells of itself, and whom to tell what happens.

use std::cell::{Cell, RefCell};
use std::process::Stdio;
use std::sync::Arc;

use log::{error, info, warn};
use mender::api::auth::AuthRefused;
use mender::api::inventory::Value;
use mender::api::key::DeviceKey;
use mender::client::{Device, Event, Handle, Inventory, Signer};
use mender::deployment::{State, Verdict};

use crate::lines::Attribute;
use crate::outcome::Outcome;
use crate::terminal::Terminal;

/// This host.
#[derive(Debug)]
pub struct Host<'h> {
    /// Attributes of the identity.
    pub identity: Vec<(String, String)>,
    /// A provided key.
    pub key: Option<DeviceKey>,
    /// Attributes of the next inventory report.
    pub inventory: RefCell<Vec<Attribute>>,
    /// Restarts the host, by `/bin/sh`.
    pub reboot_command: String,
    /// Where the progress bar is.
    pub terminal: Arc<Terminal>,
    /// The way to the client, which is to stop after one cycle.
    pub once: Option<&'h Handle>,
    /// What has happened.
    pub notes: Notes,
}

/// How far a deployment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Deployment {
    /// There is none.
    #[default]
    None,
    /// Its artifact comes.
    Downloads,
    /// Its artifact has come: to cut it now is to lose it.
    Installs,
}

/// What of the client's events is remembered.
#[derive(Debug, Default)]
pub struct Notes {
    deployment: Cell<Deployment>,
    /// The server has nothing for this device.
    is_up_to_date: Cell<bool>,
    verdict: Cell<Option<Verdict>>,
    refused: Cell<Option<AuthRefused>>,
    storage_fails: Cell<bool>,
}

impl Notes {
    /// An update is being installed, or undone.
    pub fn is_installing(&self) -> bool {
        self.deployment.get() == Deployment::Installs
    }

    /// What one cycle has come to; `last_error` is why the server was not reached.
    pub fn outcome(&self, last_error: Option<String>) -> Outcome {
        if self.storage_fails.get() {
            return Outcome::Failed("the records in the data directory cannot be read; nothing was done".to_owned());
        }
        match (self.verdict.get(), self.refused.get()) {
            (Some(Verdict::Success), _) => Outcome::Updated,
            (Some(Verdict::Failure), _) => Outcome::UpdateFailed,
            (None, Some(refused)) if is_about_the_device(refused) => Outcome::NotAccepted,
            (None, _) if self.is_up_to_date.get() => Outcome::Done,
            (None, Some(refused)) => Outcome::NotReached(format!("the server gave no token: {refused}")),
            (None, None) => Outcome::NotReached(
                last_error.unwrap_or_else(|| "the server does not answer as a Mender server does".to_owned()),
            ),
        }
    }
}

/// Whether somebody has to do something about the device, rather than wait.
fn is_about_the_device(refused: AuthRefused) -> bool {
    match refused {
        AuthRefused::NotAccepted | AuthRefused::SignatureRefused | AuthRefused::Refused { .. } => true,
        AuthRefused::RateLimited
        | AuthRefused::RetryLater { .. }
        | AuthRefused::BadToken
        | AuthRefused::TokenTooLong { .. } => false,
    }
}

impl Device for Host<'_> {
    fn identity(&self) -> impl AsRef<[(&str, &str)]> {
        let pairs = self.identity.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        pairs.collect::<Vec<_>>()
    }

    async fn restart(&self) {
        restart(&self.reboot_command).await;
    }

    async fn network_down(&self) {
        // Nothing is due any more.
        if let Some(handle) = self.once
            && self.notes.deployment.get() == Deployment::None
        {
            handle.stop();
        }
    }

    fn signer(&self) -> Option<impl Signer> {
        self.key.as_ref()
    }

    fn dynamic_inventory(&self, report: &mut Inventory<'_, '_>) {
        for attribute in self.inventory.borrow().iter() {
            match attribute.values.as_slice() {
                [value] => report.text(&attribute.key, value),
                several => {
                    let texts: Vec<&str> = several.iter().map(String::as_str).collect();
                    report.add(&attribute.key, Value::Texts(&texts));
                }
            }
        }
    }

    fn observe(&self, event: Event<'_>) {
        let notes = &self.notes;
        match event {
            Event::Authorized => {
                notes.refused.set(None);
                info!("the server knows this device");
            }
            Event::Unauthorized(refused) => {
                let before = notes.refused.replace(Some(refused));
                if before != Some(refused) {
                    warn!("the server gives no token: {refused}{}", advice(refused));
                }
            }
            Event::NoUpdate => {
                notes.is_up_to_date.set(true);
                info!("there is no update for this device");
            }
            Event::Offered { id, artifact_name } => {
                notes.deployment.set(Deployment::Downloads);
                info!("the server offers {artifact_name} (deployment {id})");
            }
            Event::Resumed { id, state } => {
                notes.deployment.set(Deployment::Installs);
                info!("deployment {id} goes on with {}", state.name());
            }
            Event::Entered(state) => {
                notes.deployment.set(match state {
                    State::Download => Deployment::Downloads,
                    State::Install
                    | State::Reboot
                    | State::VerifyReboot
                    | State::Commit
                    | State::Cleanup
                    | State::Rollback
                    | State::RollbackReboot
                    | State::RollbackVerifyReboot
                    | State::Failure
                    | State::End => Deployment::Installs,
                });
                entered(state);
            }
            Event::Progress { received, total } => match total {
                Some(total) if received < total => self.terminal.progress(received, total),
                Some(total) => {
                    self.terminal.progress_ends();
                    info!("{total} bytes have come");
                }
                None => {}
            },
            Event::Status { status, stored } => {
                let lost = if stored { "" } else { ", but the server did not take it" };
                info!("reported {}{lost}", status.as_str());
            }
            Event::AwaitingRestart => info!("waits for the restart"),
            Event::Finished(verdict) => {
                self.terminal.progress_ends();
                notes.deployment.set(Deployment::None);
                notes.verdict.set(Some(verdict));
                match verdict {
                    Verdict::Success => info!("the update is installed"),
                    Verdict::Failure => warn!("the update has failed"),
                }
            }
            Event::StorageFails => {
                notes.storage_fails.set(true);
                if let Some(handle) = self.once {
                    handle.stop();
                }
            }
            Event::InventorySent { attributes } => info!("inventory sent: {attributes} attributes"),
            // The library may learn to tell more.
            _ => {}
        }
    }
}

fn advice(refused: AuthRefused) -> &'static str {
    match refused {
        AuthRefused::NotAccepted => {
            "; accept it under \"Devices\" in the server's user interface (hosted Mender needs --tenant-token, too)"
        }
        AuthRefused::Refused { .. } => "; check --tenant-token, the identity and --device-tier",
        AuthRefused::SignatureRefused
        | AuthRefused::RateLimited
        | AuthRefused::RetryLater { .. }
        | AuthRefused::BadToken
        | AuthRefused::TokenTooLong { .. } => "",
    }
}

fn entered(state: State) {
    match state {
        State::Download => info!("downloads"),
        State::Install => info!("installs"),
        State::Reboot => info!("restarts"),
        State::VerifyReboot => info!("looks what runs after the restart"),
        State::Commit => info!("commits, if the server can be reached"),
        State::Cleanup => info!("cleans up"),
        State::Rollback => warn!("rolls back"),
        State::RollbackReboot => warn!("restarts into the old software"),
        State::RollbackVerifyReboot => info!("looks whether the old software runs"),
        State::Failure => warn!("undoes the update"),
        State::End => {}
    }
}

/// Runs the command that restarts this host; does not return if it succeeds, because the restart is under way then.
async fn restart(command: &str) {
    info!("restarts this host by `{command}`");
    let status = tokio::process::Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .status()
        .await;
    match status {
        Ok(status) if status.success() => std::future::pending().await,
        Ok(status) => error!("`{command}` failed: {status}"),
        Err(error) => error!("/bin/sh: {error}"),
    }
}
