//! What the entries of an artifact mean: which one may come where, what is checked when it begins, and what when it has ended.
//!
//! Rules: spec of the artifact format, section 13.

use sha2::{Digest, Sha256};

use super::document;
use super::entry::{self, Name};
use super::error::Error;
use super::event::Event;
#[cfg(feature = "gzip")]
use super::fault::ManifestFault;
#[cfg(feature = "artifact-keys")]
use super::fault::SignatureFault;
use super::fault::{Archive, Checked, Contradiction, Document, Entry, FileFault, TarFault};
use super::limits::{Limit, Limits};
use super::manifest::{self, Files, Sha256Sum, Sums};
use super::packed::Formats;
#[cfg(feature = "gzip")]
use super::packed::{self, Packed, Packing};
use super::records::{Records, Tag};
use super::signature;
use super::stage::Stage;
use super::step::{Extension, Kept, Step, Text};
use super::tar::{self, BLOCK_LEN, Kind};
use crate::text::utf8;

/// The artifact was refused; the reason is in [`Entries::error`].
pub(super) struct Refused;

/// What is known of an artifact, and where in it the stream is. Positions are bytes from the artifact's beginning.
#[derive(Debug)]
// In this order: what is near the front takes shorter instructions.
#[repr(C)]
pub(super) struct Entries<'w> {
    pub(super) step: Step,
    pub(super) stage: Stage,
    pub(super) archive: Archive,
    signed: bool,
    pub(super) header_ready: bool,
    extension: Extension,
    scripts: u16,
    pub(super) offset: u32,
    /// Where the step began.
    pub(super) start: u32,
    /// Where it ends.
    pub(super) end: u32,
    /// Where the archive ends; nobody knows it of the artifact itself.
    pub(super) archive_end: u32,
    work: &'w mut [u8],
    kept: Kept,
    /// What can be unpacked.
    pub(super) formats: Formats,
    /// The archive, if it is compressed.
    #[cfg(feature = "gzip")]
    pub(super) packing: Packing,
    /// Of the header block's bytes.
    block_sum: u32,
    /// The file that began last: where it is in the list of files.
    file: Option<usize>,
    /// Why the artifact was refused, once it was.
    pub(super) error: Error,
    limits: Limits,
    /// What the sums of `version` and `header.tar` must be; that of `version` as it was, until the manifest has come.
    sums: Sums,
    manifest_sha256: Sha256Sum,
    /// One of them has to have signed it, if there are any.
    #[cfg(feature = "artifact-keys")]
    pub(super) keys: &'w [&'w [u8]],
    /// Of `header.tar`, then of each file.
    pub(super) hash: Sha256,
}

impl<'w> Entries<'w> {
    pub(super) fn new(limits: Limits, work: &'w mut [u8]) -> Entries<'w> {
        Entries {
            limits,
            work,
            kept: Kept::default(),
            offset: 0,
            start: 0,
            end: BLOCK_LEN,
            archive_end: u32::MAX,
            step: Step::Block,
            stage: Stage::Version,
            archive: Archive::Artifact,
            error: Error::Truncated { offset: 0 },
            formats: Formats::default(),
            #[cfg(feature = "gzip")]
            packing: Packing::default(),
            block_sum: 0,
            extension: Extension::default(),
            hash: Sha256::new(),
            sums: Sums::default(),
            manifest_sha256: [0; 32],
            #[cfg(feature = "artifact-keys")]
            keys: &[],
            signed: false,
            scripts: 0,
            header_ready: false,
            file: None,
        }
    }

    /// The records of header-info and type-info.
    pub(super) fn records(&self) -> Records<'_> {
        Records(self.work.get(self.kept.files..self.kept.records).unwrap_or(&[]))
    }

    pub(super) fn meta_data(&self) -> Option<&str> {
        let text = self.work.get(self.kept.records..self.kept.end).unwrap_or(&[]);
        utf8(text).filter(|text| !text.is_empty())
    }

    pub(super) fn manifest_sha256(&self) -> &Sha256Sum {
        &self.manifest_sha256
    }

    pub(super) fn is_signed(&self) -> bool {
        self.signed
    }

    pub(super) fn scripts(&self) -> u16 {
        self.scripts
    }

