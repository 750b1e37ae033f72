use mender::client::{Resources, Standalone, StandaloneConfig};
use mender::storage::FileStorage;
use mender::update_module;

#[update_module(artifact_type = "font", no_payload)]
struct One;

#[update_module(artifact_type = "font", no_payload)]
struct Two;

fn main() {
    let mut resources = Resources::new();
    let records = FileStorage::new("records").unwrap();
    let pending = FileStorage::new("pending").unwrap();
    let config = StandaloneConfig::new("board", "release-1");
    Standalone::new(config, records, pending, (One, Two), &mut resources);
}
