use mender::client::{Client, Clock, Config, Device, Resources};
use mender::net::Connector;
use mender::storage::Storage;
use mender::update_module::ModuleSet;

/// Implements the traits of rand_core 0.6, perhaps.
struct Generator;

fn client(device: impl Device, network: impl Connector, storage: impl Storage, clock: impl Clock, modules: impl ModuleSet) {
    let mut resources = Resources::new();
    let config = Config::new("https://mender.example.com", "board");
    let _ = Client::new(config, device, network, storage, clock, Generator, modules, &mut resources);
}

fn main() {}
