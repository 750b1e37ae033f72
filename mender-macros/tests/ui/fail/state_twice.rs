use mender::update_module;

#[update_module(artifact_type = "a", on(download = write, install = apply, commit = confirm, install = apply_again))]
struct Module;

fn main() {}
