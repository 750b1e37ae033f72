use mender::update_module;

#[update_module(artifact_type, on(download = write))]
struct Module;

fn main() {}
