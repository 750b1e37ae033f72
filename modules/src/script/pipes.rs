//! The payload, through named pipes: `stream-next` and `streams/NAME`.
//!
//! ```text
//!   module                                  client
//!   read stream-next   ◄── "streams/a" ──   next file of the payload
//!   read streams/a     ◄── data ... end ──
//!   read stream-next   ◄── "streams/b" ──   ...
//!   read streams/b     ◄── data ... end ──
//!   read stream-next   ◄── end ──────────   no file is left
//! ```
//!
//! A module that never opens `stream-next` wants the files in `files/`.

use core::time::Duration;
use std::borrow::ToOwned;
use std::format;
use std::io;
use std::path::{Path, PathBuf};

use mender::update_module::Payload;
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::io::Errno;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::{OpenOptions, Sender};
use tokio::time::sleep;

use super::error::Error;
use super::tree;

/// How often is looked whether somebody reads a pipe: at first, and after a while. There is no call that says so without a thread.
const LOOK: Duration = Duration::from_millis(1);
const LOOK_LATER: Duration = Duration::from_millis(50);

/// How far a module came with its pipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It has not opened `stream-next`.
    Nothing,
    /// It has, but not come to the end.
    Begun,
    /// It was told that there is no file any more.
    Finished,
}

/// The pipes of one download.
#[derive(Debug)]
pub(super) struct Pipes {
    next: PathBuf,
    streams: PathBuf,
    with_sizes: bool,
    pub(super) reading: Reading,
    /// The pipe that is open. It stays open after an error: its end would look like the end of the data.
    open: Option<Sender>,
}

impl Pipes {
    pub(super) fn make(tree: &Path, with_sizes: bool) -> Result<Pipes, Error> {
        let (next, streams) = (tree.join("stream-next"), tree.join("streams"));
        make_pipe(&next)?;
        tree::make_folder(&streams).map_err(Error::tree("streams"))?;
        Ok(Pipes {
            next,
            streams,
            with_sizes,
            reading: Reading::Nothing,
            open: None,
        })
    }

    /// Gives the module one file after the other, as far as it reads.
    ///
    /// The error [`Error::Unread`] says that it closed a pipe early: how it ends says why.
    pub(super) async fn feed(&mut self, payload: &mut Payload<'_>) -> Result<(), Error> {
        loop {
            self.open = Some(open_for_reader(&self.next).await?);
            self.reading = Reading::Begun;
            let Some(mut file) = payload.next_file().await? else {
                self.reading = Reading::Finished;
                self.open = None;
                return Ok(());
            };
            let name = plain(file.name())?.to_owned();
            let stream = self.streams.join(&name);
            make_pipe(&stream)?;
            let line = if self.with_sizes {
                format!("streams/{name} {}\n", file.len())
            } else {
                format!("streams/{name}\n")
            };
            self.write(line.as_bytes()).await?;
            self.open = None;
            self.open = Some(open_for_reader(&stream).await?);
            while let Some(chunk) = file.next_chunk().await? {
                self.write(chunk).await?;
            }
            self.open = None;
        }
    }

    async fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        let Some(pipe) = &mut self.open else {
            return Err(Error::Unread);
        };
        pipe.write_all(data).await.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::Unread,
            _ => Error::Pipe(error),
        })
    }

    /// Removes the pipes: they are there only in the download.
    pub(super) fn remove(self) -> Result<(), Error> {
        tree::remove(&self.next).map_err(Error::tree("stream-next"))?;
        tree::remove(&self.streams).map_err(Error::tree("streams"))
    }
}

/// Comes back when somebody has opened the pipe to read.
async fn open_for_reader(path: &Path) -> Result<Sender, Error> {
    let mut pause = LOOK;
    loop {
        match OpenOptions::new().open_sender(path) {
            Ok(pipe) => return Ok(pipe),
            Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                // Nobody has opened it; or the module has removed it, and nobody ever will.
                Some(Errno::NXIO | Errno::NOENT) => {}
                Some(_) | None => return Err(Error::Pipe(error)),
            },
        }
        sleep(pause).await;
        pause = (pause * 2).min(LOOK_LATER);
    }
}

fn make_pipe(path: &Path) -> Result<(), Error> {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).map_err(|error| Error::Pipe(error.into()))
}

/// The name of a file, which must not lead anywhere else, nor look like two lines.
fn plain(name: &str) -> Result<&str, Error> {
    let is_plain = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0', '\n']);
    if is_plain { Ok(name) } else { Err(Error::FileName) }
}

/// What is left of a payload, as files in `files/`.
pub(super) async fn write_files(tree: &Path, payload: &mut Payload<'_>) -> Result<(), Error> {
    let folder = tree.join("files");
    while let Some(mut file) = payload.next_file().await? {
        let path = folder.join(plain(file.name())?);
        tree::make_folder(&folder).map_err(Error::tree("files"))?;
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut copy = options.open(path).await.map_err(Error::tree("files"))?;
        while let Some(chunk) = file.next_chunk().await? {
            copy.write_all(chunk).await.map_err(Error::tree("files"))?;
        }
        // What is written later than it is asked for fails here.
        copy.flush().await.map_err(Error::tree("files"))?;
    }
    Ok(())
}
