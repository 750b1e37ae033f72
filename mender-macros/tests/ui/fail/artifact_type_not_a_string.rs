use mender::update_module;

#[update_module(artifact_type = 5, on(download = write))]
struct Module;

fn main() {}
