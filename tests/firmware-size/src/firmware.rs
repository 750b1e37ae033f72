//! Surroundings that the compiler cannot see through: every byte and every answer could be any.

use core::convert::Infallible;
use core::future::Future;
use core::hint::black_box;
use core::time::Duration;

#[cfg(not(feature = "key"))]
use mender::api::key::{DigestSignature, KeyError, POINT_LEN};
#[cfg(feature = "client")]
use mender::update_module::{CallbackState, Descriptor, Failure, Payload, States, UpdateModule};
use panic_halt as _;

#[cfg(feature = "client")]
#[cortex_m_rt::entry]
fn main() -> ! {
    use mender::client::{Client, Config, Resources};
    use mender::storage::{FlashRange, FlashStorage};

    #[cfg(feature = "log")]
    logger::set();
    #[cfg(not(feature = "gzip"))]
    let mut resources = Resources::new();
    #[cfg(feature = "gzip")]
    let mut resources = Resources::<1024, 2048, 512, 2048, 4096>::with_lengths();
    let range = const { FlashRange::new(0..0x2000) };
    let Ok(storage) = FlashStorage::new(Anything, range) else {
        stop()
    };
    let Some(modules) = modules() else { stop() };
    #[cfg(not(feature = "tls-p256"))]
    let network = Anything;
    #[cfg(feature = "tls-p256")]
    let Some(network) = tls() else { stop() };
    let config = Config::new(black_box("http://10.0.2.2"), black_box("board"));
    #[cfg(feature = "artifact-keys")]
    let config = Config {
        artifact_keys: black_box(&[b"-----BEGIN PUBLIC KEY-----"]),
        ..config
    };
    let client = Client::new(
        config,
        Anything,
        network,
        storage,
        Anything,
        Anything,
        modules,
        &mut resources,
    );
    if let Ok(mut client) = client {
        let _ = black_box(embassy_futures::block_on(client.run()).is_ok());
    }
    stop()
}

#[cfg(not(feature = "client"))]
#[cortex_m_rt::entry]
fn main() -> ! {
    stop()
}

/// TLS over the network.
#[cfg(feature = "tls-p256")]
fn tls() -> Option<impl mender::net::Connector> {
    use mender::tls::{Roots, TlsConnector, TlsMemory};
    use static_cell::ConstStaticCell;

    static MEMORY: ConstStaticCell<TlsMemory> = ConstStaticCell::new(TlsMemory::new());
    const ROOTS: &[&[u8]] = &[&[0x30]];
    TlsConnector::new(Anything, MEMORY.take(), Anything, Roots::same(black_box(ROOTS))).ok()
}

/// A logger as for a serial line: the text is formatted and goes somewhere.
#[cfg(feature = "log")]
mod logger {
    use core::fmt::{self, Write};
    use core::hint::black_box;

    struct Line;

    impl Write for Line {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            black_box(text);
            Ok(())
        }
    }

    impl log::Log for Line {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            black_box(true)
        }

        fn log(&self, record: &log::Record<'_>) {
            // A line that is not written is lost, as on a serial line.
            let _ = writeln!(Line, "{} {}", record.level(), record.args());
        }

        fn flush(&self) {}
    }

    pub fn set() {
        // Fails only the second time.
        let _ = log::set_logger(&Line);
        log::set_max_level(log::LevelFilter::Warn);
    }
}

/// The update modules: always one that installs nothing, as a client needs one, and the one to be measured.
#[cfg(all(
    feature = "client",
    not(feature = "mcuboot"),
    not(feature = "embassy-boot"),
    not(feature = "esp-ota")
))]
fn modules() -> Option<impl mender::update_module::ModuleSet> {
    Some((Nothing,))
}

/// For patches, of the default lengths.
#[cfg(any(feature = "mcuboot-patches", feature = "embassy-boot-patches"))]
static PATCHES: static_cell::ConstStaticCell<mender_modules::delta::Memory> =
    static_cell::ConstStaticCell::new(mender_modules::delta::Memory::new());

#[cfg(feature = "mcuboot")]
fn modules() -> Option<impl mender::update_module::ModuleSet> {
    use mender_modules::mcuboot::{Layout, SwapMove, ZephyrImage};

    const LAYOUT: Layout<SwapMove> = Layout {
        mode: SwapMove,
        primary_len: 0x60000,
        secondary_len: 0x60000,
        sector_len: 4096,
        write_len: 4,
        max_align: 8,
        max_img_sectors: 128,
    }
    .checked();
    let module = ZephyrImage::new(LAYOUT, Anything, Anything, || cortex_m::peripheral::SCB::sys_reset());
    let module = module.ok()?;
    #[cfg(feature = "mcuboot-patches")]
    let module = module.taking_patches(PATCHES.take());
    Some((Nothing, module))
}

