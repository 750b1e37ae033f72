use mender::update_module;

#[update_module(artifact_type = "a", no_payload = true)]
struct Module;

fn main() {}
