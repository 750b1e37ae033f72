//! What the artifact parser costs beyond SHA-256: parses an artifact of 16 MiB in pieces of 512 bytes, or only hashes
//! its payload in the same pieces. The difference in instructions, divided by the bytes, is the parser's cost:
//!
//! ```text
//! cargo build --release -p mender-conformance --example parser_cost
//! for mode in parse hash; do perf stat -e instructions:u target/release/examples/parser_cost $mode; done
//! ```
//!
//! `valgrind --tool=callgrind` counts as well, on machines where `perf` may not.

use std::hint::black_box;

use mender::artifact::{Event, Limits, Parser};
use sha2::{Digest, Sha256};

#[path = "../tests/artifact/builder.rs"]
mod builder;

/// What the shared builder needs of the tests' helper of this name.
mod run {
    pub fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

const PAYLOAD_LEN: usize = 16 << 20;
const PIECE_LEN: usize = 512;

fn main() {
    let mode = std::env::args().nth(1);
    let parts = builder::Parts {
        files: vec![("firmware.bin".to_owned(), vec![0x5a; PAYLOAD_LEN])],
        ..builder::Parts::default()
    };
    let artifact = parts.build();
    match mode.as_deref() {
        Some("parse") => {
            let mut work = [0; Limits::DEFAULT.work_len()];
            let mut parser = Parser::new(Limits::DEFAULT, &mut work);
            for mut piece in artifact.chunks(PIECE_LEN) {
                loop {
                    let (consumed, event) = parser.feed(piece).expect("the artifact is good");
                    piece = &piece[consumed..];
                    if black_box(event) == Event::NeedInput {
                        break;
                    }
                }
            }
            parser.finish().expect("the artifact is complete");
        }
        Some("hash") => {
            let mut hash = Sha256::new();
            for piece in parts.files[0].1.chunks(PIECE_LEN) {
                hash.update(black_box(piece));
            }
            black_box(hash.finalize());
        }
        _ => {
            eprintln!("usage: parser_cost parse|hash");
            std::process::exit(2);
        }
    }
}
