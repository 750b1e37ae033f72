//! What the fuzzer calls: bytes in, a panic if a promise is broken.
//!
//! [`TARGETS`] has them all. The fuzzer itself is the package in `tests/fuzz`, which `.ci/fuzz` runs; the inputs in
//! `tests/regressions`, and some thousand that are made out of them, are tried by `cargo test`.

mod answers;
mod artifact;
mod chance;
mod delta;
mod flash;
mod gunzip;
mod mcuboot;
mod mutate;
mod nor;
mod records;
mod requests;
mod response;
pub mod seeds;
mod signatures;
mod tar;
mod tls;
mod tokens;
mod url;

// The sources of the attribute, which name each other from the root.
#[path = "../../../mender-macros/src/args.rs"]
mod args;
#[path = "../../../mender-macros/src/check.rs"]
mod check;
#[cfg_attr(test, allow(dead_code, reason = "what only the attribute's own tests use"))]
#[path = "../../../mender-macros/src/errors.rs"]
mod errors;
#[path = "../../../mender-macros/src/expand.rs"]
mod expand;
#[path = "../../../mender-macros/src/names.rs"]
mod names;
#[path = "../../../mender-macros/src/parse.rs"]
mod parse;

pub use chance::Chance;
pub use mutate::{Change, edit};

use sha2::{Digest as _, Sha256};

/// Something to try with any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its folder of inputs.
    pub name: &'static str,
    /// Tries an input; panics if it breaks a promise.
    pub run: fn(&[u8]),
    /// Changes an input by means of a change that knows nothing of its form.
    pub mutate: fn(&[u8], &mut Chance, Change<'_>) -> Vec<u8>,
}

/// All targets.
pub const TARGETS: [Target; 13] = [
    Target {
        name: "artifact",
        run: artifact::artifact,
        mutate: mutate::artifact,
    },
    Target {
        name: "gunzip",
        run: gunzip::gunzip,
        mutate: gunzip::mutate,
    },
    Target {
        name: "response",
        run: response::response,
        mutate: mutate::plain,
    },
    Target {
        name: "answers",
        run: answers::answers,
        mutate: mutate::plain,
    },
    Target {
        name: "url",
        run: url::url,
        mutate: mutate::plain,
    },
    Target {
        name: "records",
        run: records::records,
        mutate: mutate::plain,
    },
    Target {
        name: "flash",
        run: flash::flash,
        mutate: mutate::flash,
    },
    Target {
        name: "mcuboot",
        run: mcuboot::mcuboot,
        mutate: mutate::mcuboot,
    },
    Target {
        name: "delta",
        run: delta::delta,
        mutate: mutate::plain,
    },
    Target {
        name: "tokens",
        run: tokens::tokens,
        mutate: mutate::plain,
    },
    Target {
        name: "requests",
        run: requests::requests,
        mutate: mutate::plain,
    },
    Target {
        name: "signatures",
        run: signatures::signatures,
        mutate: mutate::plain,
    },
    Target {
        name: "tls",
        run: tls::tls,
        mutate: mutate::plain,
    },
];

/// The target of this name.
///
/// # Panics
///
/// If there is none.
pub fn target(name: &str) -> Target {
    *TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("there is no target {name}"))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
