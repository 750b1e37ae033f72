use mender::update_module;

#[update_module("a", on(download = write))]
struct Module;

fn main() {}
