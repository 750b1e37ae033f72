use mender::update_module;

#[update_module(artifact_type = "a" no_payload on(install = apply))]
struct Module;

fn main() {}
