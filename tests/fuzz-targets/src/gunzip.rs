//! gzip: never a panic, always an end, the same outcome however it is cut, and what is accepted is what flate2 makes of it.

use std::io::Read;

use flate2::Crc;
use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use mender::unpack::{Fault, Gunzip};

use crate::chance::{self, Chance};
use crate::mutate::{Change, plain};

/// Data beyond that say nothing that those before do not.
const MAX_DATA_LEN: usize = 8 << 20;
/// Of a head without fields.
const HEAD_LEN: usize = 10;
/// The flag for its checksum.
const HEAD_CRC: u8 = 2;
const END_LEN: usize = 8;

/// The first byte says how long the window is; the rest is the stream.
pub fn gunzip(bytes: &[u8]) {
    let Some((&window, packed)) = bytes.split_first() else {
        return;
    };
    let mut chance = chance::of(bytes);
    let longest = [2, 100, 3000][chance.below(3)];
    let mut gunzip = gunzip_with(window);
    let whole = unpack(&mut gunzip, packed, || usize::MAX);
    // The same one again: nothing of before is left in it.
    let cut = unpack(&mut gunzip, packed, || 1 + chance.below(longest));
    assert!(cut == whole, "the outcome depends on the pieces");
    let (data, result) = whole;
    match result {
        Some(Ok(())) => {
            let mut rest = packed;
            let mut expected = Vec::new();
            let read = GzDecoder::new(&mut rest).read_to_end(&mut expected);
            // It compares the checksum of the head, of which nothing is used here.
            if read.is_err() && packed[3] & HEAD_CRC != 0 {
                return;
            }
            assert!(read.is_ok(), "flate2 refuses it: {read:?}");
            assert!(data == expected, "flate2 makes something else of it");
        }
        Some(Err(Fault::Window { needed })) => {
            let mut longest = gunzip_with(3);
            assert!(needed as usize > gunzip.window_len() || gunzip.window_len() == 0);
            assert!(needed.is_power_of_two() && needed as usize <= longest.window_len());
            let (more, _) = unpack(&mut longest, packed, || usize::MAX);
            assert!(more.starts_with(&data), "a longer window changes what was there");
        }
        Some(Err(Fault::Malformed | Fault::Checksum | Fault::Truncated | Fault::Trailing)) | None => {}
    }
}

fn gunzip_with(window: u8) -> Box<Gunzip> {
    match window % 4 {
        0 => Box::new(Gunzip::<[u8; 1]>::new()),
        1 => Box::new(Gunzip::<[u8; 300]>::new()),
        2 => Box::new(Gunzip::<[u8; 4096]>::new()),
        _ => Box::new(Gunzip::<[u8; 32768]>::new()),
    }
}

/// The data, and how it ended; `None` if there are too many.
fn unpack(
    gunzip: &mut Gunzip,
    mut rest: &[u8],
    mut piece_len: impl FnMut() -> usize,
) -> (Vec<u8>, Option<Result<(), Fault>>) {
    gunzip.restart();
    let mut data = Vec::new();
    while !rest.is_empty() {
        let (mut piece, after) = rest.split_at(rest.len().min(piece_len()));
        rest = after;
        loop {
            match gunzip.feed(piece) {
                Ok((used, [])) => {
                    assert_eq!(used, piece.len(), "without data, all of the input is used");
                    break;
                }
                Ok((used, unpacked)) => {
                    data.extend_from_slice(unpacked);
                    piece = &piece[used..];
                }
                Err(fault) => {
                    assert_eq!(gunzip.finish(), Err(fault), "a fault is final");
                    return (data, Some(Err(fault)));
                }
            }
            if data.len() > MAX_DATA_LEN {
                data.truncate(MAX_DATA_LEN);
                return (data, None);
            }
        }
    }
    (data, Some(gunzip.finish()))
}

/// Changes a stream; if what it has still ends, its checksum and length are made right again.
pub fn mutate(bytes: &[u8], chance: &mut Chance, change: Change<'_>) -> Vec<u8> {
    let mut bytes = plain(bytes, chance, change);
    if chance.below(4) == 0 {
        return bytes;
    }
    let Some(blocks) = bytes.get(1 + HEAD_LEN..) else {
        return bytes;
    };
    let mut inflate = Decompress::new(false);
    let mut data = vec![0; 1 << 20];
    let Ok(Status::StreamEnd) = inflate.decompress(blocks, &mut data, FlushDecompress::Finish) else {
        return bytes;
    };
    let (packed_len, len) = (inflate.total_in() as usize, inflate.total_out() as usize);
    let mut crc = Crc::new();
    crc.update(&data[..len]);
    let end = 1 + HEAD_LEN + packed_len;
    bytes.truncate(end + END_LEN);
    bytes.resize(end + END_LEN, 0);
    bytes[end..end + 4].copy_from_slice(&crc.sum().to_le_bytes());
    bytes[end + 4..].copy_from_slice(&crc.amount().to_le_bytes());
    bytes
}

/// Streams of each level, for each window, of data that refer to near and far.
pub fn seeds() -> Vec<Vec<u8>> {
    let text = b"{\"artifact_name\":\"release-2\",\"device_type\":[\"board\"]}".repeat(9);
    let numbers: Vec<u8> = (0..3000_u16).flat_map(u16::to_be_bytes).collect();
    let far = [&numbers[..], &numbers[..300], &text].concat();
    let mut seeds = Vec::new();
    for data in [&b""[..], b"a", &text, &far] {
        for level in [0, 1, 6, 9] {
            let mut packed = Vec::new();
            let mut encoder = flate2::read::GzEncoder::new(data, flate2::Compression::new(level));
            encoder.read_to_end(&mut packed).expect("memory can be read");
            seeds.extend((0..4_u8).map(|window| [&[window], &packed[..]].concat()));
        }
    }
    seeds
}
