//! An artifact's payload from memory, for calling a module's `download` without a client.

use std::task::{Context, Poll};

use mender::update_module::{Artifact, PayloadError, PayloadEvent, PayloadSource};
use sha2::{Digest, Sha256};

/// A payload source with files in memory, handed out in chunks of a chosen length.
///
/// ```
/// use mender::update_module::Payload;
/// use mender_testkit::payload::MemoryPayload;
///
/// let mut source = MemoryPayload::new("zephyr-image", 512).file("app.bin", vec![0; 1000]);
/// let mut payload = Payload::new(&mut source);
/// # embassy_futures::block_on(async {
/// let mut file = payload.next_file().await.unwrap().unwrap();
/// assert_eq!(file.name(), "app.bin");
/// assert_eq!(file.next_chunk().await.unwrap().unwrap().len(), 512);
/// assert_eq!(file.next_chunk().await.unwrap().unwrap().len(), 488);
/// assert!(file.next_chunk().await.unwrap().is_none());
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct MemoryPayload {
    payload_type: String,
    name: String,
    meta_data: Option<String>,
    files: Vec<File>,
    chunk_len: usize,
    breaks: Option<(usize, PayloadError)>,
    place: Place,
    handed_out: usize,
    /// Bytes that were brought in are not the file's.
    wrong: bool,
}

#[derive(Clone, Debug)]
struct File {
    name: String,
    data: Vec<u8>,
    sha256: [u8; 32],
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Before {
        file: usize,
    },
    /// The data handed out last are `start..end` of the file.
    Within {
        file: usize,
        start: usize,
        end: usize,
    },
    Ended,
    Broken(PayloadError),
}

impl MemoryPayload {
    /// A payload without files, of that type, whose files will come in chunks of `chunk_len` bytes (at least 1).
    pub fn new(payload_type: &str, chunk_len: usize) -> MemoryPayload {
        assert!(chunk_len > 0, "data events are never empty");
        MemoryPayload {
            payload_type: payload_type.into(),
            name: "release-1".into(),
            meta_data: None,
            files: Vec::new(),
            chunk_len,
            breaks: None,
            place: Place::Before { file: 0 },
            handed_out: 0,
            wrong: false,
        }
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: &str, data: impl Into<Vec<u8>>) -> MemoryPayload {
        let (name, data) = (name.into(), data.into());
        let sha256 = Sha256::digest(&data).into();
        self.files.push(File { name, data, sha256 });
        self
    }

    /// Bytes of all files that were handed out: those that a module [has](mender::update_module::File::have) are not.
    pub fn handed_out(&self) -> usize {
        self.handed_out
    }

    /// Sets the artifact's name; `release-1` otherwise.
    #[must_use]
    pub fn artifact_name(mut self, name: &str) -> MemoryPayload {
        self.name = name.into();
        self
    }

    /// Sets the payload's meta-data, a JSON object.
    #[must_use]
    pub fn meta_data(mut self, json: &str) -> MemoryPayload {
        self.meta_data = Some(json.into());
        self
    }

    /// Makes the payload fail once so many bytes of its files (all together) have been handed out, at the latest
    /// in place of its end.
    #[must_use]
    pub fn breaks_after(mut self, bytes: usize, error: PayloadError) -> MemoryPayload {
        self.breaks = Some((bytes, error));
        self
    }

    fn fail(&mut self, error: PayloadError) -> Result<PayloadEvent, PayloadError> {
        self.place = Place::Broken(error);
        Err(error)
    }

    fn next(&mut self) -> Result<PayloadEvent, PayloadError> {
        match self.place {
            Place::Broken(error) => Err(error),
            Place::Ended => Ok(PayloadEvent::End),
            Place::Before { file } => match (self.files.get(file), self.breaks) {
                (Some(next), _) => {
                    self.place = Place::Within { file, start: 0, end: 0 };
                    let len = next.data.len() as u64;
                    Ok(PayloadEvent::File { len })
                }
                (None, Some((_, error))) => self.fail(error),
                (None, None) => {
                    self.place = Place::Ended;
                    Ok(PayloadEvent::End)
                }
            },
            Place::Within { file, end: start, .. } => {
                let len = self.files[file].data.len();
                let mut end = len.min(start.saturating_add(self.chunk_len));
                if let Some((limit, error)) = self.breaks {
                    let left = limit - self.handed_out;
                    if left == 0 {
                        return self.fail(error);
                    }
                    end = end.min(start.saturating_add(left));
                }
                if start == len {
                    if self.wrong {
                        return self.fail(PayloadError::Artifact);
                    }
                    self.place = Place::Before { file: file + 1 };
                    return Ok(PayloadEvent::FileEnd);
                }
                self.handed_out += end - start;
                self.place = Place::Within { file, start, end };
                Ok(PayloadEvent::Data)
            }
        }
    }
}

impl PayloadSource for MemoryPayload {
    fn artifact(&self) -> Artifact<'_> {
        Artifact {
            name: &self.name,
            payload_type: &self.payload_type,
            meta_data: self.meta_data.as_deref(),
        }
    }

    fn poll_next(&mut self, _cx: &mut Context<'_>) -> Poll<Result<PayloadEvent, PayloadError>> {
        Poll::Ready(self.next())
    }

    fn file_name(&self) -> &str {
        let file = match self.place {
            Place::Before { file } => file.checked_sub(1),
            Place::Within { file, .. } => Some(file),
            Place::Ended | Place::Broken(_) => self.files.len().checked_sub(1),
        };
        file.and_then(|file| self.files.get(file))
            .map_or("", |file| file.name.as_str())
    }

    fn data(&self) -> &[u8] {
        match self.place {
            Place::Within { file, start, end } => &self.files[file].data[start..end],
            Place::Before { .. } | Place::Ended | Place::Broken(_) => &[],
        }
    }

    fn file_sha256(&self) -> Option<&[u8; 32]> {
        match self.place {
            Place::Within { file, .. } => Some(&self.files[file].sha256),
            Place::Before { .. } | Place::Ended | Place::Broken(_) => None,
        }
    }

    fn have(&mut self, bytes: &[u8]) {
        if let Place::Within { file, end: start, .. } = self.place {
            let rest = &self.files[file].data[start..];
            let len = rest.len().min(bytes.len());
            self.wrong |= rest[..len] != bytes[..len];
            let start = start + len;
            self.place = Place::Within {
                file,
                start,
                end: start,
            };
        }
    }
}
