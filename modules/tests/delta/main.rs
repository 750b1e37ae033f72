//! Patches: those of detools, and whatever else may arrive.

mod detools;
mod golden;
mod made;
mod patches;
