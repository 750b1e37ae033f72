//! Unpacks `image.gz` on an emulated Cortex-M4F: `.ci/size` runs it in QEMU and reads how many instructions it took.
//!
//! `image.gz` is an image as devices get it: the client with the module for MCUboot, code and constants, packed for a window of 4 KiB.
//! It need not be made anew when the client changes; this makes another one:
//!
//! ```text
//! .ci/thumb build -p firmware-size --features mcuboot
//! arm-none-eabi-objcopy -O binary target/thumb/thumbv7em-none-eabihf/firmware/firmware-size image.bin
//! python3 -c 'import sys, zlib; z = zlib.compressobj(9, zlib.DEFLATED, 16 + 12); sys.stdout.buffer.write(
//!     z.compress(open("image.bin", "rb").read()) + z.flush())' > tests/firmware-gzip/image.gz
//! ```
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    println!("built for a host: .ci/size builds it for Cortex-M4F and runs it in QEMU");
}

#[cfg(target_os = "none")]
mod firmware;
