use mender::update_module;

#[update_module(artifact_type = "a", supports_rollback, on(download = write))]
struct Module;

fn main() {}
