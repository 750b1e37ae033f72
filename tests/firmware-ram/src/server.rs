//! The network: two hosts that answer as the open-source server does. They keep all their state here, so that it is not in the
//! client's future.

use core::cell::RefCell;
use core::convert::Infallible;
use core::fmt::Write as _;

use heapless::{String, Vec};
use mender::net::{Connector, Endpoint, Peer};

use crate::board::Board;

/// What a host answers.
struct Answer {
    head: String<256>,
    body: [&'static [u8]; 3],
}

/// What was asked last on a connection, and how much of the answer is sent.
struct Exchange {
    /// The request's first bytes.
    request: Vec<u8, 96>,
    answer: Option<Answer>,
    sent: usize,
}

/// The two hosts.
pub struct Server<'b> {
    board: &'b Board,
    exchanges: RefCell<[Exchange; 2]>,
}

/// A connection to one of them.
pub struct Connection<'s> {
    server: &'s Server<'s>,
    host: usize,
}

/// As long as a token of the open-source server.
const TOKEN: &[u8] = &[b'a'; 900];
/// Makes the link as long as a signed one.
const SIGNATURE: &[u8] = &[b'b'; 900];

const PLAIN: &[u8] = include_bytes!("../../vectors/artifacts/ok/rootfs-image.mender");
const REBOOTING: &[u8] = include_bytes!("../../vectors/artifacts/ok/none-100k.mender");

const OFFER_PLAIN: &[u8] = br#"{"id":"11111111-5c54-4bd6-8a4f-6b3e6f8c2a01","artifact":{"artifact_name":"rootfs-1","device_types_compatible":["nrf52840dk"],"source":{"expire":"2026-01-01T00:00:00Z","uri":"http://artifacts.example/plain?X-Amz-Signature="#;
const OFFER_REBOOTING: &[u8] = br#"{"id":"22222222-5c54-4bd6-8a4f-6b3e6f8c2a02","artifact":{"artifact_name":"release-100k","device_types_compatible":["nrf52840dk"],"source":{"expire":"2026-01-01T00:00:00Z","uri":"http://artifacts.example/rebooting?X-Amz-Signature="#;
const OFFER_END: &[u8] = br#""}}}"#;

impl<'b> Server<'b> {
    pub const fn new(board: &'b Board) -> Server<'b> {
        const NEW: Exchange = Exchange {
            request: Vec::new(),
            answer: None,
            sent: 0,
        };
        Server {
            board,
            exchanges: RefCell::new([NEW; 2]),
        }
    }

    /// Out of line, as is what it formats: the figures are those of the client.
    #[inline(never)]
    fn answer(&self, request: &[u8]) -> Answer {
        let finished = self.board.finished.get();
        let is = |start: &str| request.starts_with(start.as_bytes());
        let (doing, status, body): (_, _, [&'static [u8]; 3]) =
            if is("POST /api/devices/v1/authentication/auth_requests ") {
                ("after login", "200 OK", [TOKEN, b"", b""])
            } else if is("POST /api/devices/v2/deployments/device/deployments/next ") {
                match finished {
                    0 => ("after a poll", "200 OK", [OFFER_PLAIN, SIGNATURE, OFFER_END]),
                    1 => ("after a poll", "200 OK", [OFFER_REBOOTING, SIGNATURE, OFFER_END]),
                    _ => {
                        self.board.handle.stop();
                        ("after the last poll", "204 No Content", [b"", b"", b""])
                    }
                }
            } else if is("GET /plain?") {
                ("head of an artifact", "200 OK", [PLAIN, b"", b""])
            } else if is("GET /rebooting?") {
                ("head of an artifact", "200 OK", [REBOOTING, b"", b""])
            } else if is("PUT /api/devices/v1/deployments/device/deployments/") {
                ("after a status", "204 No Content", [b"", b"", b""])
            } else if is("PUT /api/devices/v1/inventory/") || is("PATCH /api/devices/v1/inventory/") {
                ("after inventory", "200 OK", [b"", b"", b""])
            } else {
                panic!("unexpected: {:?}", core::str::from_utf8(request));
            };
        self.board.doing.set(doing);
        let mut head = String::new();
        let len: usize = body.iter().map(|part| part.len()).sum();
        let written = write!(
            head,
            "HTTP/1.1 {status}\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nX-Men-Requestid: 5c54f1f6-4bd6-4a4f-8b3e-6f8c2a010203\r\n\
             Content-Type: application/json\r\nContent-Length: {len}\r\n\r\n"
        );
        assert!(written.is_ok(), "the head is too long");
        Answer { head, body }
    }
}

impl<'b> Connector for &'b Server<'b> {
    type Connection<'c>
        = Connection<'b>
    where
        Self: 'c;
    type Error = Infallible;

    async fn connect(&self, endpoint: Endpoint<'_>) -> Result<Connection<'b>, Infallible> {
        embassy_futures::yield_now().await;
        let host = match endpoint.peer {
            Peer::Server => 0,
            Peer::ArtifactHost => 1,
        };
        let exchange = &mut self.exchanges.borrow_mut()[host];
        exchange.request.clear();
        exchange.answer = None;
        Ok(Connection { server: self, host })
    }
}

impl embedded_io_async::ErrorType for Connection<'_> {
    type Error = Infallible;
}

impl embedded_io_async::Write for Connection<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        embassy_futures::yield_now().await;
        let exchange = &mut self.server.exchanges.borrow_mut()[self.host];
        if exchange.answer.take().is_some() {
            exchange.request.clear();
        }
        for byte in bytes {
            // Only the first line is looked at.
            let _ = exchange.request.push(*byte);
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl embedded_io_async::Read for Connection<'_> {
    /// The client reads when it has sent the whole request.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        embassy_futures::yield_now().await;
        let exchange = &mut self.server.exchanges.borrow_mut()[self.host];
        if exchange.answer.is_none() {
            exchange.answer = Some(self.server.answer(&exchange.request));
            exchange.sent = 0;
        }
        let Some(answer) = &exchange.answer else { return Ok(0) };
        let mut at = exchange.sent;
        for part in [answer.head.as_bytes()].iter().chain(&answer.body) {
            if at < part.len() {
                let len = buffer.len().min(part.len() - at);
                buffer[..len].copy_from_slice(&part[at..at + len]);
                exchange.sent += len;
                return Ok(len);
            }
            at -= part.len();
        }
        Ok(0)
    }
}
