use mender::update_module;

#[update_module(artifact_type = "a", on(download = write))]
trait Module {
    fn write(&mut self);
}

fn main() {}
