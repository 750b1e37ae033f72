//! A file that comes, so that a restart in the middle does not make all of it come again: what has come is brought to the disk part by
//! part, and a record beside it says of which file it is and how many parts are there for certain.
//!
//! ```text
//! incoming/content     the file, as far as it has come
//! incoming/received    the hash of all of the file, as its artifact states it; and a dot for each part that is on the disk
//! ```
//!
//! The record is true whenever the power goes: a dot is written when its part is on the disk, and no part changes after that. If a
//! dot is lost, a part comes again. What is behind the last of these parts counts as nothing, whatever the file's length says: a length may
//! be on the disk without what is in the file. A file of one part has no record.
//!
//! Rests on [`File::sha256`] and [`File::have`]: a file that comes compressed begins anew.

use core::future::poll_fn;
use core::task::Poll;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::vec;

use mender::update_module::File;
use sha2::{Digest, Sha256};

use super::journal::Lines;
use super::steps::{NewFile, look};
use super::{Disk, DiskError, Failed};

/// So much is brought to the disk at a time: a MiB. Tests of single steps, each of which they cut, have smaller files.
pub(super) const PART_LEN: u64 = if cfg!(test) { 1 << 10 } else { 1 << 20 };
const BUFFER_LEN: usize = if cfg!(test) { 1 << 8 } else { 1 << 16 };

const RECORD: &str = "received";
const TITLE: &str = "download 1";
const DOT: u8 = b'.';

/// Whether a part of a file is in the folder of a download, and known to be.
pub(super) fn is_begun(incoming: &Path) -> bool {
    read(incoming).is_some()
}

/// What the record says, and the number of parts. One that cannot be read counts as none.
fn read(incoming: &Path) -> Option<(Lines, u64)> {
    let content = fs::read(incoming.join(RECORD)).ok()?;
    let dots = content.iter().rposition(|byte| *byte == b'\n')? + 1;
    let (lines, dots) = content.split_at_checked(dots)?;
    // One that was torn is none, wherever it is.
    let parts = dots.iter().filter(|byte| **byte == DOT).count();
    Some((Lines::parse(lines, TITLE)?, parts as u64))
}

/// Writes a payload file to the folder of a download, which is empty or [begun](is_begun), and gives its hash. Nothing else is in that
/// folder so far. The file goes on behind what is there of it already, or begins anew.
pub(crate) async fn store(
    disk: &Disk,
    incoming: &Path,
    name: &str,
    file: &mut File<'_, '_>,
) -> Result<[u8; 32], Failed> {
    let path = incoming.join(name);
    let mut hash = Sha256::new();
    let mut record = Record::of(file, incoming, &path)?;
    let mut target = if record.parts > 0 {
        go_on(disk, &path, record.len(), file, &mut hash).await?
    } else {
        if look(&incoming.join(RECORD))?.is_some() {
            disk.remove_tree(incoming)?;
            disk.make_folder(incoming)?;
        }
        disk.create(&path)?
    };
    let mut written = record.len();
    while let Some(chunk) = file.next_chunk().await? {
        hash.update(chunk);
        target.write(chunk)?;
        written = written.saturating_add(chunk.len() as u64);
        record.note(disk, incoming, &mut target, written)?;
    }
    target.sync()?;
    Ok(hash.finalize().into())
}

/// Brings in what is there, so many bytes, and opens the file behind them.
async fn go_on(
    disk: &Disk,
    path: &Path,
    len: u64,
    file: &mut File<'_, '_>,
    hash: &mut Sha256,
) -> Result<NewFile, DiskError> {
    let mut target = disk.open_end(path)?;
    if target.len()? > len {
        target.shorten(len)?;
    }
    let mut source = fs::File::open(path).map_err(DiskError::at("open", path))?;
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        let len = source.read(&mut buffer).map_err(DiskError::at("read", path))?;
        match buffer.get(..len) {
            None | Some([]) => return Ok(target),
            Some(data) => {
                hash.update(data);
                file.have(data);
            }
        }
        pause().await;
    }
}

/// Lets others run: there may be a lot to read, and a program that is asked to end must hear it.
async fn pause() {
    let mut paused = false;
    poll_fn(|cx| {
        if core::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The record of a file that comes.
struct Record {
    /// `None`: none is kept.
    sha256: Option<[u8; 32]>,
    file_len: u64,
    /// So many are on the disk.
    parts: u64,
    /// Once this program has written to it.
    written: Option<NewFile>,
}

impl Record {
    /// With the parts that are there of this file.
    fn of(file: &File<'_, '_>, incoming: &Path, path: &Path) -> Result<Record, DiskError> {
        let file_len = file.len();
        let mut record = Record {
            sha256: file.sha256().copied(),
            file_len,
            parts: 0,
            written: None,
        };
        if let Some(sha256) = &record.sha256
            && let Some((lines, parts)) = read(incoming)
            && lines.is_hash("sha256", sha256)
            && let Some(there) = look(path)?
            && there.is_file()
            && parts.saturating_mul(PART_LEN) <= there.len().min(file_len)
        {
            record.parts = parts;
        }
        Ok(record)
    }

    fn len(&self) -> u64 {
        self.parts.saturating_mul(PART_LEN)
    }

    /// So much of the file was written. If a part has become complete with it, it is brought to the disk, and the record says so. The
    /// end of the file is for others.
    fn note(&mut self, disk: &Disk, incoming: &Path, content: &mut NewFile, written: u64) -> Result<(), DiskError> {
        let parts = written / PART_LEN;
        let Some(sha256) = self.sha256.filter(|_| parts > self.parts && written < self.file_len) else {
            return Ok(());
        };
        content.sync_content()?;
        let dots = vec![DOT; usize::try_from(parts - self.parts).unwrap_or(0)];
        let path = incoming.join(RECORD);
        match &mut self.written {
            Some(record) => {
                record.write(&dots)?;
                record.sync_content()?;
            }
            None => {
                let mut record = if self.parts > 0 {
                    disk.open_end(&path)?
                } else {
                    let mut record = disk.create(&path)?;
                    let lines = Lines::new(TITLE).with("sha256", super::hex(&sha256));
                    record.write(lines.text().as_bytes())?;
                    record
                };
                record.write(&dots)?;
                record.sync_content()?;
                // Also where they are there already: who made them may not have come to this.
                disk.sync_folder(incoming)?;
                if let Some(work) = incoming.parent() {
                    disk.sync_folder(work)?;
                }
                self.written = Some(record);
            }
        }
        self.parts = parts;
        Ok(())
    }
}
