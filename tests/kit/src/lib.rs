//! Tools for tests of the Mender client and of update modules. Not for production.
//!
//! | module | what it is |
//! |---|---|
//! | [`artifact`] | writes Mender artifacts |
//! | [`server`] | a simulated Mender server, without sockets |

pub mod artifact;
pub mod server;
