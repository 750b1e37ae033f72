//! RP2350 with a W5500 on SPI0, updated through embassy-boot.
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
use mender_modules::embassy_boot::EmbassyBoot;
use panic_halt as _;
use static_cell::{ConstStaticCell, StaticCell};

// pins
use embassy_net_wiznet::{Runner, State, chip::W5500};
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::peripherals::{DMA_CH0, DMA_CH1, SPI0, TRNG};
use embassy_rp::{bind_interrupts, dma, flash, spi, trng};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;

const MAC: [u8; 6] = [2, 0, 0x5e, 0x10, 0, 1];
const DEVICE_TYPE: &str = "rpi-pico2-w5500";
const FLASH_LEN: usize = map::MAP.len as usize;
type Spi = ExclusiveDevice<spi::Spi<'static, SPI0, spi::Async>, Output<'static>, Delay>;
type Ethernet = embassy_net_wiznet::Device<'static>;

bind_interrupts!(struct Irqs {
    TRNG_IRQ => trng::InterruptHandler<TRNG>;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>;
});

#[embassy_executor::task]
async fn w5500(runner: Runner<'static, W5500, Spi, Input<'static>, Output<'static>>) {
    runner.run().await
}
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
    let p = embassy_rp::init(Default::default());
    let bus = spi::Spi::new(
        p.SPI0,
        p.PIN_18,
        p.PIN_19,
        p.PIN_16,
        p.DMA_CH0,
        p.DMA_CH1,
        Irqs,
        spi::Config::default(),
    );
    let spi = ExclusiveDevice::new(bus, Output::new(p.PIN_17, Level::High), Delay).unwrap();
    static STATE: StaticCell<State<8, 8>> = StaticCell::new();
    let (interrupt, reset) = (Input::new(p.PIN_21, Pull::Up), Output::new(p.PIN_20, Level::High));
    let wiznet = embassy_net_wiznet::new(MAC, STATE.init(State::new()), spi, interrupt, reset);
    let (ethernet, runner) = wiznet.await.unwrap();
    spawner.spawn(w5500(runner).unwrap());
    let generator = trng::Trng::new(p.TRNG, Irqs, trng::Config::default());
    let flash = flash::Flash::<_, _, FLASH_LEN>::new_blocking(p.FLASH);
    // end of pins
    let rng = Random::new(RandCore09(generator)).unwrap();
    let seed = (&rng).next_u64();
    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(ethernet, dhcp, SOCKETS.init(StackResources::new()), seed);
    spawner.spawn(network(runner).unwrap());
    let tcp = EmbassyNet::new(stack, TCP.take());
    let tls = TlsConnector::new(tcp, TLS.take(), &rng, ROOTS).unwrap();
    let flash = SharedFlash::new(flash);
    let [state, active, dfu, records] = [
        const { map::MAP.range("state") },
        const { map::MAP.range("active") },
        const { map::MAP.range("dfu") },
        const { map::MAP.range("records") },
    ]
    .map(|range| flash.partition(range).unwrap());
    let storage = FlashStorage::new(records, const { FlashRange::new(0..map::MAP.len_of("records")) }).unwrap();
    let bootloader = embassy_boot::FirmwareUpdaterConfig { state, dfu };
    let firmware = EmbassyBoot::<_, _, _, _>::new(bootloader, active, || SCB::sys_reset()).unwrap();
    let config = Config::new("https://hosted.mender.io", DEVICE_TYPE);
    let board = EmbassyDevice::new(stack, MacText::new(MAC), || SCB::sys_reset());
    let (modules, memory) = ((firmware,), RESOURCES.take());
    let client = Client::new(config, board, tls, storage, &CLOCK, &rng, modules, memory);
    let _ = client.unwrap().run().await;
}
