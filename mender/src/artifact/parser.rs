//! The push parser: which bytes of the stream are what. What an entry means is in `parser/entries.rs`.
//!
//! Rules: spec of the artifact format, sections 1, 2, 7 and 13.

mod entries;

use sha2::{Digest, Sha256};

use super::document::Records;
use super::entry::Name;
use super::error::{Archive, Checked, Error, TarFault};
use super::header::Header;
use super::limits::{Limit, Limits};
use super::manifest::{Files, Sha256Sum};
use super::tar::{BLOCK_LEN, Block, BlockReader, KEPT_LEN};

/// What [`Parser::feed`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'i> {
    /// All of the input was consumed, and nothing is to be reported. Feed more; at the end of the stream call
    /// [`Parser::finish`].
    NeedInput,
    /// The header is complete and verified: [`Parser::header`] has it. Comes exactly once, before any file, and only
    /// if `data/0000.tar` follows or may be missing. Time to check whether the artifact fits.
    Header,
    /// A payload file begins; [`Parser::file_name`] has its name.
    File {
        /// Length of the file in bytes.
        len: u64,
    },
    /// Data of the file that began last. Never empty.
    Data(&'i [u8]),
    /// The file has ended, and its SHA-256 is the one in the manifest.
    FileEnd,
}

/// Which archive the stream is in, and what may come next there.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// In the artifact, expecting `version`.
    Version,
    Manifest {
        version: Sha256Sum,
    },
    SignatureOrHeader {
        header: Sha256Sum,
    },
    Header {
        header: Sha256Sum,
    },
    /// In `header.tar`.
    InHeader {
        left: u64,
        next: HeaderStage,
        /// The checksum from the manifest.
        header: Sha256Sum,
    },
    /// In the artifact, expecting `data/0000.tar`, or the end if there are no files.
    Payload,
    /// In `data/0000.tar`.
    InPayload {
        left: u64,
    },
    /// In the artifact, expecting its end.
    AfterPayload,
    /// Behind the artifact's end blocks.
    Ended,
}

/// What may come next in `header.tar`.
#[derive(Clone, Copy, Debug)]
enum HeaderStage {
    HeaderInfo,
    ScriptOrTypeInfo,
    MetaDataOrEnd,
    End,
}

/// What the next bytes of the archive are.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A header block.
    Block(BlockReader),
    /// An entry that is collected in the work buffer.
    Text { text: Text, len: usize, filled: usize },
    /// An entry that is skipped, of which `left` bytes and then its padding are missing.
    Skip { left: u64, padding: u64 },
    /// A payload file, hashed and handed over.
    File { left: u64, padding: u64 },
    /// Bytes up to the next block: any value, as all real readers ignore them.
    Padding { left: u64 },
    /// The second of the two end blocks.
    EndBlock { left: u64 },
    /// Zeros behind the end blocks, up to the end of the archive.
    Zeros,
    /// Nothing: the artifact was refused.
    Failed(Error),
}

const NEXT_BLOCK: Step = Step::Block(BlockReader::new());

/// An entry that is collected in the work buffer.
#[derive(Clone, Copy, Debug)]
enum Text {
    Version,
    Manifest,
    Signature,
    HeaderInfo,
    TypeInfo,
    MetaData,
    Pax,
    LongName,
}

/// What PAX headers and long names said about the entry that must follow.
#[derive(Clone, Copy, Debug, Default)]
struct Extension {
    pax: bool,
    name: Option<Name>,
    size: Option<u64>,
}

/// Where the parts of the work buffer that are kept end; they lie one behind the other. What is behind the last is
/// used for whatever is being collected.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    files: usize,
    header_info: usize,
    type_info: usize,
    meta_data: usize,
}

impl Kept {
    /// The first part ends at `files`; the others are empty so far.
    fn up_to(files: usize) -> Kept {
        Kept {
            files,
            header_info: files,
            type_info: files,
            meta_data: files,
        }
    }
}

/// A push parser for Mender artifacts, format version 3.
///
/// It owns less than 400 bytes: what must be kept of an artifact is in the lent work buffer, payload data are
/// handed through. See the [module](super) for an example.
///
/// The parser's state does not depend on how the stream is cut into pieces. It knows nothing of where the bytes come
/// from: to resume a broken download, ask for the bytes from [`offset`](Parser::offset) on.
#[derive(Debug)]
pub struct Parser<'w> {
    limits: Limits,
    work: &'w mut [u8],
    kept: Kept,
    offset: u64,
    stage: Stage,
    step: Step,
    extension: Extension,
    /// Of `header.tar`, then of each file.
    hash: Sha256,
    manifest_sha256: Sha256Sum,
    signed: bool,
    scripts: u16,
    header_ready: bool,
    /// The file that began last: where its entry is in the list of files.
    file: Option<usize>,
}

