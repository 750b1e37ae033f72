use mender::update_module;

#[update_module(artifact_type = "a", on(download = Self::write, install = apply()))]
struct Module;

fn main() {}
