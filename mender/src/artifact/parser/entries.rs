//! What an entry means: which one may come where, what is checked when it begins, and what when it has ended.
//!
//! Rules: spec of the artifact format, section 13.

use sha2::{Digest, Sha256};

use super::super::document::{self, Records};
use super::super::entry::{self, Name};
use super::super::error::{
    Archive, Checked, Document, DocumentFault, Entry, Error, FileFault, ManifestFault, TarFault,
};
use super::super::limits::Limit;
use super::super::manifest::{self, Sha256Sum};
use super::super::signature;
use super::super::tar::{self, BLOCK_LEN, Kind};
use super::{Event, Extension, HeaderStage, Kept, NEXT_BLOCK, Parser, Stage, Step, Text, WORK_TOO_SHORT, padding};

impl Parser<'_> {
    /// A header block has come.
    pub(super) fn begin_entry(&mut self, header: tar::Header) -> Result<Option<Event<'static>>, Error> {
        let path = header.path.start + self.kept.meta_data..header.path.end + self.kept.meta_data;
        match header.kind {
            Kind::Pax => {
                if self.extension.pax {
                    return Err(self.tar_error(TarFault::ExtensionTwice));
                }
                self.fits(header.size)?;
                self.begin_text(Text::Pax, header.size, Limit::Extension, self.limits.extension_len)?;
                return Ok(None);
            }
            Kind::GnuLongName => {
                self.fits(header.size)?;
                self.begin_text(Text::LongName, header.size, Limit::Extension, self.limits.extension_len)?;
                return Ok(None);
            }
            Kind::File => {}
        }
        let extension = core::mem::take(&mut self.extension);
        let name = match extension.name {
            Some(name) => name,
            None => self.resolve(path)?,
        };
        let size = match extension.size {
            Some(size) if size != header.size && (header.size != 0 || size < 1 << 33) => {
                return Err(self.tar_error(TarFault::SizeContradiction));
            }
            // A writer leaves the field at 0 when it is too small for the number.
            Some(size) => size,
            None => header.size,
        };
        self.fits(size)?;
        self.begin_named(name, size)
    }

    /// Checks that an entry with its padding fits into the archive that it is in.
    fn fits(&self, size: u64) -> Result<(), Error> {
        match size.checked_next_multiple_of(BLOCK_LEN) {
            Some(padded) if padded <= self.left() => Ok(()),
            Some(_) | None => Err(self.tar_error(TarFault::TooLong)),
        }
    }

    fn resolve(&self, path: core::ops::Range<usize>) -> Result<Name, Error> {
        entry::resolve(self.archive(), self.work.get(path).unwrap_or(&[]), self.files())
    }

    /// An entry with a known name begins: only the right one at this place gets through.
    fn begin_named(&mut self, name: Name, size: u64) -> Result<Option<Event<'static>>, Error> {
        let limits = self.limits;
        let order = |expected| {
            Err(Error::Order {
                expected,
                found: name.as_entry(),
            })
        };
        match (self.stage, name) {
            (Stage::Version, Name::Version) => {
                self.begin_text(Text::Version, size, Limit::Version, limits.version_len)?;
            }
            (Stage::Version, _) => return order(Entry::Version),
            (Stage::Manifest { .. }, Name::Manifest) => {
                self.begin_text(Text::Manifest, size, Limit::Manifest, limits.manifest_len)?;
            }
            (Stage::Manifest { .. }, _) => return order(Entry::Manifest),
            (Stage::SignatureOrHeader { .. }, Name::Signature) => {
                self.begin_text(Text::Signature, size, Limit::Signature, limits.signature_len)?;
            }
            (Stage::SignatureOrHeader { header } | Stage::Header { header }, Name::Header) => {
                self.whole_blocks(size, Archive::Header)?;
                self.hash = Sha256::new();
                self.stage = Stage::InHeader {
                    left: size,
                    next: HeaderStage::HeaderInfo,
                    header,
                };
                self.step = NEXT_BLOCK;
            }
            (Stage::SignatureOrHeader { .. } | Stage::Header { .. }, _) => return order(Entry::Header),
            (Stage::InHeader { next, .. }, name) => match (next, name) {
                (HeaderStage::HeaderInfo, Name::HeaderInfo) => {
                    self.begin_text(Text::HeaderInfo, size, Limit::HeaderInfo, limits.header_info_len)?;
                }
                (HeaderStage::HeaderInfo, _) => return order(Entry::HeaderInfo),
                (HeaderStage::ScriptOrTypeInfo, Name::Script) => {
                    self.scripts = self.scripts.saturating_add(1);
                    self.step = Step::Skip {
                        left: size,
                        padding: padding(size),
                    };
                }
                (HeaderStage::ScriptOrTypeInfo, Name::TypeInfo) => {
                    self.begin_text(Text::TypeInfo, size, Limit::TypeInfo, limits.type_info_len)?;
                }
                (HeaderStage::ScriptOrTypeInfo, _) => return order(Entry::TypeInfo),
                (HeaderStage::MetaDataOrEnd, Name::MetaData) => {
                    self.begin_text(Text::MetaData, size, Limit::MetaData, limits.meta_data_len)?;
                }
                (HeaderStage::MetaDataOrEnd | HeaderStage::End, _) => return order(Entry::End),
            },
            (Stage::Payload, Name::Payload) => {
                self.whole_blocks(size, Archive::Payload)?;
                self.stage = Stage::InPayload { left: size };
                self.step = NEXT_BLOCK;
                self.header_ready = true;
                return Ok(Some(Event::Header));
            }
            (Stage::Payload, _) => return order(Entry::Payload),
            (Stage::InPayload { .. }, Name::File { at }) => {
                if self.files().get(at).is_some_and(|file| file.seen) {
                    return Err(Error::File(FileFault::Twice));
                }
                manifest::mark_seen(self.work, at);
                self.file = Some(at);
                self.hash = Sha256::new();
                self.step = Step::File {
                    left: size,
                    padding: padding(size),
                };
                return Ok(Some(Event::File { len: size }));
            }
            (Stage::InPayload { .. }, _) => return order(Entry::File),
            (Stage::AfterPayload | Stage::Ended, _) => return order(Entry::End),
        }
        Ok(None)
    }

    fn whole_blocks(&self, size: u64, archive: Archive) -> Result<(), Error> {
        if size.is_multiple_of(BLOCK_LEN) {
            return Ok(());
        }
        Err(Error::Tar {
            archive,
            fault: TarFault::PartialBlock,
        })
    }

    fn begin_text(&mut self, text: Text, size: u64, limit: Limit, allowed: u32) -> Result<(), Error> {
        let len = usize::try_from(size).ok().filter(|_| size <= u64::from(allowed));
        let len = len.ok_or(Error::Limit {
            limit,
            allowed: u64::from(allowed),
            needed: size,
        })?;
        self.need_work(len)?;
        self.step = Step::Text { text, len, filled: 0 };
        Ok(())
    }

    /// An entry is complete in the work buffer.
    pub(super) fn end_text(&mut self, text: Text, len: usize) -> Result<(), Error> {
        let limits = self.limits;
        let (kept, rest) = self
            .work
            .split_at_mut_checked(self.kept.meta_data)
            .ok_or(WORK_TOO_SHORT)?;
        let data = rest.get_mut(..len).ok_or(WORK_TOO_SHORT)?;
        match text {
            Text::Version => {
                let version = Sha256::digest(&*data).into();
                document::version(data, &limits)?;
                self.stage = Stage::Manifest { version };
            }
            Text::Manifest => {
                self.manifest_sha256 = Sha256::digest(&*data).into();
                let manifest = manifest::compact(data, &limits)?;
                if let Stage::Manifest { version } = self.stage
                    && version != manifest.version
                {
                    return Err(Error::Checksum(Checked::Version));
                }
                self.kept = Kept::up_to(manifest.files_len);
                self.stage = Stage::SignatureOrHeader {
                    header: manifest.header,
                };
            }
            Text::Signature => {
                signature::check(data).map_err(Error::Signature)?;
                self.signed = true;
                if let Stage::SignatureOrHeader { header } = self.stage {
                    self.stage = Stage::Header { header };
                }
            }
            Text::HeaderInfo => {
                let stored = document::header_info(data, &limits)?;
                let end = self.kept.files + stored;
                self.kept = Kept {
                    files: self.kept.files,
                    ..Kept::up_to(end)
                };
                self.advance_header(HeaderStage::ScriptOrTypeInfo);
            }
            Text::TypeInfo => {
                let header_info = Records(kept.get(self.kept.files..).unwrap_or(&[]));
                let stored = document::type_info(data, header_info, &limits)?;
                self.kept.type_info = self.kept.header_info + stored;
                self.kept.meta_data = self.kept.type_info;
                self.advance_header(HeaderStage::MetaDataOrEnd);
            }
            Text::MetaData => {
                if len > 0 {
                    document::meta_data(data, &limits)?;
                }
                self.kept.meta_data += len;
                self.advance_header(HeaderStage::End);
            }
            Text::Pax => {
                let range = self.kept.meta_data..self.kept.meta_data + len;
                let pax = tar::pax(self.work.get(range).unwrap_or(&[])).map_err(|fault| self.tar_error(fault))?;
                let name = pax
                    .path
                    .map(|path| entry::resolve(self.archive(), path, self.files()))
                    .transpose()?;
                if name.is_some() && self.extension.name.is_some() {
                    return Err(self.tar_error(TarFault::ExtensionTwice));
                }
                self.extension = Extension {
                    pax: true,
                    name: name.or(self.extension.name),
                    size: pax.size,
                };
            }
            Text::LongName => {
                let range = self.kept.meta_data..self.kept.meta_data + len;
                let path =
                    tar::long_name(self.work.get(range).unwrap_or(&[])).map_err(|fault| self.tar_error(fault))?;
                let name = entry::resolve(self.archive(), path, self.files())?;
                if self.extension.name.replace(name).is_some() {
                    return Err(self.tar_error(TarFault::ExtensionTwice));
                }
            }
        }
        Ok(())
    }

    fn advance_header(&mut self, stage: HeaderStage) {
        if let Stage::InHeader { next, .. } = &mut self.stage {
            *next = stage;
        }
    }

    /// The first end block of an archive has come.
    pub(super) fn end_archive(&mut self) -> Result<Option<Event<'static>>, Error> {
        let extension = self.extension;
        if extension.pax || extension.name.is_some() {
            return Err(self.tar_error(TarFault::ExtensionAlone));
        }
        self.step = Step::EndBlock { left: BLOCK_LEN };
        let missing = |expected| {
            Err(Error::Order {
                expected,
                found: Entry::End,
            })
        };
        match self.stage {
            Stage::Version => missing(Entry::Version),
            Stage::Manifest { .. } => missing(Entry::Manifest),
            Stage::SignatureOrHeader { .. } | Stage::Header { .. } => missing(Entry::Header),
            Stage::InHeader { next, .. } => match next {
                HeaderStage::HeaderInfo => missing(Entry::HeaderInfo),
                HeaderStage::ScriptOrTypeInfo => missing(Entry::TypeInfo),
                HeaderStage::MetaDataOrEnd | HeaderStage::End => Ok(None),
            },
            Stage::InPayload { .. } => {
                if self.files().iter().all(|file| file.seen) {
                    Ok(None)
                } else {
                    Err(Error::File(FileFault::Missing))
                }
            }
            Stage::Payload => {
                // The format lets data/0000.tar be missing when there is nothing to put into it.
                if self.kept.files > 0 {
                    return missing(Entry::Payload);
                }
                self.header_ready = true;
                Ok(Some(Event::Header))
            }
            Stage::AfterPayload | Stage::Ended => Ok(None),
        }
    }

    /// An inner archive has ended, padding zeros included.
    pub(super) fn leave_inner(&mut self) -> Result<(), Error> {
        match self.stage {
            Stage::InHeader { header, .. } => {
                let actual: Sha256Sum = core::mem::take(&mut self.hash).finalize().into();
                if actual != header {
                    return Err(Error::Checksum(Checked::Header));
                }
                let view = self.view();
                if view.payload_type().is_none() {
                    if view.meta_data().is_some() {
                        return Err(Error::Document {
                            document: Document::MetaData,
                            fault: DocumentFault::EmptyPayload,
                        });
                    }
                    if self.kept.files > 0 {
                        return Err(Error::Manifest {
                            line: 0,
                            fault: ManifestFault::EmptyPayload,
                        });
                    }
                }
                self.stage = Stage::Payload;
            }
            Stage::InPayload { .. } => self.stage = Stage::AfterPayload,
            // Only inner archives have a known end.
            Stage::Version
            | Stage::Manifest { .. }
            | Stage::SignatureOrHeader { .. }
            | Stage::Header { .. }
            | Stage::Payload
            | Stage::AfterPayload
            | Stage::Ended => {}
        }
        self.step = NEXT_BLOCK;
        Ok(())
    }
}
