//! A message seen through a window: all of it is written, a piece of it is kept.
//!
//! A request is longer than what a microcontroller wants to hold of it. So whoever writes a message writes all of it, always the
//! same way; a [`Window`] counts the bytes, drops those in front of it and behind it, and keeps those in between. Written once
//! into an empty window a message is counted; written again for each piece it is sent. What it is made from must not change in
//! between.
//!
//! Depends on [`text`](crate::text) for digits, on nothing else.

use crate::text::{DIGITS, decimal};

/// A piece of a message being written.
#[derive(Debug)]
pub(crate) struct Window<'b> {
    out: &'b mut [u8],
    from: usize,
    at: usize,
}

impl<'b> Window<'b> {
    /// Keeps the bytes from `from` on, as many as `out` has room for.
    pub(crate) fn new(out: &'b mut [u8], from: usize) -> Window<'b> {
        Window { out, from, at: 0 }
    }

    /// The number of bytes that `write` writes.
    pub(crate) fn count(write: impl FnOnce(&mut Window<'_>)) -> usize {
        let mut window = Window::new(&mut [], 0);
        write(&mut window);
        window.at
    }

    #[inline(never)]
    pub(crate) fn byte(&mut self, byte: u8) {
        // In front of the window the difference wraps to a place far behind it.
        if let Some(place) = self.out.get_mut(self.at.wrapping_sub(self.from)) {
            *place = byte;
        }
        self.at += 1;
    }

    #[inline(never)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.byte(byte);
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    #[inline(never)]
    pub(crate) fn number(&mut self, number: u32) {
        self.text(decimal(number, &mut [0; DIGITS]));
    }

    /// Bytes written so far, kept or not.
    pub(crate) fn total(&self) -> usize {
        self.at
    }

    /// Forgets what was written after the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.at = self.at.min(len);
    }

    /// Goes on behind what was written into the same memory before.
    pub(crate) fn skip_to(&mut self, len: usize) {
        self.at = len;
    }

    /// Bytes that the window has room for.
    pub(crate) fn room(&self) -> usize {
        self.out.len()
    }

    /// Bytes that were kept.
    pub(crate) fn kept(&self) -> usize {
        self.at.saturating_sub(self.from).min(self.out.len())
    }

    /// The memory that was lent.
    pub(crate) fn into_buffer(self) -> &'b mut [u8] {
        self.out
    }

    /// All that was kept.
    pub(crate) fn finish(self) -> &'b [u8] {
        let kept = self.kept();
        let out: &'b [u8] = self.out;
        out.get(..kept).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn write(window: &mut Window<'_>) {
        window.text("POST ");
        window.number(4_294_967_295);
        window.byte(b'\n');
        window.text("body");
    }

    #[test]
    fn a_message_in_pieces_is_the_message() {
        let len = Window::count(write);
        assert_eq!(len, 20);
        for room in 1..=len + 1 {
            let mut message = Vec::new();
            while message.len() < len {
                let mut out = [0; 32];
                let mut window = Window::new(&mut out[..room], message.len());
                write(&mut window);
                assert_eq!(window.total(), len);
                message.extend_from_slice(window.finish());
            }
            assert_eq!(message, b"POST 4294967295\nbody");
        }
    }

    #[test]
    fn what_was_written_can_be_forgotten() {
        let mut out = [0; 8];
        let mut window = Window::new(&mut out, 0);
        window.text("abc");
        window.truncate(1);
        window.text("d");
        assert_eq!(window.finish(), b"ad");
    }
}
