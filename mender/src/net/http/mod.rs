//! HTTP/1.1, the part that a Mender client needs.
//!
//! - [`head`]: request heads as bytes, response heads parsed (by httparse). Pure.
//! - [`body`]: the framing of a response's body: length, chunks, or to the end of the stream. Pure.
//! - [`retry_after`]: the wait that a response asks for. Pure.
//! - [`Exchange`]: one request and its response on a byte stream; the connection can be used again after it.
//!
//! httparse rather than a client library, because a whole client has to be trusted with every byte of the network:
//! reqwless 0.14 subtracts what it read from what is left without a check (a panic, if a server sends more than it
//! announced), takes a stream that ends within a chunk for the end of the body, does not tell the HTTP version, and
//! brings a second P-256 and base64. httparse is what it builds on.

pub mod body;
mod exchange;
pub mod head;
pub mod retry_after;

pub use exchange::{Exchange, HttpError, ResponseBody};
