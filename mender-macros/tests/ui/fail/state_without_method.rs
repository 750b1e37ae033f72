use mender::update_module;

#[update_module(artifact_type = "a", on(download = write, install))]
struct Module;

fn main() {}
