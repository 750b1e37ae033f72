//! An artifact from a file or a URL, piece by piece, for a standalone deployment.
//!
//! Asked for by HTTP/1.0: the answer then has no chunks and ends with the connection. Nothing is resumed; a deployment by the server
//! is there for links that break.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use mender::embedded_io_async::{ErrorType, Read, Write as _};
use mender::net::{Connector as _, Endpoint, Peer, Url};
use tokio::time::timeout;
use tool_style::file;

use crate::net::{Connection, Net};
use crate::terminal::Terminal;

/// Where an artifact comes from.
pub struct Artifact {
    source: Source,
    /// Of how many bytes, if that is known.
    total: Option<u64>,
    received: u64,
    terminal: Arc<Terminal>,
    /// Why it could not be read, for the last line.
    pub failure: Option<String>,
}

enum Source {
    File(File),
    /// What came with the head is read first.
    Body(Vec<u8>, Connection),
}

impl Source {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::File(file) => file.read(buffer),
            Source::Body(rest, connection) if rest.is_empty() => timeout(SILENCE, connection.read(buffer))
                .await
                .map_err(|_| io::Error::other(SILENT))?,
            Source::Body(rest, _) => {
                let len = rest.len().min(buffer.len());
                for (place, byte) in buffer.iter_mut().zip(rest.drain(..len)) {
                    *place = byte;
                }
                Ok(len)
            }
        }
    }
}

impl Artifact {
    /// Opens a file, or asks for a URL.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub async fn open(place: &str, server_url: &str, net: &Net, terminal: Arc<Terminal>) -> Result<Artifact, String> {
        let (source, total) = if place.starts_with("http://") || place.starts_with("https://") {
            ask(place, server_url, net).await?
        } else {
            let failed = |error| format!("{place}: {}", file::unreadable(&error));
            let file = File::open(place).map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            let total = metadata.is_file().then_some(metadata.len());
            (Source::File(file), total)
        };
        Ok(Artifact {
            source,
            total,
            received: 0,
            terminal,
            failure: None,
        })
    }

    async fn piece(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A server may keep the connection open, though it was asked not to: what is known to be the end is not waited for.
        let left = self.total.map(|total| total.saturating_sub(self.received));
        let room = left.map_or(buffer.len(), |left| {
            usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()))
        });
        let buffer = buffer.get_mut(..room).unwrap_or(&mut []);
        if buffer.is_empty() {
            return Ok(0);
        }
        let len = self.source.read(buffer).await?;
        if len == 0 && left.is_some() {
            return Err(io::Error::other(match self.source {
                Source::File(_) => "the file became shorter",
                Source::Body(..) => "the connection broke off before the end",
            }));
        }
        self.received += len as u64;
        Ok(len)
    }
}

impl ErrorType for Artifact {
    type Error = io::Error;
}

impl Read for Artifact {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.piece(buffer).await {
            Ok(len) => {
                match self.total {
                    Some(total) if self.received < total => self.terminal.progress(self.received, total),
                    Some(_) | None => self.terminal.progress_ends(),
                }
                Ok(len)
            }
            Err(error) => {
                self.failure = Some(error.to_string());
                Err(error)
            }
        }
    }
}

/// A server that says nothing for so long is given up: as long as the library waits for one.
const SILENCE: Duration = Duration::from_secs(60);
const SILENT: &str = "the server says nothing more";

/// More than any server's.
const HEAD_MAX_LEN: usize = 65536;

async fn ask(place: &str, server_url: &str, net: &Net) -> Result<(Source, Option<u64>), String> {
    let url = Url::parse(place).map_err(|error| format!("{place}: {error}"))?;
    // Its query may be a secret.
    let name = format!("{}{}", url.authority, url.path.split('?').next().unwrap_or_default());
    let is_servers = Url::parse(server_url)
        .is_ok_and(|server| server.port == url.port && server.host.eq_ignore_ascii_case(url.host));
    let peer = if is_servers { Peer::Server } else { Peer::ArtifactHost };
    timeout(SILENCE, answer(&url, url.endpoint(peer), net))
        .await
        .map_err(|_| SILENT.to_owned())
        .flatten()
        .map_err(|error| format!("{name}: {error}"))
}

