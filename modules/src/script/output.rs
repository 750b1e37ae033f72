//! What a program writes: lines for the host, or the answer to a query. Nothing in here waits.

use std::io;
use std::os::fd::AsFd;
use std::string::String;
use std::vec;
use std::vec::Vec;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of a line that are forwarded.
pub(super) const LINE_LEN: usize = 1024;

/// Bytes of an answer that are kept. Those of the protocol are far shorter.
const ANSWER_LEN: usize = 64;

/// What a program that has ended may still have in a pipe is read up to here: who goes on writing is another program.
const REST_LEN: usize = 1 << 20;

/// Which of its two outputs a program wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Takes what a program writes.
pub(super) struct Output<'f> {
    /// For a query: standard output is the answer, no lines.
    answer: Option<Answer>,
    out: Lines,
    err: Lines,
    forward: &'f mut dyn FnMut(Stream, &str),
}

impl<'f> Output<'f> {
    /// All lines go to `forward`.
    pub(super) fn lines(forward: &'f mut dyn FnMut(Stream, &str)) -> Output<'f> {
        Output {
            answer: None,
            out: Lines::default(),
            err: Lines::default(),
            forward,
        }
    }

    /// Standard output is an answer, the lines of standard error go to `forward`.
    pub(super) fn query(forward: &'f mut dyn FnMut(Stream, &str)) -> Output<'f> {
        Output {
            answer: Some(Answer::default()),
            ..Output::lines(forward)
        }
    }

    pub(super) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let Output {
            answer,
            out,
            err,
            forward,
        } = self;
        match (stream, answer) {
            (Stream::Out, Some(answer)) => answer.push(bytes),
            (Stream::Out, None) => out.push(bytes, &mut |line| forward(Stream::Out, line)),
            (Stream::Err, _) => err.push(bytes, &mut |line| forward(Stream::Err, line)),
        }
    }

    /// Last lines without an end; gives the answer to a query.
    pub(super) fn finish(self) -> Option<String> {
        let Output {
            answer,
            mut out,
            mut err,
            forward,
        } = self;
        out.finish(&mut |line| forward(Stream::Out, line));
        err.finish(&mut |line| forward(Stream::Err, line));
        answer.map(Answer::into_text)
    }
}

/// A pipe from a program.
#[derive(Debug)]
pub(super) struct Source<P> {
    stream: Stream,
    /// None after its end.
    pipe: Option<P>,
    buffer: Vec<u8>,
}

impl<P: AsyncRead + AsFd + Unpin> Source<P> {
    pub(super) fn new(stream: Stream, pipe: Option<P>) -> Source<P> {
        Source {
            stream,
            pipe,
            buffer: vec![0; 4096],
        }
    }

    /// What comes next; never comes back after the pipe's end. A dropped call loses nothing.
    pub(super) async fn next(&mut self) -> &[u8] {
        if let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut self.buffer).await {
                Ok(len) if len > 0 => return self.buffer.get(..len).unwrap_or(&[]),
                // What cannot be read is not worth a failed update.
                Ok(_) | Err(_) => self.pipe = None,
            }
        }
        core::future::pending().await
    }

    /// Hands on what is in the pipe now: all that the program itself wrote, if it has ended. Whoever else holds the pipe open is
    /// not waited for.
    pub(super) fn drain(&mut self, output: &mut Output<'_>) {
        let Some(pipe) = self.pipe.take() else { return };
        let mut left = REST_LEN;
        while left > 0 {
            match rustix::io::read(&pipe, &mut self.buffer).map_err(io::Error::from) {
                Ok(len) if len > 0 => {
                    output.take(self.stream, self.buffer.get(..len).unwrap_or(&[]));
                    left = left.saturating_sub(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// Cuts a stream into lines.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    /// The line is longer than what is kept of it.
    cut: bool,
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8], forward: &mut dyn FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.keep(line);
            self.end(forward);
            bytes = rest.get(1..).unwrap_or(&[]);
        }
        self.keep(bytes);
    }

    /// A last line without its end.
    fn finish(&mut self, forward: &mut dyn FnMut(&str)) {
        if !self.line.is_empty() {
            self.end(forward);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(LINE_LEN - self.line.len());
        self.line.extend_from_slice(bytes.get(..kept).unwrap_or(&[]));
        self.cut |= kept < bytes.len();
    }

    fn end(&mut self, forward: &mut dyn FnMut(&str)) {
        let mut line = self.line.as_slice();
        if let Some(rest) = line.strip_suffix(b"\r") {
            line = rest;
        }
        let mut text = String::from_utf8_lossy(line).into_owned();
        if self.cut {
            text.push_str("...");
        }
        forward(&text);
        self.line.clear();
        self.cut = false;
    }
}

/// The answer to a query: one line, or nothing.
#[derive(Debug, Default)]
struct Answer {
    text: Vec<u8>,
}

impl Answer {
    /// The line without its end; of more than one line, all that was kept.
    fn into_text(self) -> String {
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        String::from_utf8_lossy(text).into_owned()
    }

    fn push(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(ANSWER_LEN - self.text.len());
        self.text.extend_from_slice(bytes.get(..kept).unwrap_or(&[]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for piece in pieces {
            lines.push(piece, &mut |line| seen.push(line.into()));
        }
        lines.finish(&mut |line| seen.push(line.into()));
        seen
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        assert_eq!(lines(&[b"one\ntw", b"o", b"\n\nfour"]), ["one", "two", "", "four"]);
        assert_eq!(lines(&[b"dos\r\n", b"\n"]), ["dos", ""]);
        assert!(lines(&[]).is_empty());
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        assert_eq!(lines(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
    }

    #[test]
    fn long_lines_are_cut_and_the_next_one_is_not() {
        let long = [b'x'; 3000];
        let seen = lines(&[&long, &long, b"\nshort\n"]);
        assert_eq!(seen, ["x".repeat(LINE_LEN) + "...", "short".into()]);
    }

    #[test]
    fn an_answer_is_one_line_of_bounded_length() {
        let answer = |bytes: &[u8]| {
            let mut answer = Answer::default();
            answer.push(bytes);
            answer.push(b"");
            answer.into_text()
        };
        assert_eq!(answer(b"Yes\n"), "Yes");
        assert_eq!(answer(b"Yes"), "Yes");
        assert_eq!(answer(b"Yes\n\n"), "Yes\n");
        assert_eq!(answer(&[b'y'; 9999]), "y".repeat(ANSWER_LEN));
    }
}
