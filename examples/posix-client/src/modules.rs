//! The update modules of this client.

use std::cell::Cell;
use std::path::Path;

use mender::update_module::{CallbackState, Descriptor, Failure, Late, ModuleIndex, ModuleSet, Payload, Traits};
use mender_modules::directory::Directory;
use mender_modules::file::SingleFile;

/// What is built in, with the work folders in the data directory; they write below `root` only.
pub fn built_in(data_dir: &Path, root: &Path) -> (SingleFile, Directory) {
    (
        SingleFile::new(data_dir.join("single-file"), root),
        Directory::new(data_dir.join("directory"), root),
    )
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
