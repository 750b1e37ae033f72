use mender::update_module;

#[update_module(artifact_type = "a", requires_reboot = false, on(download = write, verify_reboot = look))]
struct Module;

fn main() {}