#[cfg(all(feature = "embassy-boot", not(feature = "mcuboot")))]
fn modules() -> Option<impl mender::update_module::ModuleSet> {
    use mender_modules::embassy_boot::EmbassyBoot;

    let config = embassy_boot::FirmwareUpdaterConfig {
        dfu: Anything,
        state: Anything,
    };
    let module = EmbassyBoot::<_, _, _, _>::new(config, Anything, || cortex_m::peripheral::SCB::sys_reset());
    let module = module.ok()?;
    #[cfg(feature = "embassy-boot-patches")]
    let module = module.taking_patches(PATCHES.take());
    Some((Nothing, module))
}

#[cfg(all(feature = "esp-ota", not(feature = "embassy-boot"), not(feature = "mcuboot")))]
fn modules() -> Option<impl mender::update_module::ModuleSet> {
    use mender_modules::esp_ota::{Bootloader, EspOta, Slot};

    let running = Slot::of_subtype(black_box(0x10))?;
    let restart = || cortex_m::peripheral::SCB::sys_reset();
    let module = EspOta::<_, _, _>::new([Anything, Anything], Anything, running, Bootloader::Keeps, restart);
    Some((Nothing, module.ok()?))
}

/// Takes artifacts of the type `nothing` and does nothing. Not `noop`: the crate with that module takes the client with its
/// default features.
#[cfg(feature = "client")]
struct Nothing;

#[cfg(feature = "client")]
impl UpdateModule for Nothing {
    const DESCRIPTOR: Descriptor = Descriptor {
        artifact_type: "nothing",
        other_types: &[],
        requires_reboot: false,
        supports_rollback: false,
        states: States::NONE,
    };

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        payload.finish().await?;
        Ok(())
    }

    async fn call(&mut self, _: CallbackState) -> Result<(), Failure> {
        Ok(())
    }
}

fn stop() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

/// Device, network, flash, clock and random numbers in one.
#[cfg_attr(
    not(feature = "client"),
    expect(dead_code, reason = "only the start-up code is linked then")
)]
struct Anything;

impl mender::client::Device for Anything {
    fn identity(&self) -> impl AsRef<[(&str, &str)]> {
        black_box(&[("mac", "02:00:5e:10:00:01")])
    }

    async fn restart(&self) {
        cortex_m::peripheral::SCB::sys_reset()
    }

    #[cfg(not(feature = "key"))]
    fn signer(&self) -> Option<impl mender::client::Signer> {
        Some(Anything)
    }
}

/// A key as in a secure element.
#[cfg(not(feature = "key"))]
impl mender::client::Signer for Anything {
    type Error = KeyError;

    async fn public_point(&self) -> Result<[u8; POINT_LEN], KeyError> {
        embassy_futures::yield_now().await;
        Ok(black_box([4; POINT_LEN]))
    }

    async fn sign_digest(&self, digest: &[u8; 32]) -> Result<DigestSignature, KeyError> {
        embassy_futures::yield_now().await;
        black_box(digest);
        DigestSignature::from_numbers(black_box(&[1; 64]))
    }
}

impl mender::client::Clock for Anything {
    fn uptime(&self) -> Duration {
        Duration::from_secs(u64::from(black_box(0_u32)))
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        black_box(duration);
        embassy_futures::yield_now()
    }
}

impl mender::net::Connector for Anything {
    type Connection<'c> = Anything;
    type Error = Infallible;

    async fn connect(&self, endpoint: mender::net::Endpoint<'_>) -> Result<Anything, Infallible> {
        black_box(endpoint);
        embassy_futures::yield_now().await;
        Ok(Anything)
    }
}

impl embedded_io_async::ErrorType for Anything {
    type Error = Infallible;
}

impl embedded_io_async::Read for Anything {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        embassy_futures::yield_now().await;
        black_box(&mut *buffer);
        Ok(black_box(buffer.len()))
    }
}

impl embedded_io_async::Write for Anything {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        embassy_futures::yield_now().await;
        Ok(black_box(bytes).len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl embedded_storage_async::nor_flash::ErrorType for Anything {
    type Error = Infallible;
}

impl embedded_storage_async::nor_flash::MultiwriteNorFlash for Anything {}

impl embedded_storage_async::nor_flash::ReadNorFlash for Anything {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        embassy_futures::yield_now().await;
        black_box((offset, bytes));
        Ok(())
    }

    fn capacity(&self) -> usize {
        black_box(0x10_0000)
    }
}

impl embedded_storage_async::nor_flash::NorFlash for Anything {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Infallible> {
        embassy_futures::yield_now().await;
        black_box((from, to));
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        embassy_futures::yield_now().await;
        black_box((offset, bytes));
        Ok(())
    }
}

impl rand_core::TryRng for Anything {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(black_box(4))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(black_box(4))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        black_box(bytes);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Anything {}
