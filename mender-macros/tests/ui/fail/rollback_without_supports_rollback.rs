use mender::update_module;

#[update_module(artifact_type = "a", on(download = write, rollback = back))]
struct Module;

fn main() {}
