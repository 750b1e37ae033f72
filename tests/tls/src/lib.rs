//! The TLS connector against certificate chains, real servers, and a server that misbehaves.
//!
//! - [`key`]: keys that sign certificates and handshakes, in the right way and in wrong ones. Nothing in it is random.
//! - [`certificate`]: certificates, made by such keys; [`chains`]: those that must be accepted and refused.
//! - [`peer`]: a TLS 1.3 server that does as a script says.
//!
//! Nothing here is secret, and nothing here is for use outside of tests.

pub mod certificate;
pub mod chains;
pub mod key;
pub mod peer;
