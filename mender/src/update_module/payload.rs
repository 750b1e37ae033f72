//! The files of an artifact, as a module sees them: one unbroken, verified stream.

use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};

#[cfg(feature = "std")]
use crate::artifact::Header;
use crate::text::{Describe, Text};

/// What is known of the artifact before its payload: strings from its verified header.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Artifact<'a> {
    /// `artifact_name`: the name of the release that becomes the device's own after the commit.
    pub name: &'a str,
    /// The payload type; equal to the module's artifact type.
    pub payload_type: &'a str,
    /// The payload's meta-data: a JSON object, syntax checked; `None` if the artifact has none.
    pub meta_data: Option<&'a str>,
}

/// What comes next in a payload. See [`PayloadSource::poll_next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PayloadEvent {
    /// A file begins: its name is [`PayloadSource::file_name`], its length is given.
    File {
        /// Length of the file in bytes.
        len: u64,
    },
    /// Data of the file that began last are in [`PayloadSource::data`]. Never empty.
    Data,
    /// The file has ended, and its SHA-256 is the one in the artifact's manifest.
    FileEnd,
    /// No file follows.
    End,
}

/// Why a payload ended early. The download has failed; a module passes it on with `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PayloadError {
    /// The connection broke and could not be resumed within the bounded number of tries.
    Connection,
    /// The artifact is malformed or a checksum is wrong. The reason is in the log.
    Artifact,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl PayloadError {
    const fn text(self) -> &'static str {
        match self {
            PayloadError::Connection => "the download broke and could not be resumed",
            PayloadError::Artifact => "the artifact is malformed or damaged",
        }
    }
}

impl Describe for PayloadError {
    fn describe(&self, out: &mut Text<'_>) {
        out.push(self.text());
    }
}

impl core::error::Error for PayloadError {}

/// Where a [`Payload`] takes its events from: the client's download, or a test's own data.
///
/// Events come in the order `(File Data* FileEnd)* End`, or an error, after which there is nothing more.
pub trait PayloadSource: Send {
    /// The artifact's header.
    fn artifact(&self) -> Artifact<'_>;

    /// All of the artifact's header, where there is one: what a program of a host is told of it.
    #[cfg(feature = "std")]
    fn header(&self) -> Option<Header<'_>> {
        None
    }

    /// The next event. Data of an earlier event are gone with this call.
    ///
    /// # Errors
    ///
    /// [`PayloadError`]; the same error again when called after an error.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<PayloadEvent, PayloadError>>;

    /// Name of the file that began last; a plain file name, no directories. Empty before the first.
    fn file_name(&self) -> &str;

    /// The data of the last [`PayloadEvent::Data`]; empty after any other event.
    fn data(&self) -> &[u8];

    /// SHA-256 of the file that began last, as the artifact's manifest states it, if its next bytes can be had from elsewhere: see
    /// [`have`](PayloadSource::have). That cannot be of a file that comes compressed.
    fn file_sha256(&self) -> Option<&[u8; 32]> {
        None
    }

    /// Takes the next bytes of the file that began last from somebody who has them: events go on behind them. What is more than the
    /// rest of the file is not taken. Called only if [`file_sha256`](PayloadSource::file_sha256) gives something.
    fn have(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }
}

/// The payload of an artifact: its files, in order, pulled by a module.
///
/// ```
/// # use mender::update_module::{Failure, Payload};
/// # async fn write(_offset: u64, _data: &[u8]) -> Result<(), Failure> { Ok(()) }
/// async fn download(payload: &mut Payload<'_>) -> Result<(), Failure> {
///     while let Some(mut file) = payload.next_file().await? {
///         let mut offset = 0;
///         while let Some(chunk) = file.next_chunk().await? {
///             write(offset, chunk).await?;
///             offset += chunk.len() as u64;
///         }
///     }
///     Ok(())
/// }
/// ```
///
/// A broken connection is resumed behind the module's back. A file's end (`None`) is reported only after its
/// checksum was verified. What a module does not read is skipped, and verified all the same, by the client.
pub struct Payload<'a> {
    source: &'a mut dyn PayloadSource,
    place: Place,
}

/// Where in the stream a payload is. No event is lost when a module stops reading early.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    BetweenFiles,
    InFile { len: u64 },
    Ended,
    Failed(PayloadError),
}

impl<'a> Payload<'a> {
    /// A payload that takes its events from `source`, from the first on.
    pub fn new(source: &'a mut dyn PayloadSource) -> Payload<'a> {
        Payload {
            source,
            place: Place::BetweenFiles,
        }
    }

    /// The artifact's header: name, payload type, meta-data.
    pub fn artifact(&self) -> Artifact<'_> {
        self.source.artifact()
    }

