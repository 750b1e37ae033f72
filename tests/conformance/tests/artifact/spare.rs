//! The part of the work buffer that the caller gets back.

use mender::artifact::{Event, Limits, Parser};

use crate::builder::Parts;
use crate::run::{HeaderContent, parse};
use crate::vectors::{self, Expectation};

/// Parses with a work buffer of `work_len` bytes of which the spare is taken, and overwritten again and again. Returns its
/// length, and what was parsed as [`parse`] does: the header, names and data of the files, and whether all was good.
fn parse_without_spare(bytes: &[u8], limits: Limits, work_len: usize) -> (usize, Vec<(String, usize)>, String) {
    let mut work = vec![0; work_len];
    let mut parser = Parser::new(limits, &mut work);
    let mut spare: &mut [u8] = &mut [];
    let (mut spare_len, mut header) = (0, None);
    let mut files = Vec::new();
    for mut piece in bytes.chunks(100) {
        loop {
            let (consumed, event) = match parser.feed(piece) {
                Ok(fed) => fed,
                Err(error) => return (spare_len, files, error.to_string()),
            };
            piece = &piece[consumed..];
            spare.fill(0xee);
            match event {
                Event::NeedInput => break,
                Event::Header => {
                    header = parser.header().map(HeaderContent::of);
                    spare = parser.take_spare();
                    spare_len = spare.len();
                    assert!(parser.take_spare().is_empty(), "once");
                }
                Event::File { .. } => files.push((parser.file_name().to_owned(), 0)),
                Event::Data(data) => files.last_mut().unwrap().1 += data.len(),
                Event::FileEnd => {}
            }
            assert_eq!(
                parser.header().map(HeaderContent::of),
                header,
                "the header does not change"
            );
        }
    }
    let result = parser
        .finish()
        .map_or_else(|error| error.to_string(), |()| String::new());
    (spare_len, files, result)
}

#[test]
fn without_the_spare_every_vector_gives_the_same() {
    let limits = Limits::GENEROUS;
    let (mut taken, mut good) = (0, 0);
    for vector in vectors::all() {
        let bytes = vector.bytes();
        let expected = parse(&bytes, &[512]);
        let (spare_len, files, result) = parse_without_spare(&bytes, limits, limits.work_len());
        assert_eq!(
            result,
            expected.result.map_or_else(|e| e.to_string(), |()| String::new()),
            "{}",
            vector.file
        );
        assert_eq!(spare_len > 0, expected.header.is_some(), "{}", vector.file);
        taken += usize::from(spare_len > 0);
        assert_eq!(
            files.iter().map(|(_, len)| len).sum::<usize>(),
            expected.payload_bytes,
            "{}",
            vector.file
        );
        for (found, file) in files.iter().zip(&expected.files) {
            assert_eq!((&found.0, found.1 as u64), (&file.name, file.size), "{}", vector.file);
        }
        good += usize::from(vector.expectation == Expectation::Accept && expected.result.is_ok());
    }
    assert!(taken > 80 && good == 52, "{taken} taken, {good} good");
}

#[test]
fn the_spare_is_as_long_as_documented() {
    let bytes = Parts::default().build();
    // One file of the name `f`; the records of type, artifact name and device type, of one character each.
    let kept = (34 + 1) + 3 * (3 + 1);
    for (extension_len, entry_len) in [(304, 304), (0, 143)] {
        let limits = Limits {
            extension_len,
            ..Limits::DEFAULT
        };
        for work_len in [kept + entry_len, kept + entry_len + 1, 2048] {
            if work_len < 500 && extension_len == 0 {
                continue;
            }
            let (spare_len, _, result) = parse_without_spare(&bytes, limits, work_len);
            assert_eq!((spare_len, result.as_str()), (work_len - kept - entry_len, ""));
        }
    }
    // With less there is no spare, and it works as long as no PAX header comes.
    let (spare_len, _, result) = parse_without_spare(&bytes, Limits::DEFAULT, kept + 200);
    assert_eq!((spare_len, result.as_str()), (0, ""));
}
