use mender::update_module;

#[update_module(artifact_type = "a", artifact_type = "b", on(download = write))]
struct Module;

fn main() {}
