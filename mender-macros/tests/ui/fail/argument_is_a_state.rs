use mender::update_module;

#[update_module(artifact_type = "a", download = write)]
struct Module;

fn main() {}
