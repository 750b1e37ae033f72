//! An update that starts, and reaches nobody.
#![no_std]
#![no_main]

use firmware::Release;

#[cortex_m_rt::entry]
fn main() -> ! {
    firmware::run(Release {
        version: "3",
        asks_for_address: false,
    })
}
