use mender::update_module;

#[update_module(
    artifact_type = "a",
    supports_rollback,
    on(download = write, rollback = back, rollback_reboot = restart)
)]
struct Module;

fn main() {}
