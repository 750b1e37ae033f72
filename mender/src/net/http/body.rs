//! Where a body ends, and which of its bytes are data. Pure.

use crate::shift::shift;

/// The framing of a body, and how far it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// This many bytes are left.
    Length(u32),
    /// Chunks (RFC 9112, 7.1).
    Chunked(Chunked),
    /// Until the stream ends.
    ToEnd,
}

/// A place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunked {
    /// In the digits of a chunk's size; the value so far and the number of digits.
    Size {
        /// The value of the digits so far.
        size: u32,
        /// How many digits.
        digits: u8,
    },
    /// In an extension behind the size, up to the line's end; this many of its bytes were skipped.
    Extension {
        /// The chunk's size.
        size: u32,
        /// Bytes skipped so far.
        skipped: u8,
    },
    /// After the carriage return of a size line.
    SizeEnd {
        /// The chunk's size.
        size: u32,
    },
    /// In a chunk's data; this many bytes are left, at least one.
    Data {
        /// Bytes left.
        left: u32,
    },
    /// After a chunk's data, before its carriage return.
    DataEnd,
    /// After that carriage return.
    DataEndLine,
    /// At the start of a line of the trailer: an empty line ends the body.
    Trailer {
        /// Bytes of this line so far.
        line: u8,
    },
    /// After a carriage return in the trailer.
    TrailerEnd {
        /// The line was empty.
        empty: bool,
    },
    /// The body is complete.
    Done,
}

/// The bytes are not a body of the announced framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Framing {
    /// The start of a chunked body.
    pub(crate) const fn chunked() -> Framing {
        Framing::Chunked(Chunked::Size { size: 0, digits: 0 })
    }

    /// Whether the body is complete. A body that ends with its stream never says so.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Framing::Length(0) | Framing::Chunked(Chunked::Done))
    }

    /// Bytes that are left, if that is known.
    pub(crate) const fn left(&self) -> Option<u32> {
        match self {
            Framing::Length(left) => Some(*left),
            Framing::Chunked(_) | Framing::ToEnd => None,
        }
    }

    /// Takes bytes of the stream and moves the body's data among them to the front. What is behind the body's end is not
    /// taken: nobody has asked for it.
    ///
    /// # Errors
    ///
    /// [`Malformed`]: wrong chunk framing.
    pub(crate) fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, Malformed> {
        match self {
            Framing::ToEnd => Ok(Decoded {
                data: bytes.len(),
                taken: bytes.len(),
            }),
            Framing::Length(left) => {
                let taken = at_most(bytes.len(), *left);
                // At most `left`.
                *left -= taken as u32;
                Ok(Decoded { data: taken, taken })
            }
            Framing::Chunked(chunked) => chunked.decode(bytes),
        }
    }
}

/// What became of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// So many are data, and at the front now.
    pub(crate) data: usize,
    /// So many belong to the body.
    pub(crate) taken: usize,
}

fn at_most(len: usize, left: u32) -> usize {
    len.min(usize::try_from(left).unwrap_or(usize::MAX))
}

impl Chunked {
    fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, Malformed> {
        let (mut taken, mut data) = (0, 0);
        while let Some(&byte) = bytes.get(taken) {
            match *self {
                Chunked::Done => break,
                Chunked::Data { left } => {
                    let run = at_most(bytes.len() - taken, left);
                    shift(bytes, taken, run, data);
                    taken += run;
                    data += run;
                    // `run` is at most `left`, a u32.
                    let left = left - run as u32;
                    *self = if left > 0 {
                        Chunked::Data { left }
                    } else {
                        Chunked::DataEnd
                    };
                }
                Chunked::Size { .. }
                | Chunked::Extension { .. }
                | Chunked::SizeEnd { .. }
                | Chunked::DataEnd
                | Chunked::DataEndLine
                | Chunked::Trailer { .. }
                | Chunked::TrailerEnd { .. } => {
                    *self = self.step(byte)?;
                    taken += 1;
                }
            }
        }
        Ok(Decoded { data, taken })
    }

