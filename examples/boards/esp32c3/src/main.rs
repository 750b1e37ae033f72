//! ESP32-C3 on Wi-Fi, updated through ESP-IDF's bootloader as espflash brings it.
//!
//! What is between `pins` and `end of pins` is the board's, and `map.rs` says where everything is in flash. All else is what the client
//! takes: `.ci/boards` counts it.

#![no_std]
#![no_main]

mod map;

use embassy_executor::Spawner;
use embassy_net::StackResources;
use esp_hal::system::software_reset;
use mender::adapters::embassy_net::{EmbassyDevice, EmbassyNet, TcpMemory};
use mender::adapters::embassy_time::EmbassyClock;
use mender::adapters::flash::SharedFlash;
use mender::adapters::random::Random;
use mender::client::{Client, Config, MacText, Resources};
use mender::rand_core::Rng;
use mender::storage::{FlashRange, FlashStorage};
use mender::tls::{Roots, TlsConnector, TlsMemory};
use mender_modules::esp_ota::{Bootloader, EspOta, Slot, boot_guard};
use static_cell::{ConstStaticCell, StaticCell};

// pins
use embassy_time::{Duration, Timer};
use esp_bootloader_esp_idf::partitions::{PARTITION_TABLE_MAX_LEN, read_partition_table};
use esp_hal::peripherals::TIMG0;
use esp_hal::rng::{Trng, TrngSource};
use esp_hal::timer::timg::{MwdtStage, TimerGroup, Wdt};
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{self, AuthenticationMethodConfig, Interface, WifiController};
use esp_storage::FlashStorage as InternalFlash;

const DEVICE_TYPE: &str = "esp32c3-devkit";
const SSID: &str = "network";
const PASSWORD: &str = "password";
type Radio = Interface;

esp_bootloader_esp_idf::esp_app_desc!();

/// The guard counts restarts: a panic is one.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    software_reset()
}

#[embassy_executor::task]
async fn wifi(mut controller: WifiController<'static>) {
    loop {
        if controller.connect_async().await.is_ok() {
            let _ = controller.wait_for_disconnect_async().await;
        }
        Timer::after(Duration::from_secs(5)).await;
    }
}

/// Firmware that hangs is started again, which the guard counts.
#[embassy_executor::task]
async fn watchdog(mut timer: Wdt<TIMG0<'static>>) {
    timer.set_timeout(MwdtStage::Stage0, esp_hal::time::Duration::from_secs(60));
    timer.enable();
    loop {
        timer.feed();
        Timer::after(Duration::from_secs(5)).await;
    }
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
async fn network(mut runner: embassy_net::Runner<'static, Radio>) {
    runner.run().await
}

#[esp_rtos::main]
async fn main(spawner: Spawner) {
    // pins
    let p = esp_hal::init(esp_hal::Config::default());
    // Of the bootloader's, too: what it used is free now.
    esp_alloc::heap_allocator!(#[esp_hal::ram(reclaimed)] size: 64 * 1024);
    let timers = TimerGroup::new(p.TIMG0);
    esp_rtos::start(timers.timer0, p.FROM_CPU_INTR0);
    spawner.spawn(watchdog(timers.wdt).unwrap());
    let mut flash = InternalFlash::new(p.FLASH);
    let mut table = [0; PARTITION_TABLE_MAX_LEN];
    let table = read_partition_table(&mut flash, &mut table).unwrap();
    let running = table.booted_partition().unwrap().unwrap().raw_subtype();
    let _entropy = TrngSource::new(p.RNG, p.ADC1);
    let generator = Trng::try_new().unwrap();
    // end of pins
    let running = Slot::of_subtype(running).unwrap();
    let flash = SharedFlash::new(flash);
    let [mut otadata, records, ota_0, ota_1] = [
        const { map::MAP.range("otadata") },
        const { map::MAP.range("records") },
        const { map::MAP.range("ota_0") },
        const { map::MAP.range("ota_1") },
    ]
    .map(|range| flash.partition(range).unwrap());
    // espflash's bootloader starts a new image for ever: it goes back by itself if it crashes five times.
    // Where otadata cannot be written there is nothing to count in, and no reason not to start.
    let _ = boot_guard(&mut otadata, running, &mut || software_reset()).await;
    let rng = Random::new(generator).unwrap();
    let seed = (&rng).next_u64();
    // pins
    let radio = Interface::station();
    let mac = radio.mac_address();
    let login = AuthenticationMethodConfig::Wpa2Personal(PASSWORD.try_into().unwrap());
    let station = StationConfig::default()
        .with_ssid(SSID.try_into().unwrap())
        .with_authentication(login);
    let mut controller = WifiController::new(p.WIFI, wifi::ControllerConfig::default()).unwrap();
    controller.set_config(&wifi::Config::Station(station)).unwrap();
    spawner.spawn(wifi(controller).unwrap());
    // end of pins
    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(radio, dhcp, SOCKETS.init(StackResources::new()), seed);
    spawner.spawn(network(runner).unwrap());
    let tcp = EmbassyNet::new(stack, TCP.take());
    let tls = TlsConnector::new(tcp, TLS.take(), &rng, ROOTS).unwrap();
    let storage = FlashStorage::new(records, const { FlashRange::new(0..map::MAP.len_of("records")) }).unwrap();
    let (slots, restart) = ([ota_0, ota_1], || software_reset());
    let firmware = EspOta::<_, _, _>::new(slots, otadata, running, Bootloader::Keeps, restart).unwrap();
    let config = Config::new("https://hosted.mender.io", DEVICE_TYPE);
    let board = EmbassyDevice::new(stack, MacText::new(mac), || software_reset());
    let (modules, memory) = ((firmware,), RESOURCES.take());
    let client = Client::new(config, board, tls, storage, &CLOCK, &rng, modules, memory);
    let _ = client.unwrap().run().await;
}
