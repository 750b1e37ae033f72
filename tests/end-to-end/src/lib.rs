//! The whole client against the simulated server: see `tests/`. Nothing to use from here.
