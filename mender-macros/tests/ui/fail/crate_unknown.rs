use mender::update_module;

#[update_module(artifact_type = "a", crate = ::no_such_crate, no_payload)]
struct Module;

fn main() {}
