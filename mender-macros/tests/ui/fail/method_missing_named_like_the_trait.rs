// The trait's own `download` is not taken for the missing method without a word.
use mender::{UpdateModule, update_module};

#[update_module(artifact_type = "a", on(download = download))]
struct Module;

fn main() {
    let _ = Module::DESCRIPTOR;
}