    /// All of the artifact's header: provides, depends, device types. `None` where a test brings payload files alone.
    #[cfg(feature = "std")]
    pub fn header(&self) -> Option<Header<'_>> {
        self.source.header()
    }

    /// The next file, or `None` after the last. What was not read of the file before is skipped.
    ///
    /// # Errors
    ///
    /// [`PayloadError`]: the download has failed, every further call gives the same error.
    ///
    /// # Cancellation
    ///
    /// Safe: a dropped call loses no data of a file that was not returned yet.
    pub async fn next_file(&mut self) -> Result<Option<File<'_, 'a>>, PayloadError> {
        loop {
            match self.place {
                Place::Failed(error) => return Err(error),
                Place::Ended => return Ok(None),
                Place::BetweenFiles => {
                    self.step().await?;
                    if let Place::InFile { .. } = self.place {
                        return Ok(Some(File { payload: self }));
                    }
                }
                Place::InFile { .. } => {
                    self.step().await?;
                }
            }
        }
    }

    /// Reads all that is left, so that every checksum is verified. The client calls this after a module's
    /// download; a module may call it to fail early.
    ///
    /// # Errors
    ///
    /// [`PayloadError`].
    pub async fn finish(&mut self) -> Result<(), PayloadError> {
        while self.place != Place::Ended {
            self.step().await?;
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<PayloadEvent, PayloadError> {
        if let Place::Failed(error) = self.place {
            return Err(error);
        }
        let result = poll_fn(|cx| self.source.poll_next(cx)).await;
        match result {
            Ok(PayloadEvent::File { len }) => self.place = Place::InFile { len },
            Ok(PayloadEvent::Data) => {}
            Ok(PayloadEvent::FileEnd) => self.place = Place::BetweenFiles,
            Ok(PayloadEvent::End) => self.place = Place::Ended,
            Err(error) => self.place = Place::Failed(error),
        }
        result
    }
}

/// One file of a payload.
pub struct File<'p, 'a> {
    payload: &'p mut Payload<'a>,
}

impl File<'_, '_> {
    /// The file's name: a plain name, no directories.
    pub fn name(&self) -> &str {
        self.payload.source.file_name()
    }

    /// The file's length in bytes, as announced by the artifact; the sum of all chunks is this.
    pub fn len(&self) -> u64 {
        match self.payload.place {
            Place::InFile { len } => len,
            Place::BetweenFiles | Place::Ended | Place::Failed(_) => 0,
        }
    }

    /// Whether the file has no data.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next data of the file, of any length but 0; `None` after the last, when the checksum was right.
    ///
    /// # Errors
    ///
    /// [`PayloadError`]: the download has failed. Data handed out before must not be used.
    ///
    /// # Cancellation
    ///
    /// Safe: a dropped call loses nothing.
    pub async fn next_chunk(&mut self) -> Result<Option<&[u8]>, PayloadError> {
        match self.payload.place {
            Place::InFile { .. } => {}
            Place::BetweenFiles | Place::Ended => return Ok(None),
            Place::Failed(error) => return Err(error),
        }
        match self.payload.step().await? {
            PayloadEvent::Data => Ok(Some(self.payload.source.data())),
            PayloadEvent::File { .. } | PayloadEvent::FileEnd | PayloadEvent::End => Ok(None),
        }
    }

    /// The file's SHA-256 as the artifact's manifest states it, if [`have`](File::have) can be used: a module that kept it beside the
    /// first bytes of a file knows by it, after a restart, that this is the same file.
    ///
    /// `None` if the file comes compressed, or from a [`PayloadSource`] that cannot do it. Then all of it has to come again.
    pub fn sha256(&self) -> Option<&[u8; 32]> {
        match self.payload.place {
            Place::InFile { .. } => self.payload.source.file_sha256(),
            Place::BetweenFiles | Place::Ended | Place::Failed(_) => None,
        }
    }

    /// Brings in the next bytes of the file, which the module has already: from a download that a restart cut short. They are
    /// verified as if they had come, and those behind them are what [`next_chunk`](File::next_chunk) gives. The client asks the host
    /// for no more than that, by HTTP's `Range`.
    ///
    /// ```
    /// # use mender::update_module::{Failure, File};
    /// # async fn noted() -> Option<([u8; 32], u32)> { None }
    /// # async fn read(_offset: u32, _buffer: &mut [u8]) -> Result<(), Failure> { Ok(()) }
    /// # async fn example(file: &mut File<'_, '_>) -> Result<(), Failure> {
    /// let mut buffer = [0; 256];
    /// if let Some((sha256, written)) = noted().await
    ///     && file.sha256() == Some(&sha256)
    /// {
    ///     for offset in (0..written).step_by(buffer.len()) {
    ///         read(offset, &mut buffer).await?;
    ///         file.have(&buffer);
    ///     }
    /// }
    /// // And now the rest: while let Some(chunk) = file.next_chunk().await? ...
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Wrong bytes are found at the end of the file, by its checksum: the download fails. So a module counts as written only what is
    /// in flash for certain, and forgets its note in [`cleanup`](super::CallbackState::Cleanup).
    ///
    /// Does nothing without a [`sha256`](File::sha256); what is more than the rest of the file is left out.
    pub fn have(&mut self, bytes: &[u8]) {
        if self.sha256().is_some() {
            self.payload.source.have(bytes);
        }
    }
}

/// A payload that breaks fails the callback that reads it.
impl From<PayloadError> for super::Failure {
    fn from(error: PayloadError) -> super::Failure {
        super::Failure::of(error.text())
    }
}
