use mender::update_module;

#[update_module(artifact_type = "a", on(download = files::write))]
struct Module;

fn main() {}
