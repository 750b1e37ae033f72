//! The module kind `script`: programs as update modules. All of it with real programs, and so in real time; nothing waits longer
//! than it must.
#![cfg(target_os = "linux")]

mod artifact;
mod calls;
mod deploy;
mod downloads;
mod faults;
mod folder;
mod golden;
mod restarts;
mod rig;
mod stock;
