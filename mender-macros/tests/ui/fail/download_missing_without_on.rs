use mender::update_module;

#[update_module(artifact_type = "a")]
struct Module;

fn main() {}
