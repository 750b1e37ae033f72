use mender::update_module;
use mender::update_module::ModuleSet;

#[update_module(artifact_type = "a", no_payload)]
struct One;

#[update_module(artifact_type = "a", no_payload)]
struct Two;

fn main() {
    <(One, Two) as ModuleSet>::find("a");
}
