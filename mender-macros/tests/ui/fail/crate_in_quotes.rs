use mender::update_module;

#[update_module(artifact_type = "a", crate = "mender", on(download = write))]
struct Module;

fn main() {}
