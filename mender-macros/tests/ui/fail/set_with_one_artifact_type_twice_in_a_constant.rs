use mender::update_module;
use mender::update_module::{Descriptor, ModuleSet};

#[update_module(artifact_type = "font", no_payload)]
struct One;

#[update_module(artifact_type = "font", no_payload)]
struct Two;

const _: &[Descriptor] = <(One, Two)>::DESCRIPTORS;

fn main() {}
