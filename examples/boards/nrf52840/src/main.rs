//! nRF52840 with a W5500 on SPI3, updated through MCUboot.
//!
//! What is between `pins` and `end of pins` is the board's, and `map.rs` says where everything is in flash. All else is what the client
//! takes: `.ci/boards` counts it.

#![no_std]
#![no_main]

mod map;

use cortex_m::peripheral::SCB;
use embassy_executor::Spawner;
use embassy_net::StackResources;
use mender::adapters::embassy_net::{EmbassyDevice, EmbassyNet, TcpMemory};
use mender::adapters::embassy_time::EmbassyClock;
use mender::adapters::flash::SharedFlash;
use mender::adapters::random::{RandCore09, Random};
use mender::client::{Client, Config, MacText, Resources};
use mender::rand_core::Rng;
use mender::storage::{FlashRange, FlashStorage};
use mender::tls::{Roots, TlsConnector, TlsMemory};
use mender_modules::mcuboot::{Layout, SwapMove, ZephyrImage};
use panic_halt as _;
use static_cell::{ConstStaticCell, StaticCell};

// pins
use embassy_net_wiznet::{Runner, State, chip::W5500};
use embassy_nrf::gpio::{Input, Level, Output, OutputDrive, Pull};
use embassy_nrf::{bind_interrupts, nvmc::Nvmc, peripherals, rng, spim};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;

const MAC: [u8; 6] = [2, 0, 0x5e, 0x10, 0, 1];
const DEVICE_TYPE: &str = "nrf52840dk";
type Spi = ExclusiveDevice<spim::Spim<'static>, Output<'static>, Delay>;
type Ethernet = embassy_net_wiznet::Device<'static>;

bind_interrupts!(struct Irqs {
    SPIM3 => spim::InterruptHandler<peripherals::SPI3>;
});

#[embassy_executor::task]
async fn w5500(runner: Runner<'static, W5500, Spi, Input<'static>, Output<'static>>) {
    runner.run().await
}

/// The slots as MCUboot is built for them.
const LAYOUT: Layout<SwapMove> = Layout {
    mode: SwapMove,
    primary_len: map::MAP.len_of("slot0"),
    secondary_len: map::MAP.len_of("slot1"),
    sector_len: map::MAP.erase_len,
    write_len: map::MAP.write_len,
    max_align: 8,
    max_img_sectors: 128,
}
.checked();
// end of pins

/// Hosted Mender's, US: of the server, and of its artifacts' host.
const ROOTS: Roots<'static> = Roots {
    server: &[include_bytes!("../../roots/amazon-root-ca-1.der")],
    artifact_host: &[include_bytes!("../../roots/gts-root-r4.der")],
};

static RESOURCES: ConstStaticCell<Resources> = ConstStaticCell::new(Resources::new());
static SOCKETS: StaticCell<StackResources<4>> = StaticCell::new();
static TCP: ConstStaticCell<TcpMemory> = ConstStaticCell::new(TcpMemory::new());
static TLS: ConstStaticCell<TlsMemory> = ConstStaticCell::new(TlsMemory::new());
/// Certificates are checked by it: a task of the board sets it, from SNTP or a real-time clock.
static CLOCK: EmbassyClock = EmbassyClock::new();

#[embassy_executor::task]
async fn network(mut runner: embassy_net::Runner<'static, Ethernet>) {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    // pins
    let p = embassy_nrf::init(Default::default());
    let spi = spim::Spim::new(p.SPI3, Irqs, p.P0_19, p.P0_20, p.P0_21, Default::default());
    let select = Output::new(p.P0_22, Level::High, OutputDrive::Standard);
    let spi = ExclusiveDevice::new(spi, select, Delay).unwrap();
    static STATE: StaticCell<State<8, 8>> = StaticCell::new();
    let interrupt = Input::new(p.P0_23, Pull::Up);
    let reset = Output::new(p.P0_24, Level::High, OutputDrive::Standard);
    let wiznet = embassy_net_wiznet::new(MAC, STATE.init(State::new()), spi, interrupt, reset);
    let (ethernet, runner) = wiznet.await.unwrap();
    spawner.spawn(w5500(runner).unwrap());
    let generator = rng::Rng::new_blocking(p.RNG);
    let flash = Nvmc::new(p.NVMC);
    // end of pins
    let rng = Random::new(RandCore09(generator)).unwrap();
    let seed = (&rng).next_u64();
    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(ethernet, dhcp, SOCKETS.init(StackResources::new()), seed);
    spawner.spawn(network(runner).unwrap());
    let tcp = EmbassyNet::new(stack, TCP.take());
    let tls = TlsConnector::new(tcp, TLS.take(), &rng, ROOTS).unwrap();
    let flash = SharedFlash::new(flash);
    let [slot0, slot1, records] = [
        const { map::MAP.range("slot0") },
        const { map::MAP.range("slot1") },
        const { map::MAP.range("records") },
    ]
    .map(|range| flash.partition(range).unwrap());
    let storage = FlashStorage::new(records, const { FlashRange::new(0..map::MAP.len_of("records")) }).unwrap();
    let firmware = ZephyrImage::new(LAYOUT, slot0, slot1, || SCB::sys_reset()).unwrap();
    let config = Config::new("https://hosted.mender.io", DEVICE_TYPE);
    let board = EmbassyDevice::new(stack, MacText::new(MAC), || SCB::sys_reset());
    let (modules, memory) = ((firmware,), RESOURCES.take());
    let client = Client::new(config, board, tls, storage, &CLOCK, &rng, modules, memory);
    let _ = client.unwrap().run().await;
}
