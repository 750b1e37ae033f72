//! The TLS connector against certificate chains, real servers, and a server that misbehaves.
//!
//! - [`key`]: keys that sign certificates and handshakes, in the right way and in wrong ones. Nothing in it is random.
//! - [`certificate`]: certificates, made by such keys; [`chains`]: those that must be accepted and refused.
//! - [`peer`]: a TLS 1.3 server that does as a script says.
//! - [`mod@line`]: a plain connector to such servers; [`loopback`]: one to programs on this machine.
//! - [`poll`]: futures, polled one time after the other.
//! - [`client`]: the connector under test.
//! - [`servers`]: programs that speak TLS.
//! - [`visit`]: what becomes of a connection to a server; [`table`]: tables of that.
//!
//! Nothing here is secret, and nothing here is for use outside of tests.

pub mod certificate;
pub mod chains;
pub mod client;
pub mod key;
pub mod line;
pub mod loopback;
pub mod peer;
pub mod poll;
pub mod servers;
pub mod table;
pub mod visit;
