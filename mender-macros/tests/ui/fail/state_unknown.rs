use mender::update_module;

#[update_module(artifact_type = "a", on(donwload = write, verify_rollback_reboot = look, ArtifactCommit = confirm))]
struct Module;

fn main() {}
