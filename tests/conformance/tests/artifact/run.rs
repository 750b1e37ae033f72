//! Feeds an artifact to the parser and notes everything that comes out.

use std::fmt::Write;

use mender::artifact::{Error, Event, Header, Limits, Parser};
use mender::unpack::Unpacker;
use sha2::{Digest, Sha256};

use crate::vectors::File;

/// All that a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderContent {
    pub artifact_name: String,
    pub artifact_group: Option<String>,
    pub payload_type: Option<String>,
    pub device_types: Vec<String>,
    pub depends: Vec<(String, Vec<String>)>,
    pub provides: Vec<(String, String)>,
    pub clears: Option<Vec<String>>,
    pub meta_data: Option<String>,
    pub signed: bool,
    pub scripts: u16,
    pub manifest_sha256: String,
}

impl HeaderContent {
    pub fn of(header: Header<'_>) -> HeaderContent {
        HeaderContent {
            artifact_name: header.artifact_name().to_owned(),
            artifact_group: header.artifact_group().map(str::to_owned),
            payload_type: header.payload_type().map(str::to_owned),
            device_types: header.device_types().map(str::to_owned).collect(),
            depends: header
                .depends()
                .map(|depend| (depend.key.to_owned(), depend.values().map(str::to_owned).collect()))
                .collect(),
            provides: header
                .provides()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            clears: header.clears_provides().map(|list| list.map(str::to_owned).collect()),
            meta_data: header.meta_data().map(str::to_owned),
            signed: header.is_signed(),
            scripts: header.script_count(),
            manifest_sha256: hex(header.manifest_sha256()),
        }
    }
}

/// What came out of the parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub header: Option<HeaderContent>,
    /// Complete files.
    pub files: Vec<File>,
    /// Bytes of files handed over, complete files or not.
    pub payload_bytes: usize,
    pub result: Result<(), Error>,
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Parses `bytes` in pieces of the given lengths (the last repeated), in a buffer of `work_len` bytes. Returns the
/// bytes consumed, too.
pub fn parse_with(bytes: &[u8], chunks: &[usize], limits: Limits, work_len: usize) -> (Outcome, u64) {
    // What the buffer held before must not matter.
    let mut work = vec![0xa5; work_len];
    parse_by(Parser::new(limits, &mut work), bytes, chunks)
}

/// Parses with this parser.
pub fn parse_by(mut parser: Parser<'_>, bytes: &[u8], chunks: &[usize]) -> (Outcome, u64) {
    let mut outcome = Outcome {
        header: None,
        files: Vec::new(),
        payload_bytes: 0,
        result: Ok(()),
    };
    let mut file: Option<(u64, Vec<u8>)> = None;
    let mut rest = bytes;
    let mut chunks = chunks.iter().chain(std::iter::repeat(chunks.last().unwrap()));
    loop {
        let (mut piece, after) = rest.split_at(rest.len().min(*chunks.next().unwrap()));
        rest = after;
        loop {
            let offset = parser.offset();
            let (consumed, event) = match parser.feed(piece) {
                Ok(fed) => fed,
                Err(error) => {
                    assert_eq!(parser.feed(b"more").unwrap_err(), error, "an error is final");
                    assert_eq!(parser.finish(), Err(error), "an error is final");
                    outcome.result = Err(error);
                    return (outcome, parser.offset());
                }
            };
            let offset = offset + consumed as u64;
            piece = &piece[consumed..];
            match event {
                Event::NeedInput => {
                    assert!(piece.is_empty(), "all of the input is consumed");
                    assert_eq!(parser.offset(), offset);
                    break;
                }
                Event::Header => {
                    assert!(outcome.header.is_none(), "the header comes once");
                    outcome.header = Some(HeaderContent::of(parser.header().unwrap()));
                }
                Event::File { len } => {
                    assert!(outcome.header.is_some(), "the header comes first");
                    assert!(file.replace((len, Vec::new())).is_none(), "one file at a time");
                }
                Event::Data(data) => {
                    assert!(!data.is_empty());
                    outcome.payload_bytes += data.len();
                    file.as_mut().unwrap().1.extend_from_slice(data);
                }
                Event::FileEnd => {
                    let (len, data) = file.take().unwrap();
                    assert_eq!(data.len() as u64, len);
                    let sha256 = hex(&Sha256::digest(&data));
                    assert_eq!(hex(parser.file_sha256().unwrap()), sha256);
                    outcome.files.push(File {
                        name: parser.file_name().to_owned(),
                        size: len,
                        sha256,
                    });
                }
            }
            assert_eq!(parser.offset(), offset);
            assert_eq!(
                parser.header().map(HeaderContent::of),
                outcome.header,
                "the view does not change"
            );
        }
        if rest.is_empty() {
            break;
        }
    }
    outcome.result = parser.finish();
    if outcome.result.is_ok() {
        assert!(file.is_none());
    }
    (outcome, parser.offset())
}

/// Parses with the limits for hosts.
pub fn parse(bytes: &[u8], chunks: &[usize]) -> Outcome {
    parse_with(bytes, chunks, Limits::GENEROUS, Limits::GENEROUS.work_len()).0
}

/// Parses with the limits for hosts, and memory to unpack what is compressed. Returns the bytes consumed, too.
pub fn unpack(bytes: &[u8], chunks: &[usize]) -> (Outcome, u64) {
    unpack_with(bytes, chunks, &mut *Box::new(Unpacker::<[u8; 32768]>::new()))
}

/// Parses with this memory to unpack.
pub fn unpack_with(bytes: &[u8], chunks: &[usize], unpacker: &mut Unpacker) -> (Outcome, u64) {
    let mut work = vec![0xa5; Limits::GENEROUS.work_len()];
    let parser = Parser::new(Limits::GENEROUS, &mut work).unpacking(unpacker);
    parse_by(parser, bytes, chunks)
}
