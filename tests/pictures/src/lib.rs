//! The pictures of the documentation, drawn from the code and the figures that they show: `cargo run -p mender-pictures` writes them to
//! `mender/pictures`, and a test says when one is out of date.
//!
//! | file | draws | from |
//! |---|---|---|
//! | `states.rs` | the states of a deployment | the machine itself, played by `edges.rs` |
//! | `sizes.rs` | what the client takes of flash | `tests/firmware-size/sizes.toml` |
//! | `slots.rs` | where image, trailer and records are in flash | MCUboot's numbers in `mender_modules::mcuboot` |
//! | `payload.rs` | the way of a payload | nothing; the names are those of the code |
//! | `terminal.rs` | the demo | what it prints: `cargo run -p mender-pictures -- demo` runs it. Not held equal: it has times in it |
//!
//! `svg.rs` is what all of them draw with. Each picture is white behind, so that it can be read on any page.

mod edges;
mod payload;
mod sizes;
mod slots;
mod states;
mod svg;
mod terminal;

use std::path::PathBuf;

pub use terminal::demo;

/// Where the pictures are.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../mender/pictures")
}

/// All that can be drawn without running anything: names of files, and what is in them.
pub fn pictures() -> Vec<(&'static str, String)> {
    vec![
        ("states.svg", states::draw()),
        ("sizes.svg", sizes::draw()),
        ("slots.svg", slots::draw()),
        ("payload.svg", payload::draw()),
    ]
}
