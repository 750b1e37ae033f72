use mender::update_module;

#[update_module(artifact_type = "a", on(download = write))]
enum Module {
    A,
}

fn main() {}
