//! The push parser: the pieces of the stream.
//!
//! Rules: spec of the artifact format, sections 1, 2, 7 and 13.

use sha2::Digest;

use super::entries::{Entries, Refused};
use super::error::Error;
use super::event::Event;
use super::fault::Archive;
use super::header::Header;
use super::limits::Limits;
#[cfg(feature = "gzip")]
use super::packed::Formats;
use super::stage::Stage;
use super::step::Step;
#[cfg(feature = "gzip")]
use super::unpacking::{self, Found};
use crate::text::utf8_prefix;
#[cfg(feature = "gzip")]
use crate::unpack::{Format, Unpacker};

/// A push parser for Mender artifacts, format version 3.
///
/// It owns less than 400 bytes, 450 with the feature `gzip`: what must be kept of an artifact is in the lent work buffer, payload data are
/// handed through. See the [module](super) for an example.
///
/// The parser's state does not depend on how the stream is cut into pieces. It knows nothing of where the bytes come
/// from: to resume a broken download, ask for the bytes from [`offset`](Parser::offset) on.
#[derive(Debug)]
pub struct Parser<'w> {
    entries: Entries<'w>,
    #[cfg(feature = "gzip")]
    unpacker: Option<&'w mut Unpacker>,
}

impl<'w> Parser<'w> {
    /// A parser at the beginning of an artifact. `work` may be of any length and contents;
    /// [`Limits::work_len`] bytes are always enough.
    pub fn new(limits: Limits, work: &'w mut [u8]) -> Parser<'w> {
        Parser {
            entries: Entries::new(limits, work),
            #[cfg(feature = "gzip")]
            unpacker: None,
        }
    }

    /// As [`new`](Parser::new), for a device that takes signed artifacts alone: one of the keys must have signed the manifest, before
    /// anything of the header is believed. Without keys there is no such rule.
    ///
    /// A key is a file with a public key as `SubjectPublicKeyInfo`, DER or PEM: on P-256, or RSA of 2048 to 4096 bits with the
    /// feature `rsa`. One that [`is_usable`](crate::signature::public_key::is_usable) does not know matches no signature.
    #[cfg(feature = "artifact-keys")]
    pub fn with_keys(limits: Limits, work: &'w mut [u8], keys: &'w [&'w [u8]]) -> Parser<'w> {
        let mut parser = Parser::new(limits, work);
        parser.entries.keys = keys;
        parser
    }

    /// Takes compressed artifacts too, those that `unpacker` has a window for.
    #[cfg(feature = "gzip")]
    pub fn unpacking(mut self, unpacker: &'w mut Unpacker) -> Parser<'w> {
        self.entries.formats = Formats {
            gzip: unpacker.knows(Format::Gzip),
            xz: unpacker.knows(Format::Xz),
            zstd: unpacker.knows(Format::Zstd),
        };
        self.unpacker = Some(unpacker);
        self
    }

    /// Takes the next bytes of the stream and returns how many were consumed and what was found. Call it again with
    /// what is left, even if that is nothing, until it returns [`Event::NeedInput`]: more than one event can belong
    /// to the same byte.
    ///
    /// # Errors
    ///
    /// [`Error`], and the same one in every later call. Data handed over before must not be used.
    pub fn feed<'p>(&'p mut self, input: &'p [u8]) -> Result<(usize, Event<'p>), Error> {
        let mut rest = input;
        match self.run(&mut rest) {
            #[cfg(feature = "gzip")]
            Ok(Event::Data([])) => Ok((input.len() - rest.len(), Event::Data(self.unpacked().unwrap_or(&[])))),
            Ok(event) => Ok((input.len() - rest.len(), event)),
            Err(Refused) => Err(self.entries.error),
        }
    }

    /// Data without bytes stand for those that were unpacked last.
    fn run<'i>(&mut self, rest: &mut &'i [u8]) -> Result<Event<'i>, Refused> {
        let entries = &mut self.entries;
        loop {
            let left = (entries.end - entries.offset) as usize;
            if left == 0 {
                #[cfg(feature = "gzip")]
                let was_packed = entries.is_packed();
                let event = entries.end_step()?;
                #[cfg(feature = "gzip")]
                if let Some(unpacker) = &mut self.unpacker
                    && entries.is_packed() != was_packed
                {
                    unpacking::begin(entries, unpacker);
                }
                if let Some(event) = event {
                    return Ok(event);
                }
                continue;
            }
            #[cfg(feature = "gzip")]
            if let Some(unpacker) = &mut self.unpacker
                && entries.is_packed()
            {
                match unpacking::go_on(entries, unpacker, rest, left)? {
                    Found::Nothing => continue,
                    Found::NeedInput => return Ok(Event::NeedInput),
                    Found::Data => return Ok(Event::Data(&[])),
                }
            }
            let (taken, after) = rest.split_at(left.min(rest.len()));
            if taken.is_empty() {
                return Ok(Event::NeedInput);
            }
            *rest = after;
            // Not longer than what is left.
            entries.offset += taken.len() as u32;
            let is_file = entries.step == Step::File;
            if is_file || entries.archive == Archive::Header {
                entries.hash.update(taken);
            }
            if is_file {
                return Ok(Event::Data(taken));
            }
            entries.take(taken)?;
        }
    }

    /// To be called at the end of the stream: whether the artifact is complete. Only after this may anything be
    /// activated: a missing file, something behind the end or a cut stream is known only here.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] if the stream ended early; an earlier error again.
    pub fn finish(&self) -> Result<(), Error> {
        let entries = &self.entries;
        match entries.step {
            Step::Failed => Err(entries.error),
            Step::Zeros if entries.stage == Stage::Ended => Ok(()),
            Step::Block | Step::Text(_) | Step::File | Step::Skip | Step::EndBlock | Step::Zeros => {
                Err(Error::Truncated {
                    offset: self.consumed(),
                })
            }
        }
    }

    /// Bytes of the stream consumed so far: where a broken download must be resumed.
    pub fn offset(&self) -> u64 {
        u64::from(self.consumed())
    }

    pub(crate) fn consumed(&self) -> u32 {
        #[cfg(feature = "gzip")]
        if self.entries.is_packed() {
            return self.entries.packing.stream;
        }
        self.entries.offset
    }

    /// The bytes of the last data event, if they are not the input's but unpacked.
    #[cfg(feature = "gzip")]
    pub(crate) fn unpacked(&self) -> Option<&[u8]> {
        let unpacker = self.unpacker.as_ref()?;
        self.entries.is_packed().then(|| unpacker.last())
    }

    /// The header, from [`Event::Header`] on.
    pub fn header(&self) -> Option<Header<'_>> {
        let entries = &self.entries;
        entries.header_ready.then(|| Header {
            records: entries.records(),
            meta_data: entries.meta_data(),
            manifest_sha256: entries.manifest_sha256(),
            signed: entries.is_signed(),
            scripts: entries.scripts(),
        })
    }

