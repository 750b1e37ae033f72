use mender::update_module;

#[update_module(artifact_type = "a", requires_reboot, on(download = write))]
struct Module;

fn main() {}