impl<'w> Parser<'w> {
    /// A parser at the beginning of an artifact. `work` may be of any length and contents;
    /// [`Limits::work_len`] bytes are always enough.
    pub fn new(limits: Limits, work: &'w mut [u8]) -> Parser<'w> {
        Parser {
            limits,
            work,
            kept: Kept::default(),
            offset: 0,
            stage: Stage::Version,
            step: NEXT_BLOCK,
            extension: Extension::default(),
            hash: Sha256::new(),
            manifest_sha256: [0; 32],
            signed: false,
            scripts: 0,
            header_ready: false,
            file: None,
        }
    }

    /// Takes the next bytes of the stream and returns how many were consumed and what was found. Call it again with
    /// what is left, even if that is nothing, until it returns [`Event::NeedInput`]: more than one event can belong
    /// to the same byte.
    ///
    /// # Errors
    ///
    /// [`Error`], and the same one in every later call. Data handed over before must not be used.
    pub fn feed<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Event<'i>), Error> {
        let mut rest = input;
        match self.run(&mut rest) {
            Ok(event) => Ok((input.len().saturating_sub(rest.len()), event)),
            Err(error) => {
                self.step = Step::Failed(error);
                Err(error)
            }
        }
    }

    /// To be called at the end of the stream: whether the artifact is complete. Only after this may anything be
    /// activated: a missing file, something behind the end or a cut stream is known only here.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] if the stream ended early; an earlier error again.
    pub fn finish(&self) -> Result<(), Error> {
        match (self.step, self.stage) {
            (Step::Failed(error), _) => Err(error),
            (Step::Zeros, Stage::Ended) => Ok(()),
            _ => Err(Error::Truncated { offset: self.offset }),
        }
    }

