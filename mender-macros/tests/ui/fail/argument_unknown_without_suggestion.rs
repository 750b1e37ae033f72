use mender::update_module;

#[update_module(artifact_type = "a", color = "red", on(download = write))]
struct Module;

fn main() {}
