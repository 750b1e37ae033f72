//! What the tests have in common: patches applied to images in memory.

use mender_modules::delta::{Fault, Patch, Piece};

/// How a patch is given to the decoder.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Bytes of it at a time.
    pub input: usize,
    pub window: usize,
    pub buffer: usize,
}

impl Way {
    /// As a device does.
    pub const DEVICE: Way = Way {
        input: 500,
        window: 4096,
        buffer: 256,
    };
}

/// The new image. Everything that a decoder promises is checked on the way.
pub fn apply(patch: &[u8], old: &[u8], new_len: u32, way: Way) -> Result<Vec<u8>, Fault> {
    let (mut window, mut buffer) = (vec![0xee; way.window], vec![0; way.buffer]);
    let mut decoder = Patch::new(old.len() as u32, new_len);
    let mut new = Vec::new();
    let mut made = || -> Result<(), Fault> {
        for part in patch.chunks(way.input) {
            let mut input = part;
            loop {
                let before = (input.len(), new.len());
                let piece = decoder.next(&mut input, &mut window, &mut buffer)?;
                match piece {
                    Piece::More => {
                        assert!(input.is_empty(), "all was taken");
                        break;
                    }
                    Piece::New(len) => new.extend_from_slice(&buffer[..len]),
                    Piece::Changed { from, len } => {
                        let old = &old[from as usize..from as usize + len];
                        new.extend(buffer.iter().zip(old).map(|(change, old)| change.wrapping_add(*old)));
                    }
                }
                assert!(new.len() > before.1 && input.len() <= before.0, "it comes to an end");
                assert!(new.len() <= new_len as usize, "no more than was asked for");
            }
        }
        decoder.finish()
    };
    let result = made();
    match result {
        Ok(()) => assert_eq!(new.len(), new_len as usize),
        Err(Fault::Truncated) => {}
        // Once it has failed, it always fails.
        Err(fault) if decoder.finish() != Err(fault) => panic!("{fault:?} was forgotten"),
        Err(fault) => {
            let again = decoder.next(&mut [0; 9].as_slice(), &mut window, &mut buffer);
            // What is left behind the end is known at the end only.
            assert!(again == Err(fault) || again == Ok(Piece::More) || fault == Fault::Malformed);
        }
    }
    result.map(|()| new)
}
