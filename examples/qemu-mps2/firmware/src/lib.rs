//! A firmware that updates itself: what a user of the client writes for a board, on QEMU's mps2-an386.
//!
//! | file | job |
//! |---|---|
//! | `bin/` | the releases: what is another one in each |
//! | `lib.rs` | puts everything together |
//! | `settings.rs` | what the factory has written |
//! | `boot.rs` | the update module of its bootloader |
//! | `device.rs` | the board as the client sees it |
//! | `sntp.rs` | asks for the time |
//! | `timed.rs` | a connector that says how long connecting took |
//! | `heart.rs`, `phase.rs` | a task that must keep its beat, and whether it does |
//! | `measure.rs` | how long cryptography takes |

#![no_std]

mod boot;
mod device;
mod heart;
mod measure;
mod phase;
mod settings;
mod sntp;
mod timed;

use core::panic::PanicInfo;
use core::time::Duration;

use board::ethernet::Ethernet;
use board::flash::{Flash, User};
use board::map::MAP;
use board::{Board, random, say};
use calibration::Calibration;
use embassy_executor::Spawner;
use embassy_net::{Stack, StackResources};
use mender::adapters::embassy_net::{EmbassyNet, TcpMemory};
use mender::adapters::embassy_time::EmbassyClock;
use mender::adapters::flash::SharedFlash;
use mender::adapters::random::Random;
use mender::client::{Client, Config, Resources};
use mender::rand_core::Rng;
use mender::storage::{FlashRange, FlashStorage};
use static_cell::{ConstStaticCell, StaticCell};

use device::Mps2;
use settings::Settings;
use timed::Timed;

/// What is another one in each release.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// Its name in the inventory.
    pub version: &'static str,
    /// It asks for an address. A release that does not is one that was never tried on a network.
    pub asks_for_address: bool,
}

const DEVICE_TYPE: &str = "mps2-an386";
const MAC: [u8; 6] = [0x02, 0x00, 0x5e, 0x10, 0x00, 0x02];

static CLOCK: EmbassyClock = EmbassyClock::new();

type Generator = Random<random::Generator>;

/// Runs the firmware.
pub fn run(release: Release) -> ! {
    let Some(board) = Board::take(User::Firmware) else {
        board::restart();
    };
    board::console::log(log::LevelFilter::Info);
    say!("@running {}", release.version);
    board::executor::run(|spawner| {
        spawner.spawn(heart::beat().unwrap());
        spawner.spawn(updates(spawner, board, release).unwrap());
    })
}

#[embassy_executor::task]
async fn network(mut runner: embassy_net::Runner<'static, Ethernet>) {
    runner.run().await
}

#[embassy_executor::task]
async fn time(stack: Stack<'static>, settings: Settings, rng: &'static Generator) {
    sntp::set(&CLOCK, stack, settings.time, rng).await;
}

/// Puts the client together and runs it.
#[embassy_executor::task]
async fn updates(spawner: Spawner, board: Board, release: Release) {
    static FLASH: StaticCell<SharedFlash<Flash>> = StaticCell::new();
    static RANDOM: StaticCell<Generator> = StaticCell::new();
    static SOCKETS: StaticCell<StackResources<5>> = StaticCell::new();
    static TCP: ConstStaticCell<TcpMemory> = ConstStaticCell::new(TcpMemory::new());
    static RESOURCES: ConstStaticCell<Resources> = ConstStaticCell::new(Resources::new());

    let flash = FLASH.init(SharedFlash::new(board.flash));
    let [settings, calibration, records] = [
        const { MAP.range("settings") },
        const { MAP.range("calibration") },
        const { MAP.range("records") },
    ]
    .map(|range| flash.partition(range).unwrap());
    let settings = Settings::read(settings).await.unwrap();
    let rng: &'static Generator = RANDOM.init(Random::new(board.generator).unwrap());
    let mut calibration = Calibration::new(calibration);
    match calibration.active().await {
        Ok(table) => say!("@calibration {} {}", table.number, table.sum),
        Err(error) => log::warn!("calibration: {error}"),
    }
    if settings.measures {
        measure::cryptography(flash, rng).await;
    }

    let config = if release.asks_for_address {
        embassy_net::Config::dhcpv4(Default::default())
    } else {
        embassy_net::Config::default()
    };
    let ethernet = Ethernet::new(MAC).unwrap();
    let (stack, runner) = embassy_net::new(
        ethernet,
        config,
        SOCKETS.init(StackResources::new()),
        (&*rng).next_u64(),
    );
    spawner.spawn(network(runner).unwrap());
    spawner.spawn(time(stack, settings, rng).unwrap());

    let connector = EmbassyNet::new(stack, TCP.take());
    #[cfg(feature = "tls")]
    let roots = [settings.root];
    #[cfg(feature = "tls")]
    let connector = {
        use mender::tls::{Roots, TlsConnector, TlsMemory};
        static TLS: ConstStaticCell<TlsMemory> = ConstStaticCell::new(TlsMemory::new());
        TlsConnector::new(connector, TLS.take(), rng, Roots::same(&roots)).unwrap()
    };
    let storage = FlashStorage::new(records, const { FlashRange::new(0..MAP.len_of("records")) }).unwrap();
    let firmware = boot::module(flash);
    // A few seconds instead of days.
    let config = Config {
        artifact_name: "release-1",
        update_poll_interval: Duration::from_secs(1),
        retry_first: Duration::from_millis(250),
        retry_cap: Duration::from_secs(1),
        network_retry: Duration::from_millis(250),
        network_timeout: Duration::from_secs(3),
        commit_timeout: Duration::from_secs(6),
        restart_timeout: Duration::from_secs(5),
        ..Config::new(settings.server, DEVICE_TYPE)
    };
    let device = Mps2::new(stack, &CLOCK, MAC, release.version);
    let (modules, memory) = ((firmware, calibration), RESOURCES.take());
    let client = Client::new(config, device, Timed(connector), storage, &CLOCK, rng, modules, memory);
    let ended = client.unwrap().run().await;
    panic!("the client has ended: {ended:?}");
}

/// Says why, and restarts: a new image that cannot even run is not confirmed, and the bootloader takes the old one again.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("?", 0), |at| (at.file(), at.line()));
    say!("@panic {file}:{line}: {}", info.message());
    board::restart();
}
