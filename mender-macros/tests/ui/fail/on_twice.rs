use mender::update_module;

#[update_module(artifact_type = "a", on(download = write), on(install = apply))]
struct Module;

fn main() {}
