use mender::update_module;

struct Module;

#[update_module(artifact_type = "a", on(download = write))]
impl Module {
    fn write(&mut self) {}
}

fn main() {}
