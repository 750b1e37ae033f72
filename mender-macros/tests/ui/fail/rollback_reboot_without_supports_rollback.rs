use mender::update_module;

#[update_module(
    artifact_type = "a",
    requires_reboot,
    on(download = write, reboot | rollback_reboot = restart, verify_reboot | rollback_verify_reboot = look)
)]
struct Module;

fn main() {}