    /// Bytes of the stream consumed so far: where a broken download must be resumed.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The header, from [`Event::Header`] on.
    pub fn header(&self) -> Option<Header<'_>> {
        self.header_ready.then(|| self.view())
    }

    /// Name of the file that began last: ASCII letters, digits and `_-.,`, never `.` or `..`. Empty before the first.
    pub fn file_name(&self) -> &str {
        self.file
            .and_then(|at| self.files().get(at))
            .and_then(|file| core::str::from_utf8(file.name).ok())
            .unwrap_or("")
    }

    /// SHA-256 of the file that began last, as the manifest has it. At [`Event::FileEnd`] it has been compared.
    pub fn file_sha256(&self) -> Option<&[u8; 32]> {
        self.file
            .and_then(|at| self.files().get(at))
            .and_then(|file| file.digest.try_into().ok())
    }

    fn view(&self) -> Header<'_> {
        let part = |from, to| self.work.get(from..to).unwrap_or(&[]);
        let meta_data = part(self.kept.type_info, self.kept.meta_data);
        Header {
            header_info: Records(part(self.kept.files, self.kept.header_info)),
            type_info: Records(part(self.kept.header_info, self.kept.type_info)),
            meta_data: core::str::from_utf8(meta_data).ok().filter(|text| !text.is_empty()),
            manifest_sha256: &self.manifest_sha256,
            signed: self.signed,
            scripts: self.scripts,
        }
    }

    fn files(&self) -> Files<'_> {
        Files(self.work.get(..self.kept.files).unwrap_or(&[]))
    }

    fn archive(&self) -> Archive {
        match self.stage {
            Stage::Version
            | Stage::Manifest { .. }
            | Stage::SignatureOrHeader { .. }
            | Stage::Header { .. }
            | Stage::Payload
            | Stage::AfterPayload
            | Stage::Ended => Archive::Artifact,
            Stage::InHeader { .. } => Archive::Header,
            Stage::InPayload { .. } => Archive::Payload,
        }
    }

    fn tar_error(&self, fault: TarFault) -> Error {
        Error::Tar {
            archive: self.archive(),
            fault,
        }
    }

    /// Bytes left of the inner archive; without bound in the artifact itself, whose length nobody knows.
    fn left(&self) -> u64 {
        match self.stage {
            Stage::InHeader { left, .. } | Stage::InPayload { left } => left,
            Stage::Version
            | Stage::Manifest { .. }
            | Stage::SignatureOrHeader { .. }
            | Stage::Header { .. }
            | Stage::Payload
            | Stage::AfterPayload
            | Stage::Ended => u64::MAX,
        }
    }

    /// Consumes up to `max` bytes.
    fn take<'i>(&mut self, rest: &mut &'i [u8], max: u64) -> &'i [u8] {
        let len = usize::try_from(max).unwrap_or(usize::MAX).min(rest.len());
        let (taken, after) = rest.split_at(len);
        *rest = after;
        self.offset = self.offset.saturating_add(len as u64);
        match &mut self.stage {
            Stage::InHeader { left, .. } => {
                *left = left.saturating_sub(len as u64);
                self.hash.update(taken);
            }
            Stage::InPayload { left } => *left = left.saturating_sub(len as u64),
            Stage::Version
            | Stage::Manifest { .. }
            | Stage::SignatureOrHeader { .. }
            | Stage::Header { .. }
            | Stage::Payload
            | Stage::AfterPayload
            | Stage::Ended => {}
        }
        taken
    }

    fn run<'i>(&mut self, rest: &mut &'i [u8]) -> Result<Event<'i>, Error> {
        loop {
            match self.step {
                Step::File { left: 0, padding } => {
                    self.end_file()?;
                    self.step = Step::Padding { left: padding };
                    return Ok(Event::FileEnd);
                }
                Step::File { left, padding } => {
                    let data = self.take(rest, left);
                    if data.is_empty() {
                        return Ok(Event::NeedInput);
                    }
                    self.hash.update(data);
                    self.step = Step::File {
                        left: left.saturating_sub(data.len() as u64),
                        padding,
                    };
                    return Ok(Event::Data(data));
                }
                Step::Padding { left: 0 } => self.step = NEXT_BLOCK,
                Step::Skip { left: 0, padding } => self.step = Step::Padding { left: padding },
                Step::Text { text, len, filled } if len == filled => {
                    self.step = Step::Padding {
                        left: padding(len as u64),
                    };
                    self.end_text(text, len)?;
                }
                Step::EndBlock { left: 0 } => {
                    self.step = Step::Zeros;
                    if let Stage::Payload | Stage::AfterPayload = self.stage {
                        self.stage = Stage::Ended;
                    }
                }
                Step::Zeros if self.left() == 0 => self.leave_inner()?,
                Step::Block(reader) if reader.missing() > self.left() => {
                    return Err(self.tar_error(TarFault::NoEndBlocks));
                }
                Step::EndBlock { left } if left > self.left() => {
                    return Err(self.tar_error(TarFault::SingleZeroBlock));
                }
                Step::Failed(error) => return Err(error),
                Step::Padding { .. }
                | Step::Skip { .. }
                | Step::Text { .. }
                | Step::EndBlock { .. }
                | Step::Zeros
                | Step::Block(_)
                    if rest.is_empty() =>
                {
                    return Ok(Event::NeedInput);
                }
                Step::Padding { left } => {
                    let taken = self.take(rest, left).len() as u64;
                    self.step = Step::Padding {
                        left: left.saturating_sub(taken),
                    };
                }
                Step::Skip { left, padding } => {
                    let taken = self.take(rest, left).len() as u64;
                    self.step = Step::Skip {
                        left: left.saturating_sub(taken),
                        padding,
                    };
                }
                Step::Text { text, len, filled } => {
                    let bytes = self.take(rest, len.saturating_sub(filled) as u64);
                    let at = self.kept.meta_data + filled;
                    let target = self.work.get_mut(at..at + bytes.len());
                    target.ok_or(WORK_TOO_SHORT)?.copy_from_slice(bytes);
                    self.step = Step::Text {
                        text,
                        len,
                        filled: filled + bytes.len(),
                    };
                }
                Step::EndBlock { left } => {
                    let taken = self.take(rest, left);
                    if !is_zero(taken) {
                        return Err(self.tar_error(TarFault::SingleZeroBlock));
                    }
                    self.step = Step::EndBlock {
                        left: left.saturating_sub(taken.len() as u64),
                    };
                }
                Step::Zeros => {
                    if !is_zero(self.take(rest, self.left())) {
                        return Err(self.tar_error(TarFault::BytesAfterEnd));
                    }
                }
                Step::Block(mut reader) => {
                    let bytes = self.take(rest, reader.missing());
                    let kept_end = self.kept.meta_data + KEPT_LEN;
                    self.need_work(KEPT_LEN)?;
                    let kept = self.work.get_mut(self.kept.meta_data..kept_end).unwrap_or(&mut []);
                    reader.push(bytes, kept);
                    if reader.missing() > 0 {
                        self.step = Step::Block(reader);
                        continue;
                    }
                    let block = reader.finish(kept).map_err(|fault| self.tar_error(fault))?;
                    let event = match block {
                        Block::Zero => self.end_archive()?,
                        Block::Header(header) => self.begin_entry(header)?,
                    };
                    if let Some(event) = event {
                        return Ok(event);
                    }
                }
            }
        }
    }

    /// Checks that `len` bytes fit behind what is kept.
    fn need_work(&self, len: usize) -> Result<(), Error> {
        let needed = self.kept.meta_data.saturating_add(len);
        if needed <= self.work.len() {
            return Ok(());
        }
        Err(Error::Limit {
            limit: Limit::Work,
            allowed: self.work.len() as u64,
            needed: needed as u64,
        })
    }

    fn end_file(&mut self) -> Result<(), Error> {
        let actual: Sha256Sum = core::mem::take(&mut self.hash).finalize().into();
        match self.file_sha256() {
            Some(expected) if *expected == actual => Ok(()),
            Some(_) | None => Err(Error::Checksum(Checked::File)),
        }
    }
}

/// Never returned: whatever is collected has been checked against the buffer's length when it began.
const WORK_TOO_SHORT: Error = Error::Limit {
    limit: Limit::Work,
    allowed: 0,
    needed: 0,
};

fn padding(len: u64) -> u64 {
    (BLOCK_LEN - len % BLOCK_LEN) % BLOCK_LEN
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_small_as_documented() {
        assert!(size_of::<Parser<'_>>() < 400, "{}", size_of::<Parser<'_>>());
    }

    /// The client's tasks may move it between executors, and the payload source that holds it must be `Send`.
    #[test]
    fn can_be_sent() {
        fn check<T: Send>() {}
        check::<Parser<'_>>();
    }
}
