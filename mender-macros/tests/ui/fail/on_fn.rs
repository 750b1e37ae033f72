use mender::update_module;

#[update_module(artifact_type = "a", on(download = write))]
pub async fn write() {}

fn main() {}
