//! Unpacks in pieces.

use mender::unpack::{Fault, Gunzip};

/// One with a window of each of these lengths.
pub fn gunzip(window_len: usize) -> Box<Gunzip> {
    match window_len {
        0 => Box::new(Gunzip::<[u8; 0]>::new()),
        1 => Box::new(Gunzip::<[u8; 1]>::new()),
        3 => Box::new(Gunzip::<[u8; 3]>::new()),
        100 => Box::new(Gunzip::<[u8; 100]>::new()),
        256 => Box::new(Gunzip::<[u8; 256]>::new()),
        1024 => Box::new(Gunzip::<[u8; 1024]>::new()),
        5000 => Box::new(Gunzip::<[u8; 5000]>::new()),
        32768 => Box::new(Gunzip::<[u8; 32768]>::new()),
        other => panic!("there is none of {other} bytes"),
    }
}

/// The data, as far as they came, and how it ended. The input is cut into pieces of these lengths, over and over.
pub fn unpack(gunzip: &mut Gunzip, input: &[u8], pieces: &[usize]) -> (Vec<u8>, Result<(), Fault>) {
    gunzip.restart();
    let mut data = Vec::new();
    let mut rest = input;
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() {
        let (mut piece, after) = rest.split_at(rest.len().min(*pieces.next().unwrap()));
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
                    assert_eq!(gunzip.feed(b"more").unwrap_err(), fault, "a fault is final");
                    assert_eq!(gunzip.finish(), Err(fault), "a fault is final");
                    return (data, Err(fault));
                }
            }
        }
    }
    (data, gunzip.finish())
}