    /// Detaches the part of the work buffer that this parser does not need any more, for the caller to use while the payload
    /// comes. From [`Event::Header`] on, once; empty before that and after it.
    ///
    /// The parser keeps the list of files (34 bytes each and the name), what the header says, and room for the header of an
    /// entry: [`Limits::extension_len`], but at least 143 bytes. All the rest is handed out, if there is any.
    ///
    /// ```
    /// # use mender::artifact::{Limits, Parser};
    /// let mut work = [0; 2048];
    /// let mut parser = Parser::new(Limits::DEFAULT, &mut work);
    /// assert!(parser.take_spare().is_empty(), "no header yet");
    /// ```
    pub fn take_spare(&mut self) -> &'w mut [u8] {
        self.entries.take_spare()
    }

    /// Name of the file that began last: ASCII letters, digits and `_-.,`, never `.` or `..`. Empty before the first.
    pub fn file_name(&self) -> &str {
        let name = self.entries.file().map(|file| file.name);
        name.map_or("", utf8_prefix)
    }

    /// Bytes that are to come of a file, within one that is not compressed.
    pub(crate) fn file_left(&self) -> Option<usize> {
        let entries = &self.entries;
        #[cfg(feature = "gzip")]
        if entries.is_packed() {
            return None;
        }
        (entries.step == Step::File).then(|| (entries.end - entries.offset) as usize)
    }

    /// SHA-256 of the file that began last, as the manifest has it. At [`Event::FileEnd`] it has been compared.
    pub fn file_sha256(&self) -> Option<&[u8; 32]> {
        self.entries.file().and_then(|file| file.digest.try_into().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_small_as_documented() {
        let most = if cfg!(feature = "gzip") { 450 } else { 400 };
        assert!(size_of::<Parser<'_>>() < most, "{}", size_of::<Parser<'_>>());
    }

    /// The client's tasks may move it between executors, and the payload source that holds it must be `Send`.
    #[test]
    fn can_be_sent() {
        fn check<T: Send>() {}
        check::<Parser<'_>>();
    }
}
