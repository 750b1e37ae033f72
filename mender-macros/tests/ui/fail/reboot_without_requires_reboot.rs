use mender::update_module;

#[update_module(artifact_type = "a", on(download = write, reboot = restart))]
struct Module;

fn main() {}
