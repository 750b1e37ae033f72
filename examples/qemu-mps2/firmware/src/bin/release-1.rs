//! What leaves the factory.
#![no_std]
#![no_main]

use firmware::Release;

#[cortex_m_rt::entry]
fn main() -> ! {
    firmware::run(Release {
        version: "1",
        asks_for_address: true,
    })
}
