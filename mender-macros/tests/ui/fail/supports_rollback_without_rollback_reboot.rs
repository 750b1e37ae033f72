use mender::update_module;

#[update_module(
    artifact_type = "a",
    requires_reboot,
    supports_rollback,
    on(download = write, reboot = restart, verify_reboot = look, rollback = back)
)]
struct Module;

fn main() {}
