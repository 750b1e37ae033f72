#![no_main]

mender_fuzz::fuzz!("delta");
