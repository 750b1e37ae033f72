//! One process at a time in a data directory, and signals to the one that is there.
//!
//! The file `lock` in the directory is locked as long as the process lives, and has its process id and its [`Role`] in it. The lock goes with the
//! process, however it ends; what is in the file means nothing without it.
//!
//! ```text
//! 4711 client
//! ```

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tool_style::file::unwritable;

const NAME: &str = "lock";
/// Who only looks whether somebody is there ([`ask`]) has the lock for a moment; and a process that was killed, until the system
/// has taken it away.
const TRIES: u8 = 5;
const PAUSE: Duration = Duration::from_millis(50);

/// Why a data directory cannot be used.
#[derive(Debug)]
pub enum LockError {
    /// The system reports this for that path.
    Io(PathBuf, io::Error),
    /// Another process uses it, with this id if it is known.
    Held(PathBuf, Option<u32>),
    /// The process that uses it, with this id, is no client.
    NoClient(PathBuf, u32),
    /// No process uses it, so there is none to send a signal to.
    NotRunning(PathBuf),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Io(path, error) if error.kind() == io::ErrorKind::PermissionDenied => write!(
                f,
                "{}: {error}; start as its owner (root, for a system's client), or choose another directory with --data-dir",
                path.display()
            ),
            LockError::Io(path, error) => write!(f, "{}: {}", path.display(), unwritable(error)),
            LockError::Held(path, Some(id)) => write!(
                f,
                "{}: in use by process {id}; stop that first, or choose another directory with --data-dir",
                path.display()
            ),
            LockError::Held(path, None) => write!(
                f,
                "{}: in use by another process; stop that first, or choose another directory with --data-dir",
                path.display()
            ),
            LockError::NoClient(path, id) => write!(
                f,
                "{}: in use by process {id}, which is no client but installs, commits or rolls back",
                path.display()
            ),
            LockError::NotRunning(path) => write!(f, "{}: no client is running there", path.display()),
        }
    }
}

impl std::error::Error for LockError {}

/// What the process is that has the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A client, which obeys signals.
    Client,
    /// A command that ends by itself. The signals of [`ask`] would kill it.
    Command,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Command => "command",
        }
    }
}

/// The lock of a data directory; ends when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the directory if it is not there (for its owner only: the key is in it), and locks it.
    ///
    /// # Errors
    ///
    /// [`LockError`].
    pub fn take(directory: &Path, role: Role) -> Result<Lock, LockError> {
        let path = directory.join(NAME);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| LockError::Io(path, error)
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed(directory))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(&path)
            .map_err(failed(&path))?;
        let mut tries_left = TRIES;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries_left > 0 => {
                    tries_left -= 1;
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    let id = holder(&mut file).map(|(id, _)| id);
                    return Err(LockError::Held(directory.to_owned(), id));
                }
                Err(TryLockError::Error(error)) => return Err(LockError::Io(path, error)),
            }
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{} {}", std::process::id(), role.name()))
            .map_err(failed(&path))?;
        Ok(Lock { _file: file })
    }
}

fn holder(file: &mut File) -> Option<(u32, Role)> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    let (id, name) = text.trim().split_once(' ')?;
    let role = [Role::Client, Role::Command]
        .into_iter()
        .find(|role| role.name() == name)?;
    Some((id.parse().ok()?, role))
}

/// What a running client can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Ask the server for an update: SIGUSR1, as with the Linux client.
    CheckUpdate,
    /// Send the inventory: SIGUSR2, as with the Linux client.
    SendInventory,
}

/// Sends a signal to the process that has the lock of a data directory.
///
/// # Errors
///
/// [`LockError`].
pub fn ask(directory: &Path, what: Ask) -> Result<(), LockError> {
    let path = directory.join(NAME);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(LockError::NotRunning(directory.to_owned()));
        }
        Err(error) => return Err(LockError::Io(path, error)),
    };
    match file.try_lock_shared() {
        // The id of a process that is gone may be another one's.
        Ok(()) => return Err(LockError::NotRunning(directory.to_owned())),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(LockError::Io(path, error)),
    }
    // Nothing is there yet of one that starts just now.
    let not_running = || LockError::NotRunning(directory.to_owned());
    let id = match holder(&mut file).ok_or_else(not_running)? {
        (id, Role::Client) => i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(not_running)?,
        (id, Role::Command) => return Err(LockError::NoClient(directory.to_owned(), id)),
    };
    let signal = match what {
        Ask::CheckUpdate => Signal::USR1,
        Ask::SendInventory => Signal::USR2,
    };
    kill_process(id, signal).map_err(|error| LockError::Io(path, error.into()))
}