async fn answer(url: &Url<'_>, endpoint: Endpoint<'_>, net: &Net) -> Result<(Source, Option<u64>), String> {
    let failed = |error: io::Error| error.to_string();
    let mut connection = net.connect(endpoint).await.map_err(|error| format!("{error:?}"))?;
    let request = format!(
        "GET {} HTTP/1.0\r\nHost: {}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        url.path, url.authority
    );
    connection.write_all(request.as_bytes()).await.map_err(failed)?;
    connection.flush().await.map_err(failed)?;
    let mut bytes = Vec::new();
    loop {
        if let Some(head) = parse(&bytes)? {
            bytes.drain(..head.len);
            return Ok((Source::Body(bytes, connection), head.body_len));
        }
        if bytes.len() > HEAD_MAX_LEN {
            return Err("it answers without end".to_owned());
        }
        let mut piece = [0; 4096];
        let len = connection.read(&mut piece).await.map_err(failed)?;
        if len == 0 {
            return Err("it broke the connection off".to_owned());
        }
        bytes.extend_from_slice(piece.get(..len).unwrap_or(&[]));
    }
}

/// A whole head of an answer with an artifact behind it.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    len: usize,
    body_len: Option<u64>,
}

/// `None` if more has to come.
fn parse(bytes: &[u8]) -> Result<Option<Head>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(len)) => len,
        Err(error) => return Err(format!("it does not answer by HTTP: {error}")),
    };
    let header = |name: &str| {
        let found = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    match response.code {
        Some(200) => {}
        Some(status @ (301 | 302 | 303 | 307 | 308)) => {
            let to = header("Location").unwrap_or("an unknown place");
            return Err(format!(
                "it is elsewhere (status {status}): {}",
                to.split('?').next().unwrap_or(to)
            ));
        }
        Some(status) => return Err(format!("it is not there (status {status})")),
        None => return Err("it does not answer by HTTP".to_owned()),
    }
    if header("Transfer-Encoding").is_some() {
        return Err("it is sent in chunks, which HTTP/1.0 does not have".to_owned());
    }
    let body_len = header("Content-Length")
        .map(|text| text.parse().map_err(|_| format!("its length is no number: {text}")))
        .transpose()?;
    Ok(Some(Head { len, body_len }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_waited_for() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
        for len in 0..head.len() {
            assert_eq!(parse(&head.as_bytes()[..len]), Ok(None), "{len}");
        }
        let whole = Head {
            len: head.len(),
            body_len: Some(7),
        };
        assert_eq!(parse(format!("{head}artifact").as_bytes()), Ok(Some(whole)));
        let unknown = parse(b"HTTP/1.0 200 OK\r\n\r\n").unwrap().unwrap();
        assert_eq!(unknown.body_len, None);
    }

    #[test]
    fn what_is_no_artifact_is_named() {
        for (text, part) in [
            ("HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
            (
                "HTTP/1.1 302 Found\r\nLocation: https://h/a?secret=1\r\n\r\n",
                "elsewhere (status 302): https://h/a",
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "in chunks"),
            ("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "no number: many"),
            ("SSH-2.0-OpenSSH\r\n", "not answer by HTTP"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_server_that_goes_silent_is_given_up() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (near, _far) = tokio::io::duplex(64);
            let mut source = Source::Body(b"abc".to_vec(), Connection::new(Box::new(near)));
            let begin = tokio::time::Instant::now();
            let mut buffer = [0; 16];
            assert_eq!(source.read(&mut buffer).await.unwrap(), 3);
            let error = source.read(&mut buffer).await.unwrap_err();
            assert_eq!(error.to_string(), SILENT);
            assert_eq!(begin.elapsed(), SILENCE);
        });
    }
}
