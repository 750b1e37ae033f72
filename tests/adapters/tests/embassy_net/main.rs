//! `mender::adapters::embassy_net` between two stacks of embassy-net, joined by a wire that the tests can look at and cut, in
//! virtual time.

mod addresses;
mod deployment;
mod ends;
mod site;
mod time;
mod wire;
