//! STM32F429 with its own Ethernet, updated through MCUboot.
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
use mender_modules::mcuboot::{Layout, SwapOffset, ZephyrImage};
use panic_halt as _;
use static_cell::{ConstStaticCell, StaticCell};

// pins
use embassy_stm32::eth::{GenericPhy, PacketQueue, Sma};
use embassy_stm32::{bind_interrupts, eth, flash, peripherals, rng};

const MAC: [u8; 6] = [2, 0, 0x5e, 0x10, 0, 1];
const DEVICE_TYPE: &str = "nucleo-f429zi";
type Ethernet = eth::Ethernet<'static, peripherals::ETH, GenericPhy<Sma<'static, peripherals::ETH_SMA>>>;

bind_interrupts!(struct Irqs {
    ETH => eth::InterruptHandler;
    HASH_RNG => rng::InterruptHandler<peripherals::RNG>;
});

/// The slots as MCUboot is built for them.
const LAYOUT: Layout<SwapOffset> = Layout {
    mode: SwapOffset,
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
    let p = embassy_stm32::init(Default::default());
    static PACKETS: StaticCell<PacketQueue<4, 4>> = StaticCell::new();
    #[rustfmt::skip]
    let ethernet = eth::Ethernet::new(
        PACKETS.init(PacketQueue::new()),
        p.ETH, Irqs, p.PA1, p.PA7, p.PC4, p.PC5, p.PG13, p.PB13, p.PG11,
        MAC,
        p.ETH_SMA, p.PA2, p.PC1,
    );
    let generator = rng::Rng::new(p.RNG, Irqs);
    let flash = flash::Flash::new_blocking(p.FLASH).into_blocking_regions();
    // end of pins
    let rng = Random::new(RandCore09(generator)).unwrap();
    let seed = (&rng).next_u64();
    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(ethernet, dhcp, SOCKETS.init(StackResources::new()), seed);
    spawner.spawn(network(runner).unwrap());
    let tcp = EmbassyNet::new(stack, TCP.take());
    let tls = TlsConnector::new(tcp, TLS.take(), &rng, ROOTS).unwrap();
    // A driver each, as their sectors are of several sizes.
    let bank1 = SharedFlash::new(flash.bank1_region3);
    let bank2 = SharedFlash::new(flash.bank2_region3);
    let slot0 = bank1.partition(0..LAYOUT.primary_len).unwrap();
    let slot1 = bank2.partition(0..LAYOUT.secondary_len).unwrap();
    let small = SharedFlash::new(flash.bank1_region1);
    let records = small.partition(map::RECORDS).unwrap();
    let storage = FlashStorage::new(records, const { FlashRange::new(0..0x8000) }).unwrap();
    let firmware = ZephyrImage::new(LAYOUT, slot0, slot1, || SCB::sys_reset()).unwrap();
    let config = Config::new("https://hosted.mender.io", DEVICE_TYPE);
    let board = EmbassyDevice::new(stack, MacText::new(MAC), || SCB::sys_reset());
    let (modules, memory) = ((firmware,), RESOURCES.take());
    let client = Client::new(config, board, tls, storage, &CLOCK, &rng, modules, memory);
    let _ = client.unwrap().run().await;
}
