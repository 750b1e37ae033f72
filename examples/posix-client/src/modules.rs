//! The update modules of this client.

use std::path::Path;

use mender_modules::directory::Directory;
use mender_modules::file::SingleFile;

/// What is built in.
pub type Modules = (SingleFile, Directory);

/// The modules, with their work folders in the data directory; they write below `root` only.
pub fn new(data_dir: &Path, root: &Path) -> Modules {
    (
        SingleFile::new(data_dir.join("single-file"), root),
        Directory::new(data_dir.join("directory"), root),
    )
}
