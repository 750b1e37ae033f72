// Each mistake is told, and none twice.
use mender::update_module;

#[update_module(
    artifact_typ = "",
    requires_reboot,
    no_payload = 1,
    on(install = apply, instal = apply_again, rollback = "back")
)]
struct Module;

fn main() {}
