//! An artifact's stream: never a panic, always an end, and the same outcome however it is cut.

use mender::artifact::{Error, Event, Feature, Header, Limits, Parser};
use mender::provides::{Provides, ProvidesBuf};
use mender::unpack::Unpacker;
use mender_testkit::server::{Server, Settings, Time};

use crate::chance;

/// What the server's errors say of parts that the device does not look at: see `mender/src/artifact/mod.rs`.
const NOT_LOOKED_AT: [&str; 2] = [
    // Mode, owner, time and device numbers of tar headers.
    "when getting",
    "number out of range",
];

/// What came out of the parser.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    header: Option<String>,
    /// Names and data of files, as far as they came.
    files: Vec<(String, u64, Vec<u8>)>,
    complete_files: usize,
    offset: u64,
    result: Result<(), Error>,
}

/// The bytes are the artifact.
pub fn artifact(bytes: &[u8]) {
    let mut chance = chance::of(bytes);
    let whole = parse(bytes, || usize::MAX, Limits::GENEROUS, Limits::GENEROUS.work_len());
    let longest = [2, 100, 700][chance.below(3)];
    let cut = parse(
        bytes,
        || 1 + chance.below(longest),
        Limits::GENEROUS,
        Limits::GENEROUS.work_len(),
    );
    assert_eq!(cut, whole, "the outcome depends on the pieces");

    // With memory to unpack, what is not compressed gives the same.
    let unpacked = match whole.result {
        Err(Error::NotSupported(Feature::Xz | Feature::Zstd)) => None,
        _ => {
            let unpacked = unpack(bytes, || usize::MAX);
            let cut = unpack(bytes, || 1 + chance.below(longest));
            assert_eq!(cut, unpacked, "the outcome depends on the pieces, unpacked");
            Some(unpacked)
        }
    };
    if !matches!(whole.result, Err(Error::NotSupported(Feature::Gzip)))
        && let Some(unpacked) = &unpacked
    {
        assert_eq!(*unpacked, whole);
    }

    let work_len = [0, 143, 700, 1850, Limits::DEFAULT.work_len()][chance.below(5)];
    let whole_small = parse(bytes, || usize::MAX, Limits::DEFAULT, work_len);
    let cut_small = parse(bytes, || 1 + chance.below(longest), Limits::DEFAULT, work_len);
    assert_eq!(cut_small, whole_small, "with {work_len} bytes of work memory");

    if whole_small.result.is_ok() {
        assert_eq!(whole_small, whole, "what is accepted with less memory is the same");
    }
    if unpacked.is_some_and(|unpacked| unpacked.result.is_ok()) {
        let mut server = Server::new(Settings::default());
        let added = server.add_artifact(bytes.to_vec(), Time::from_unix_secs(1_800_000_000));
        if let Err(error) = added {
            let text = error.to_string();
            assert!(
                NOT_LOOKED_AT.iter().any(|what| text.contains(what)),
                "the device takes what the server refuses: {text}"
            );
        }
    }
}

fn parse(bytes: &[u8], piece_len: impl FnMut() -> usize, limits: Limits, work_len: usize) -> Outcome {
    let mut work = vec![0xa5; work_len];
    feed(Parser::new(limits, &mut work), bytes, piece_len)
}

fn unpack(bytes: &[u8], piece_len: impl FnMut() -> usize) -> Outcome {
    let mut unpacker = Box::new(Unpacker::<[u8; 32768]>::new());
    let mut work = vec![0xa5; Limits::GENEROUS.work_len()];
    let parser = Parser::new(Limits::GENEROUS, &mut work).unpacking(&mut *unpacker);
    feed(parser, bytes, piece_len)
}

fn feed(mut parser: Parser<'_>, bytes: &[u8], mut piece_len: impl FnMut() -> usize) -> Outcome {
    let mut outcome = Outcome {
        header: None,
        files: Vec::new(),
        complete_files: 0,
        offset: 0,
        result: Ok(()),
    };
    let mut rest = bytes;
    outcome.result = loop {
        let (mut piece, after) = rest.split_at(rest.len().min(piece_len()));
        rest = after;
        let fed = loop {
            let (consumed, event) = match parser.feed(piece) {
                Ok(fed) => fed,
                Err(error) => {
                    assert_eq!(parser.finish(), Err(error), "an error is final");
                    break Err(error);
                }
            };
            piece = &piece[consumed..];
            match event {
                Event::NeedInput => {
                    assert!(piece.is_empty(), "all of the input is consumed");
                    break Ok(());
                }
                Event::Header => {
                    let header = parser.header().expect("it was announced");
                    let said = describe(&header);
                    assert!(outcome.header.replace(said).is_none(), "the header comes once");
                    // What the parser does not need is scribbled on, as the client does.
                    parser.take_spare().fill(0x5a);
                }
                Event::File { len } => {
                    assert!(outcome.header.is_some(), "the header comes first");
                    outcome.files.push((parser.file_name().to_owned(), len, Vec::new()));
                }
                Event::Data(data) => {
                    assert!(!data.is_empty(), "data events are never empty");
                    outcome
                        .files
                        .last_mut()
                        .expect("a file began")
                        .2
                        .extend_from_slice(data);
                }
                Event::FileEnd => {
                    let (_, len, data) = outcome.files.last().expect("a file began");
                    assert_eq!(data.len() as u64, *len);
                    assert_eq!(parser.file_sha256(), Some(&crate::sha256(data)));
                    outcome.complete_files += 1;
                }
            }
        };
        if fed.is_err() {
            break fed;
        }
        if rest.is_empty() {
            break parser.finish();
        }
    };
    if let (Some(before), Some(after)) = (&outcome.header, parser.header()) {
        assert_eq!(*before, describe(&after), "the header does not change");
    }
    if outcome.result.is_ok() {
        assert_eq!(outcome.complete_files, outcome.files.len());
    }
    if outcome.result.is_ok() {
        outcome.offset = parser.offset();
    }
    outcome
}

/// All that a header says, and what a device makes of it.
fn describe(header: &Header<'_>) -> String {
    let depends: Vec<_> = header
        .depends()
        .map(|depend| (depend.key, depend.values().collect::<Vec<_>>()))
        .collect();
    let clears: Option<Vec<_>> = header.clears_provides().map(Iterator::collect);
    let mut memory = [0; 160];
    let mut provides = ProvidesBuf::new(&mut memory);
    let set = provides
        .set("artifact_name", "old")
        .and_then(|()| provides.set("rootfs-image.version", "1"));
    let updated = set.and_then(|()| header.update_provides(&mut provides));
    let list: Vec<_> = provides.as_provides().iter().collect();
    Provides::from_bytes(provides.as_provides().as_bytes()).expect("a list is one");
    assert!(!header.artifact_name().is_empty() && header.artifact_name().len() <= 256);
    format!(
        "{:?}",
        (
            (
                header.artifact_name(),
                header.artifact_group(),
                header.payload_type(),
                header.meta_data()
            ),
            (
                header.device_types().collect::<Vec<_>>(),
                depends,
                header.provides().collect::<Vec<_>>(),
                clears
            ),
            (header.is_signed(), header.script_count(), header.manifest_sha256()),
            (header.check_fit("d", Provides::default()), updated, list),
        )
    )
}
