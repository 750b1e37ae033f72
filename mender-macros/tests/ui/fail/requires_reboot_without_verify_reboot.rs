use mender::update_module;

#[update_module(artifact_type = "a", requires_reboot, on(download = write, reboot = restart))]
struct Module;

fn main() {}