    /// The file that began last.
    pub(super) fn file(&self) -> Option<manifest::ListedFile<'_>> {
        self.files().get(self.file?)
    }

    fn files(&self) -> Files<'_> {
        Files(self.work.get(..self.kept.files).unwrap_or(&[]))
    }

    /// Detaches what no header of an entry will need any more.
    pub(super) fn take_spare(&mut self) -> &'w mut [u8] {
        if !self.header_ready {
            return &mut [];
        }
        let needed = self.kept.end + self.limits.entry_len();
        let work = core::mem::take(&mut self.work);
        let (own, spare) = work.split_at_mut(needed.min(work.len()));
        self.work = own;
        spare
    }

    #[inline(never)]
    pub(super) fn fail(&mut self, error: Error) -> Refused {
        self.error = error;
        self.step = Step::Failed;
        self.end = self.offset;
        Refused
    }

    #[inline(never)]
    pub(super) fn tar_fault(&mut self, fault: TarFault) -> Refused {
        self.fail(Error::Tar {
            archive: self.archive,
            fault,
        })
    }

    /// The bytes of entries are those of a compressed archive.
    #[cfg(feature = "gzip")]
    pub(super) fn is_packed(&self) -> bool {
        self.packing.packed != Packed::No
    }

    /// A compressed archive has `len` more bytes than it may have.
    #[cfg(feature = "gzip")]
    fn too_much(&mut self, len: u32) -> Refused {
        self.fail(self.packing.too_much(self.archive_end, self.offset.saturating_add(len)))
    }

    /// Checks that `len` more bytes fit into the archive.
    fn fits(&mut self, len: u32, fault: TarFault) -> Result<(), Refused> {
        if len <= self.archive_end - self.offset {
            return Ok(());
        }
        #[cfg(feature = "gzip")]
        if self.is_packed() && self.archive_end < u32::MAX {
            return Err(self.too_much(len));
        }
        if self.archive_end < u32::MAX {
            return Err(self.tar_fault(fault));
        }
        Err(self.fail(Error::Limit {
            limit: Limit::Artifact,
            allowed: u32::MAX - 1,
            needed: u32::MAX,
        }))
    }

    /// Checks that `len` bytes fit behind what is kept.
    fn need_work(&mut self, len: u32) -> Result<(), Refused> {
        let needed = self.kept.end.saturating_add(len as usize);
        if needed <= self.work.len() {
            return Ok(());
        }
        let number = |len| u32::try_from(len).unwrap_or(u32::MAX);
        Err(self.fail(Error::Limit {
            limit: Limit::Work,
            allowed: number(self.work.len()),
            needed: number(needed),
        }))
    }

    #[inline(never)]
    fn begin(&mut self, step: Step, len: u32) {
        self.step = step;
        self.start = self.offset;
        self.end = self.offset + len;
    }

    /// Goes on to the next block, over padding if there is some.
    #[inline(never)]
    fn pad(&mut self) {
        self.begin(Step::Skip, self.offset.wrapping_neg() % BLOCK_LEN);
    }

    /// Bytes of a step have come, which are not a payload file's.
    #[inline(never)]
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let position = self.offset - bytes.len() as u32 - self.start;
        match self.step {
            Step::Block => {
                self.need_work(tar::KEPT_LEN as u32)?;
                let kept = self.work.get_mut(self.kept.end..).unwrap_or(&mut []);
                self.block_sum += tar::keep(position, bytes, kept);
            }
            Step::Text(_) => {
                let at = self.kept.end + position as usize;
                // There is room for the whole text, or it would not have begun.
                if let Some(place) = self.work.get_mut(at..at + bytes.len()) {
                    place.copy_from_slice(bytes);
                }
            }
            Step::EndBlock if !tar::is_zero(bytes) => return Err(self.tar_fault(TarFault::SingleZeroBlock)),
            Step::Zeros if !tar::is_zero(bytes) => return Err(self.tar_fault(TarFault::BytesAfterEnd)),
            Step::File | Step::Skip | Step::EndBlock | Step::Zeros | Step::Failed => {}
        }
        Ok(())
    }

    /// All bytes of a step have come.
    #[inline(never)]
    pub(super) fn end_step(&mut self) -> Result<Option<Event<'static>>, Refused> {
        match self.step {
            Step::Block => return self.end_block(),
            Step::Text(text) => {
                let len = (self.end - self.start) as usize;
                self.pad();
                let work = core::mem::take(&mut self.work);
                let result = self.end_text(text, work, len);
                self.work = work;
                result?;
            }
            Step::File => {
                self.pad();
                let mut actual = [0; 32];
                finish(&mut self.hash, &mut actual);
                if self.file().is_none_or(|file| file.digest != actual) {
                    return Err(self.fail(Error::Checksum(Checked::File)));
                }
                return Ok(Some(Event::FileEnd));
            }
            Step::Skip => self.begin_block()?,
            Step::EndBlock => {
                #[cfg(feature = "gzip")]
                if self.is_packed() {
                    self.archive_end = self.archive_end.min(packed::zeros_end(self.offset));
                    // One more is too many.
                    self.begin(Step::Zeros, self.archive_end - self.offset + 1);
                    return Ok(None);
                }
                self.begin(Step::Zeros, self.archive_end - self.offset);
                if let Stage::Payload | Stage::AfterPayload = self.stage {
                    self.stage = Stage::Ended;
                }
            }
            #[cfg(feature = "gzip")]
            Step::Zeros if self.is_packed() => return Err(self.too_much(0)),
            Step::Zeros => self.end_archive()?,
            Step::Failed => return Err(Refused),
        }
        Ok(None)
    }

    fn begin_block(&mut self) -> Result<(), Refused> {
        self.fits(BLOCK_LEN, TarFault::NoEndBlocks)?;
        self.begin(Step::Block, BLOCK_LEN);
        self.block_sum = 0;
        Ok(())
    }

    /// A header block has come.
    fn end_block(&mut self) -> Result<Option<Event<'static>>, Refused> {
        let kept = self.work.get_mut(self.kept.end..).unwrap_or(&mut []);
        let header = match tar::read(kept, self.block_sum) {
            Ok(Some(header)) => header,
            Ok(None) => return self.end_entries(),
            Err(fault) => return Err(self.tar_fault(fault)),
        };
        let text = match header.kind {
            Kind::File => None,
            Kind::Pax if self.extension.pax => return Err(self.tar_fault(TarFault::ExtensionTwice)),
            Kind::Pax => Some(Text::Pax),
            Kind::GnuLongName => Some(Text::LongName),
            Kind::Other(flag) => {
                return Err(self.fail(Error::EntryType {
                    archive: self.archive,
                    flag,
                }));
            }
        };
        let mut size = header.size;
        let mut name = Name {
            entry: Entry::End,
            at: 0,
            #[cfg(feature = "gzip")]
            packed: Packed::No,
        };
        if text.is_none() {
            let extension = core::mem::take(&mut self.extension);
            let path = header.path.start + self.kept.end..header.path.end + self.kept.end;
            name = match extension.name {
                Some(name) => name,
                None => self.resolve(path)?,
            };
            if let Some(other) = extension.size {
                // A writer leaves the field at 0 when it is too small for the number; such a file is too large here.
                if other != size && (size != 0 || other != u32::MAX) {
                    return Err(self.tar_fault(TarFault::SizeContradiction));
                }
                size = other;
            }
        }
        let padded = size.checked_next_multiple_of(BLOCK_LEN).unwrap_or(u32::MAX);
        self.fits(padded, TarFault::TooLong)?;
        match text {
            Some(text) => self.begin_text(text, size)?,
            None => return self.begin_entry(name, size),
        }
        Ok(None)
    }

    fn resolve(&mut self, path: core::ops::Range<usize>) -> Result<Name, Refused> {
        let path = self.work.get(path).unwrap_or(&[]);
        entry::resolve(self.archive, path, self.files(), self.formats).map_err(|error| self.fail(error))
    }

    /// An entry with a known name begins: only the right one at this place gets through.
    fn begin_entry(&mut self, name: Name, size: u32) -> Result<Option<Event<'static>>, Refused> {
        let required = self.stage.required();
        if name.entry != required && Some(name.entry) != self.stage.optional() {
            return Err(self.fail(Error::Order {
                expected: required,
                found: name.entry,
            }));
        }
        let text = match name.entry {
            Entry::Version => Text::Version,
            Entry::Manifest => Text::Manifest,
            Entry::Signature => Text::Signature,
            Entry::HeaderInfo => Text::HeaderInfo,
            Entry::TypeInfo => Text::TypeInfo,
            Entry::MetaData => Text::MetaData,
            Entry::Script => {
                self.scripts = self.scripts.saturating_add(1);
                // With the padding; that it fits has been checked.
                self.begin(Step::Skip, size.next_multiple_of(BLOCK_LEN));
                return Ok(None);
            }
            Entry::Header => {
                #[cfg(feature = "artifact-keys")]
                if !self.signed && !self.keys.is_empty() {
                    return Err(self.fail(Error::Signature(SignatureFault::Missing)));
                }
                #[cfg(feature = "gzip")]
                if name.packed != self.sums.header_packed {
                    let fault = ManifestFault::NoHeader;
                    return Err(self.fail(Error::Manifest { line: 0, fault }));
                }
                self.begin_archive(
                    Archive::Header,
                    Stage::HeaderInfo,
                    size,
                    #[cfg(feature = "gzip")]
                    name.packed,
                )?;
                return Ok(None);
            }
            Entry::Payload => {
                self.begin_archive(
                    Archive::Payload,
                    Stage::Files,
                    size,
                    #[cfg(feature = "gzip")]
                    name.packed,
                )?;
                self.header_ready = true;
                return Ok(Some(Event::Header));
            }
            Entry::File => {
                if self.files().get(name.at).is_some_and(|file| file.seen) {
                    return Err(self.fail(Error::File(FileFault::Twice)));
                }
                manifest::mark_seen(self.work, name.at);
                self.file = Some(name.at);
                self.begin(Step::File, size);
                return Ok(Some(Event::File { len: u64::from(size) }));
            }
            // No name is that of the end.
            Entry::End => return Ok(None),
        };
        self.begin_text(text, size)?;
        Ok(None)
    }

    fn begin_text(&mut self, text: Text, size: u32) -> Result<(), Refused> {
        let limits = &self.limits;
        let (limit, allowed) = match text {
            Text::Version => (Limit::Version, limits.version_len),
            Text::Manifest => (Limit::Manifest, limits.manifest_len),
            Text::Signature => (Limit::Signature, limits.signature_len),
            // The lengths of records are 16 bits wide.
            Text::HeaderInfo => (Limit::HeaderInfo, limits.header_info_len.min(0xffff)),
            Text::TypeInfo => (Limit::TypeInfo, limits.type_info_len.min(0xffff)),
            Text::MetaData => (Limit::MetaData, limits.meta_data_len),
            Text::Pax | Text::LongName => (Limit::Extension, limits.extension_len),
        };
        if size > allowed {
            return Err(self.fail(Error::Limit {
                limit,
                allowed,
                needed: size,
            }));
        }
        self.need_work(size)?;
        self.begin(Step::Text(text), size);
        Ok(())
    }

    /// An inner archive begins.
    fn begin_archive(
        &mut self,
        archive: Archive,
        stage: Stage,
        size: u32,
        #[cfg(feature = "gzip")] packed: Packed,
    ) -> Result<(), Refused> {
        self.archive = archive;
        self.stage = stage;
        #[cfg(feature = "gzip")]
        if packed != Packed::No {
            self.packing = Packing::new(packed, self.offset, size);
            self.archive_end = self.packing.archive_end(archive);
            return self.begin_block();
        }
        if !size.is_multiple_of(BLOCK_LEN) {
            return Err(self.tar_fault(TarFault::PartialBlock));
        }
        self.archive_end = self.offset + size;
        self.begin_block()
    }

    /// An entry of `len` bytes is complete in the work buffer, which is `work` meanwhile.
    #[inline(never)]
    fn end_text(&mut self, text: Text, work: &mut [u8], len: usize) -> Result<(), Refused> {
        let limits = &self.limits;
        let (kept, rest) = work.split_at_mut(self.kept.end.min(work.len()));
        let data = rest.get_mut(..len).unwrap_or(&mut []);
        match text {
            Text::Version => {
                self.hash.update(&*data);
                finish(&mut self.hash, &mut self.sums.version);
                document::read(Document::Version, data, Records(&[]), limits).map_err(|error| self.fail(error))?;
                self.stage = Stage::Manifest;
            }
            Text::Manifest => {
                self.hash.update(&*data);
                finish(&mut self.hash, &mut self.manifest_sha256);
                let version = self.sums.version;
                let read = manifest::compact(data, limits, self.formats, &mut self.sums);
                let files_len = read.map_err(|error| self.fail(error))?;
                if self.sums.version != version {
                    return Err(self.fail(Error::Checksum(Checked::Version)));
                }
                self.kept.files = files_len;
                self.kept.records = files_len;
                self.kept.end = files_len;
                self.stage = Stage::SignatureOrHeader;
            }
            Text::Signature => {
                signature::check(data).map_err(|fault| self.fail(Error::Signature(fault)))?;
                #[cfg(feature = "artifact-keys")]
                signature::verify(data, self.keys, self.manifest_sha256)
                    .map_err(|fault| self.fail(Error::Signature(fault)))?;
                self.signed = true;
                self.stage = Stage::Header;
            }
            Text::HeaderInfo | Text::TypeInfo => {
                let (document, stage) = if text == Text::HeaderInfo {
                    (Document::HeaderInfo, Stage::ScriptOrTypeInfo)
                } else {
                    (Document::TypeInfo, Stage::MetaDataOrEnd)
                };
                let header_info = Records(kept.get(self.kept.files..).unwrap_or(&[]));
                let stored = document::read(document, data, header_info, limits);
                self.kept.end += stored.map_err(|error| self.fail(error))?;
                self.kept.records = self.kept.end;
                self.stage = stage;
            }
            Text::MetaData => {
                if len > 0 {
                    document::read(Document::MetaData, data, Records(&[]), limits).map_err(|error| self.fail(error))?;
                }
                self.kept.end += len;
                self.stage = Stage::HeaderEnd;
            }
            Text::Pax | Text::LongName => {
                let mut twice = false;
                let path = if text == Text::Pax {
                    let pax = tar::pax(data).map_err(|fault| self.tar_fault(fault))?;
                    self.extension.pax = true;
                    self.extension.size = pax.size;
                    pax.path
                } else {
                    Some(tar::long_name(data).map_err(|fault| self.tar_fault(fault))?)
                };
                if let Some(path) = path {
                    let files = Files(kept.get(..self.kept.files).unwrap_or(&[]));
                    let name =
                        entry::resolve(self.archive, path, files, self.formats).map_err(|error| self.fail(error))?;
                    twice = self.extension.name.replace(name).is_some();
                }
                if twice {
                    return Err(self.tar_fault(TarFault::ExtensionTwice));
                }
            }
        }
        Ok(())
    }

    /// The first end block of an archive has come.
    fn end_entries(&mut self) -> Result<Option<Event<'static>>, Refused> {
        if self.extension.pax || self.extension.name.is_some() {
            return Err(self.tar_fault(TarFault::ExtensionAlone));
        }
        // The format lets data/0000.tar be missing when there is nothing to put into it.
        let no_payload = self.stage == Stage::Payload && self.kept.files == 0;
        if self.stage == Stage::Files {
            if self.files().missing().is_some() {
                return Err(self.fail(Error::File(FileFault::Missing)));
            }
        } else if !no_payload && self.stage.required() != Entry::End {
            return Err(self.fail(Error::Order {
                expected: self.stage.required(),
                found: Entry::End,
            }));
        }
        self.fits(BLOCK_LEN, TarFault::SingleZeroBlock)?;
        self.begin(Step::EndBlock, BLOCK_LEN);
        self.header_ready |= no_payload;
        Ok(no_payload.then_some(Event::Header))
    }

    /// An archive has ended, with the zeros behind its end blocks.
    pub(super) fn end_archive(&mut self) -> Result<(), Refused> {
        let header = self.archive == Archive::Header;
        // Of the artifact itself there is no end but the largest length.
        self.fits(u32::from(self.archive == Archive::Artifact), TarFault::TooLong)?;
        if header {
            let mut actual = [0; 32];
            finish(&mut self.hash, &mut actual);
            if actual != self.sums.header {
                return Err(self.fail(Error::Checksum(Checked::Header)));
            }
            if self.records().first(Tag::PayloadType).is_none() {
                if self.kept.end > self.kept.records {
                    return Err(self.fail(Error::Contradiction(Contradiction::MetaData)));
                }
                if self.kept.files > 0 {
                    return Err(self.fail(Error::Contradiction(Contradiction::Files)));
                }
            }
        }
        self.stage = if header { Stage::Payload } else { Stage::AfterPayload };
        self.archive = Archive::Artifact;
        self.archive_end = u32::MAX;
        #[cfg(feature = "gzip")]
        {
            // A compressed one is followed by padding.
            self.pad();
            Ok(())
        }
        #[cfg(not(feature = "gzip"))]
        self.begin_block()
    }
}

/// The SHA-256 of what was hashed; the next one begins.
#[inline(never)]
fn finish(hash: &mut Sha256, sum: &mut Sha256Sum) {
    hash.finalize_into_reset(sum.into());
}
