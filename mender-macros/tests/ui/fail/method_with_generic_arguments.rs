use mender::update_module;

#[update_module(artifact_type = "a", no_payload, on(install = apply::<u8>, commit = confirm<u8>))]
struct Module;

fn main() {}
