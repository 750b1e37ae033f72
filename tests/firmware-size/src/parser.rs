//! The artifact parser alone, over inputs that the compiler cannot see through: what a client does with it.

use core::hint::black_box;

use mender::artifact::{Event, Limits, Parser};
use mender::provides::{Provides, ProvidesBuf};
use mender::text::{Describe, Text};
use panic_halt as _;

#[cortex_m_rt::entry]
fn main() -> ! {
    black_box(parse());
    loop {
        cortex_m::asm::wfi();
    }
}

/// Whether an artifact that comes in pieces is good and fits.
fn parse() -> bool {
    let mut work = [0; 2048];
    let mut parser = Parser::new(black_box(Limits::DEFAULT), black_box(&mut work));
    for _ in 0..black_box(8) {
        let mut piece: &[u8] = black_box(&[0; 64]);
        loop {
            let (consumed, event) = match parser.feed(piece) {
                Ok(fed) => fed,
                Err(error) => return tell(&error),
            };
            piece = piece.get(consumed..).unwrap_or(&[]);
            match event {
                Event::NeedInput => break,
                Event::Header => {
                    if !fits(&parser) {
                        return false;
                    }
                }
                Event::File { len } => {
                    black_box((len, parser.file_name()));
                }
                Event::Data(data) => {
                    black_box(data);
                }
                Event::FileEnd => {
                    black_box(parser.offset());
                }
            }
        }
    }
    parser.finish().is_ok()
}

/// Why the artifact is refused, as it reaches a deployment log.
fn tell(error: &dyn Describe) -> bool {
    let mut line = [0; 128];
    let mut text = Text::new(&mut line);
    error.describe(&mut text);
    black_box(text.as_str());
    false
}

/// Whether the artifact may be installed and its provides fit.
fn fits(parser: &Parser<'_>) -> bool {
    let mut next = [0; 256];
    let Some(header) = parser.header() else {
        return false;
    };
    let Ok(installed) = Provides::from_bytes(black_box(&[])) else {
        return false;
    };
    black_box((header.payload_type(), header.meta_data()));
    header.check_fit(black_box("board"), installed).is_ok()
        && ProvidesBuf::copy_of(installed, black_box(&mut next))
            .and_then(|mut next| header.update_provides(&mut next))
            .is_ok()
}
