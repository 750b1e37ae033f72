//! The update modules of this client: programs in a folder, and what is built in.

use std::cell::Cell;
use std::path::PathBuf;

use log::{info, warn};
use mender::provides::{ARTIFACT_GROUP, ARTIFACT_NAME};
use mender::update_module::{CallbackState, Descriptor, Failure, Late, ModuleIndex, ModuleSet, Payload, Traits};
use mender_modules::directory::Directory;
use mender_modules::file::SingleFile;
use mender_modules::script::{self, Beside, Scripts};

use crate::installed;
use crate::settings::Settings;

/// All of them. Where a program and a built-in module take the same payload type, it is the program that is asked: whoever put it
/// there meant it.
pub type Modules = Beside<Scripts<Device>, (SingleFile, Directory)>;

/// All of them, with their work folders in the data directory, which is there. The built-in ones write below `settings.root` only.
///
/// # Errors
///
/// The data directory has no absolute path.
pub async fn all(settings: &Settings, device_type: &str) -> Result<Modules, String> {
    // Programs run in folders of their own.
    let data_dir = settings
        .data_dir
        .canonicalize()
        .map_err(|error| format!("{}: {error}", settings.data_dir.display()))?;
    let scripts = script::Settings {
        modules: settings.modules_dir.clone(),
        timeout: settings.module_timeout,
        reboot: ["/bin/sh", "-c", &settings.reboot_command].map(Into::into).to_vec(),
        ..script::Settings::new(data_dir.join("scripts"), device_type)
    };
    let device = Device {
        data_dir: data_dir.clone(),
        artifact_name: settings.artifact_name.clone(),
    };
    let built_in = (
        SingleFile::new(data_dir.join("single-file"), &settings.root),
        Directory::new(data_dir.join("directory"), &settings.root),
    );
    Ok(Beside::new(Scripts::open(scripts, device).await, built_in))
}

/// What programs are told of the device.
#[derive(Debug)]
pub struct Device {
    data_dir: PathBuf,
    /// Before the first update.
    artifact_name: String,
}

impl Device {
    fn provided(&self, wanted: &str) -> String {
        match installed::provides(&self.data_dir, &self.artifact_name) {
            Ok(provides) => {
                let found = provides.into_iter().find(|(key, _)| key == wanted);
                found.map(|(_, value)| value).unwrap_or_default()
            }
            Err(error) => {
                warn!("{error}");
                String::new()
            }
        }
    }
}

impl script::Host for Device {
    fn artifact_name(&mut self) -> String {
        self.provided(ARTIFACT_NAME)
    }

    fn artifact_group(&mut self) -> String {
        self.provided(ARTIFACT_GROUP)
    }

    fn observe(&mut self, event: script::Event<'_>) {
        match event {
            script::Event::Line { .. } => info!("{event}"),
            script::Event::NoModule { .. } | script::Event::Trouble(_) => warn!("{event}"),
        }
    }
}

/// Whether a module changes something just now: a client that is to stop waits for its end then. A download may be cut at any time.
#[derive(Debug, Default)]
pub struct AtWork(Cell<bool>);

impl AtWork {
    /// See the type.
    pub fn get(&self) -> bool {
        self.0.get()
    }
}

/// A set of modules, watched.
#[derive(Debug)]
pub struct Watched<'w, M> {
    /// The modules.
    pub modules: M,
    /// Who wants to know.
    pub at_work: &'w AtWork,
}

/// Takes back what it said when a call is dropped, too.
struct Guard<'w>(&'w AtWork);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.0.set(false);
    }
}

impl<M: ModuleSet> ModuleSet for Watched<'_, M> {
    fn descriptors(&mut self) -> &'static [Descriptor] {
        self.modules.descriptors()
    }

    async fn download(&mut self, module: ModuleIndex, payload: &mut Payload<'_>) -> Result<Option<Traits>, Failure> {
        self.modules.download(module, payload).await
    }

    async fn call(&mut self, module: ModuleIndex, state: CallbackState) -> Result<Option<Late>, Failure> {
        self.at_work.0.set(true);
        let _guard = Guard(self.at_work);
        self.modules.call(module, state).await
    }
}
