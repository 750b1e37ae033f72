use mender::update_module;

#[update_module(artifact_type = "a", on(download = write, requires_reboot))]
struct Module;

fn main() {}
