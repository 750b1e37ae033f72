//! Drives the modules as the client does, with the client's own state machine. What the client stores is in a file.

use std::fs;
use std::path::{Path, PathBuf};

use mender::deployment::record::{DeploymentNumber, StateRecord};
use mender::deployment::{Action, DEFAULT_TRANSITION_LIMIT, Event, Machine, Stored, StoredState, Traits, Verdict};
use mender::update_module::{ModuleIndex, ModuleSet, Payload, PayloadSource};

use crate::rig::Device;

/// What the client has in storage.
#[derive(Debug)]
pub struct Storage {
    path: PathBuf,
}

#[derive(Debug, Default)]
struct Record {
    /// None if not even the deployment is stored.
    state: Option<Vec<u8>>,
    committed: bool,
    inconsistent: bool,
}

impl Storage {
    pub fn new(at: &Path) -> Storage {
        Storage {
            path: at.join("storage"),
        }
    }

    fn read(&self) -> Record {
        let Ok(bytes) = fs::read(&self.path) else {
            return Record::default();
        };
        let [committed, inconsistent, state @ ..] = bytes.as_slice() else {
            panic!()
        };
        Record {
            state: Some(state.into()),
            committed: *committed == 1,
            inconsistent: *inconsistent == 1,
        }
    }

    fn write(&self, change: impl FnOnce(&mut Record)) {
        let mut record = self.read();
        change(&mut record);
        let flags = [record.committed, record.inconsistent].map(u8::from);
        let bytes = [flags.as_slice(), &record.state.unwrap_or_default()].concat();
        let new = self.path.with_extension("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, &self.path).unwrap();
    }

    pub fn is_inconsistent(&self) -> bool {
        self.read().inconsistent
    }

    fn resume(&self, traits: Traits) -> Machine {
        let record = self.read();
        let stored = match record.state.as_deref() {
            None => return Machine::start(traits, DEFAULT_TRANSITION_LIMIT),
            Some([]) => Stored::Downloaded,
            Some(state) => {
                let StateRecord { state, transitions, .. } = StateRecord::decode(state).unwrap();
                match state {
                    StoredState::Commit if record.committed => Stored::Committed { transitions },
                    _ => Stored::State { state, transitions },
                }
            }
        };
        Machine::resume(stored, traits, DEFAULT_TRANSITION_LIMIT).unwrap()
    }
}

/// A deployment, until it is over; `None` if the device is to restart.
pub fn deploy(
    device: &mut Device,
    name: &str,
    source: &mut dyn PayloadSource,
    storage: &Storage,
    answer: impl Fn(Action, Event) -> Event,
) -> Option<Verdict> {
    let module = device.index(name);
    let table = device.scripts.descriptors()[usize::from(module.get())];
    let mut machine = storage.resume(table.traits());
    loop {
        let action = machine.action();
        let event = match action {
            Action::End(verdict) => return Some(verdict),
            Action::AwaitRestart => return None,
            Action::Download => match download(device, module, source) {
                Some(traits) => {
                    machine.set_module(traits);
                    Event::Done
                }
                None => Event::Failed,
            },
            Action::Call(state) => match device.runtime.block_on(device.scripts.call(module, state)) {
                Ok(Some(late)) => {
                    machine.answered(late);
                    continue;
                }
                Ok(None) => Event::Done,
                Err(_) => Event::Failed,
            },
            Action::StoreDeployment => {
                storage.write(|record| record.state = Some(Vec::new()));
                Event::Done
            }
            Action::StoreState(state) => {
                let transitions = machine.transitions();
                let number = DeploymentNumber::default().next();
                let state = StateRecord {
                    number,
                    state,
                    transitions,
                };
                storage.write(|record| record.state = Some(state.encode().into()));
                Event::Done
            }
            Action::StoreInstalled => {
                storage.write(|record| record.committed = true);
                Event::Done
            }
            Action::MarkInconsistent => {
                storage.write(|record| record.inconsistent = true);
                Event::Done
            }
            Action::Report(_)
            | Action::CommitGate
            | Action::ReportVerdict(_)
            | Action::Deliver(_)
            | Action::UploadLog => Event::Done,
        };
        machine.handle(answer(action, event));
    }
}

fn download(device: &mut Device, module: ModuleIndex, source: &mut dyn PayloadSource) -> Option<Traits> {
    let mut payload = Payload::new(source);
    let downloaded = device.runtime.block_on(async {
        let traits = device.scripts.download(module, &mut payload).await?;
        payload.finish().await?;
        Ok::<_, mender::update_module::Failure>(traits)
    });
    downloaded.ok().flatten()
}
