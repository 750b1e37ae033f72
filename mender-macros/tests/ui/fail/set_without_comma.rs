use mender::update_module;
use mender::update_module::ModuleSet;

#[update_module(artifact_type = "a", no_payload)]
struct Module;

fn client(_modules: impl ModuleSet) {}

fn main() {
    client(Module);
}
