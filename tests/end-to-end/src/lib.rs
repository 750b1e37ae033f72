//! The whole client against the simulated server: see `tests/`. Nothing to use from here.

/// The programs in the README are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// And those in the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../mender/GUIDE.md")]
pub struct Guide;
