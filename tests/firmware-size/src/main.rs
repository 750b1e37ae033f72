//! The whole client with the smallest surroundings, linked for Cortex-M4: `.ci/size` measures it. It is never run, and on a
//! host it does nothing.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    println!("built for a host: .ci/size builds it for Cortex-M4 and measures it");
}

#[cfg(all(target_os = "none", not(feature = "parser")))]
mod firmware;
#[cfg(all(target_os = "none", feature = "parser"))]
mod parser;