    fn step(self, byte: u8) -> Result<Chunked, Malformed> {
        Ok(match (self, byte) {
            (Chunked::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 8 => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
                Chunked::Size {
                    size: (size << 4) | digit,
                    digits: digits + 1,
                }
            }
            (Chunked::Size { size, digits: 1.. }, b'\r') => Chunked::SizeEnd { size },
            (Chunked::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => Chunked::Extension { size, skipped: 0 },
            (Chunked::Extension { size, .. }, b'\r') => Chunked::SizeEnd { size },
            (Chunked::Extension { size, skipped }, _) => Chunked::Extension {
                size,
                skipped: skipped.checked_add(1).ok_or(Malformed)?,
            },
            (Chunked::SizeEnd { size: 0 }, b'\n') => Chunked::Trailer { line: 0 },
            (Chunked::SizeEnd { size }, b'\n') => Chunked::Data { left: size },
            (Chunked::DataEnd, b'\r') => Chunked::DataEndLine,
            (Chunked::DataEndLine, b'\n') => Chunked::Size { size: 0, digits: 0 },
            (Chunked::Trailer { line }, b'\r') => Chunked::TrailerEnd { empty: line == 0 },
            (Chunked::Trailer { line }, _) => Chunked::Trailer {
                line: line.checked_add(1).ok_or(Malformed)?,
            },
            (Chunked::TrailerEnd { empty: true }, b'\n') => Chunked::Done,
            (Chunked::TrailerEnd { empty: false }, b'\n') => Chunked::Trailer { line: 0 },
            (
                Chunked::Size { .. }
                | Chunked::SizeEnd { .. }
                | Chunked::Data { .. }
                | Chunked::DataEnd
                | Chunked::DataEndLine
                | Chunked::TrailerEnd { .. }
                | Chunked::Done,
                _,
            ) => return Err(Malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    /// The data, whether the body is complete, and how many bytes are behind its end.
    fn read(mut framing: Framing, stream: &[u8], piece_len: usize) -> Result<(Vec<u8>, bool, usize), Malformed> {
        let mut data = Vec::new();
        let mut behind = 0;
        for piece in stream.chunks(piece_len) {
            let mut piece = piece.to_vec();
            let decoded = framing.decode(&mut piece)?;
            data.extend_from_slice(&piece[..decoded.data]);
            behind += piece.len() - decoded.taken;
        }
        Ok((data, framing.is_done(), behind))
    }

    #[test]
    fn chunks_in_pieces_of_any_length() {
        let stream = b"4\r\nwiki\r\n005;name=\"x\"\r\npedia\r\nC \r\n in \r\nchunks\r\n0\r\nTrailer: x\r\n\r\n";
        for piece_len in 1..=stream.len() {
            let read = read(Framing::chunked(), stream, piece_len).unwrap();
            assert_eq!(read, (b"wikipedia in \r\nchunks".to_vec(), true, 0));
        }
    }

    #[test]
    fn every_cut_is_seen_as_incomplete() {
        let stream = b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
        for cut in 0..stream.len() {
            let (_, done, _) = read(Framing::chunked(), &stream[..cut], 5).unwrap();
            assert!(!done, "{cut}");
        }
        assert!(read(Framing::chunked(), stream, 5).unwrap().1);
    }

    #[test]
    fn more_than_was_announced_is_not_taken() {
        for piece_len in 1..24 {
            assert_eq!(
                read(Framing::Length(3), b"abcd", piece_len),
                Ok((b"abc".to_vec(), true, 1))
            );
            assert_eq!(
                read(Framing::Length(0), b"abcd", piece_len),
                Ok((b"".to_vec(), true, 4))
            );
            assert_eq!(
                read(Framing::chunked(), b"1\r\na\r\n0\r\n\r\nHTTP", piece_len),
                Ok((b"a".to_vec(), true, 4))
            );
        }
    }

    #[test]
    fn wrong_chunks_are_refused() {
        for bad in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"1\n",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b"123456789\r\n",
        ] {
            assert_eq!(read(Framing::chunked(), bad, 1), Err(Malformed));
        }
    }
}
