use mender::update_module;

#[update_module(artifact_type = "a", on(download = write))]
union Module {
    a: u8,
    b: i8,
}

fn main() {}
