//! How the file of a payload becomes an image, for the modules of bootloaders: it is one, or a patch that makes one of the image that
//! runs. Depends on `hasher`, and on `delta` with that feature.

use mender::update_module::Artifact;

#[cfg(feature = "delta")]
use crate::delta::{Expected, Fault, Lent, Patch, Piece, Refusal};
use crate::hasher::Hash;

/// Why a patch is refused.
#[cfg(feature = "delta")]
pub(crate) type Refused = Refusal;
/// Images are not refused here.
#[cfg(not(feature = "delta"))]
pub(crate) type Refused = core::convert::Infallible;

/// Bytes of the image.
pub(crate) enum Bytes<'i> {
    /// As they came.
    Given(&'i [u8]),
    /// So many, in [`Content::made`]; and to each is still to be added, modulo 256, that of the image that runs, from an offset on.
    #[cfg(feature = "delta")]
    Made(usize, Option<u32>),
}

/// What a file is. The methods are called in this order; an error is the end of the download.
pub(crate) trait Content {
    /// Takes what the artifact says, before its first file.
    fn begin(&mut self, artifact: &Artifact<'_>) -> Result<(), Refused>;

    /// Length of the image, if the file has this one.
    fn image_len(&self, file_len: u64) -> u64;

    /// How much of the image that runs has to be as expected, if any of it: at most `room`.
    fn old_len(&self, room: u32) -> Result<Option<u32>, Refused>;

    /// Takes the hash of so much.
    fn check_old(&self, hash: &Hash) -> Result<(), Refused>;

    /// The next bytes of the image, of the front of `input`; `None` when all of that was taken.
    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Bytes<'i>>, Refused>;

    /// The last bytes that were made, so many.
    #[cfg(feature = "delta")]
    fn made(&mut self, len: usize) -> &mut [u8];

    /// The file has ended. What is still given to [`next`](Content::next) is a part of the image.
    fn finish(&mut self) -> Result<(), Refused>;

    /// Whether the image has to have a certain hash.
    #[cfg(any(feature = "mcuboot", feature = "resume"))]
    fn is_made(&self) -> bool;

    /// Takes the hash of the whole image, if it [is made](Content::is_made).
    fn check_new(&self, hash: &Hash) -> Result<(), Refused>;
}

/// All of the input.
fn all<'i>(input: &mut &'i [u8]) -> Option<Bytes<'i>> {
    let bytes = core::mem::take(input);
    (!bytes.is_empty()).then_some(Bytes::Given(bytes))
}

/// The image itself.
pub(crate) struct Whole;

impl Content for Whole {
    fn begin(&mut self, _: &Artifact<'_>) -> Result<(), Refused> {
        Ok(())
    }

    fn image_len(&self, file_len: u64) -> u64 {
        file_len
    }

    fn old_len(&self, _: u32) -> Result<Option<u32>, Refused> {
        Ok(None)
    }

    fn check_old(&self, _: &Hash) -> Result<(), Refused> {
        Ok(())
    }

    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Bytes<'i>>, Refused> {
        Ok(all(input))
    }

    #[cfg(feature = "delta")]
    fn made(&mut self, _: usize) -> &mut [u8] {
        &mut []
    }

    fn finish(&mut self) -> Result<(), Refused> {
        Ok(())
    }

    #[cfg(any(feature = "mcuboot", feature = "resume"))]
    fn is_made(&self) -> bool {
        false
    }

    fn check_new(&self, _: &Hash) -> Result<(), Refused> {
        Ok(())
    }
}

/// The image itself, or a patch: the artifact says which. Two options where an enum would say it in one, which takes 0.6 KB of flash more.
#[cfg(feature = "delta")]
pub(crate) struct WholeOrPatch<'m> {
    memory: Lent<'m>,
    /// The payload types of patches.
    types: &'static [&'static str],
    /// Of a patch.
    expected: Option<Expected>,
    /// Until its end.
    patch: Option<Patch>,
}

#[cfg(feature = "delta")]
impl<'m> WholeOrPatch<'m> {
    pub(crate) const fn new(memory: Lent<'m>, types: &'static [&'static str]) -> WholeOrPatch<'m> {
        WholeOrPatch {
            memory,
            types,
            expected: None,
            patch: None,
        }
    }
}

#[cfg(feature = "delta")]
impl Content for WholeOrPatch<'_> {
    #[expect(
        clippy::manual_contains,
        reason = "libcore's is a function of its own, and a hundred bytes more"
    )]
    fn begin(&mut self, artifact: &Artifact<'_>) -> Result<(), Refused> {
        if self.types.iter().any(|of_patches| *of_patches == artifact.payload_type) {
            let expected = Expected::of(artifact).ok_or(Refusal::MetaData)?;
            self.patch = Some(Patch::new(expected.from_len, expected.to_len));
            self.expected = Some(expected);
        }
        Ok(())
    }

    fn image_len(&self, file_len: u64) -> u64 {
        self.expected
            .as_ref()
            .map_or(file_len, |expected| expected.to_len.into())
    }

    fn old_len(&self, room: u32) -> Result<Option<u32>, Refused> {
        match self.expected.as_ref().map(|expected| expected.from_len) {
            Some(len) if len > room => Err(Refusal::OldImage),
            len => Ok(len),
        }
    }

    fn check_old(&self, hash: &Hash) -> Result<(), Refused> {
        match &self.expected {
            Some(expected) if expected.from_sha256 != *hash => Err(Refusal::OldImage),
            Some(_) | None => Ok(()),
        }
    }

    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Bytes<'i>>, Refused> {
        let Some(patch) = &mut self.patch else {
            return Ok(all(input));
        };
        let piece = patch.next(input, self.memory.window, self.memory.buffer);
        Ok(match piece.map_err(Refusal::Patch)? {
            Piece::More => None,
            Piece::New(len) => Some(Bytes::Made(len, None)),
            Piece::Changed { from, len } => Some(Bytes::Made(len, Some(from))),
        })
    }

    fn made(&mut self, len: usize) -> &mut [u8] {
        self.memory.buffer.get_mut(..len).unwrap_or_default()
    }

    fn finish(&mut self) -> Result<(), Refused> {
        let patch = self.patch.take();
        let done: Result<(), Fault> = patch.map_or(Ok(()), |patch| patch.finish());
        done.map_err(Refusal::Patch)
    }

    #[cfg(any(feature = "mcuboot", feature = "resume"))]
    fn is_made(&self) -> bool {
        self.expected.is_some()
    }

    fn check_new(&self, hash: &Hash) -> Result<(), Refused> {
        match &self.expected {
            Some(expected) if expected.to_sha256 != *hash => Err(Refusal::NewImage),
            Some(_) | None => Ok(()),
        }
    }
}
