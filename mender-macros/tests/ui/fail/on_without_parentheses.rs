use mender::update_module;

#[update_module(artifact_type = "a", on = write)]
struct Module;

fn main() {}
