//! The whole client, with the adapters for network, time and random numbers, gets an update over the stack.

use std::cell::Cell;
use std::sync::Mutex;
use std::time::Duration;

use embassy_futures::select::{Either3, select, select3};
use embassy_net::tcp::TcpSocket;
use embassy_time::{Instant, Timer};
use embedded_io_async::Write as _;
use mender::adapters::embassy_net::EmbassyDevice;
use mender::adapters::embassy_time::EmbassyClock;
use mender::adapters::random::{RandCore06, Random};
use mender::client::{Client, Clock as _, Config, Device as _, MacText, Resources};
use mender::storage::{FlashRange, FlashStorage};
use mender_modules::noop::Noop;
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::flash::SimFlash;
use mender_testkit::server::{Ending, Endpoint, Request, Server, Settings, Status, Time};

use crate::site::{SERVER_V4, Site, on_site};

const API_HOST: &str = "mender.example.com";
const STORE_HOST: &str = "artifacts.example.com";

/// A source of rand_core 0.6 that fails now and then.
struct Flaky {
    state: u64,
    calls: u32,
}

impl rand_core_06::RngCore for Flaky {
    fn next_u32(&mut self) -> u32 {
        unreachable!("what can fail is asked for by the call that can fail")
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("what can fail is asked for by the call that can fail")
    }

    fn fill_bytes(&mut self, _: &mut [u8]) {
        unreachable!("what can fail is asked for by the call that can fail")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.calls += 1;
        if self.calls > 2 && self.calls.is_multiple_of(2) {
            let code = core::num::NonZeroU32::new(rand_core_06::Error::CUSTOM_START).unwrap();
            return Err(code.into());
        }
        for byte in out {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.state >> 56) as u8;
        }
        Ok(())
    }
}

impl rand_core_06::CryptoRng for Flaky {}

/// The time on both sides.
fn now() -> Time {
    Time::from_unix_secs(1_788_220_800 + Instant::now().as_secs())
}

/// Serves connections at a port, one after the other.
async fn serve(site: &Site, server: &Mutex<Server>, port: u16, endpoint: Endpoint) {
    loop {
        let mut socket = site.accept(port).await;
        let mut bytes = Vec::new();
        while let Some(request) = receive(&mut socket, &mut bytes, endpoint).await {
            let response = server.lock().unwrap().handle(&request, now());
            let encoded = response.encode(true);
            if socket.write_all(&encoded.bytes).await.is_err() || encoded.ending != Ending::KeepAlive {
                break;
            }
        }
        socket.close();
        let _ = socket.flush().await;
    }
}

async fn receive(socket: &mut TcpSocket<'_>, bytes: &mut Vec<u8>, endpoint: Endpoint) -> Option<Request> {
    loop {
        if let Some(parsed) = Request::parse(bytes, endpoint).unwrap() {
            bytes.drain(..parsed.consumed);
            return Some(parsed.request);
        }
        let mut piece = [0; 1024];
        match socket.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(len) => bytes.extend(&piece[..len]),
        }
    }
}

#[test]
fn an_update_is_installed_over_two_hosts_and_two_connections() {
    let known = [
        (API_HOST, &[SERVER_V4.into()] as &[_]),
        (STORE_HOST, &[SERVER_V4.into()] as &[_]),
    ];
    on_site(&known, 600, async |site| {
        let server = Mutex::new(Server::new(Settings {
            auto_accept: true,
            api_url: format!("http://{API_HOST}"),
            storage_url: format!("http://{STORE_HOST}:9000"),
            ..Settings::default()
        }));
        let clock = EmbassyClock::new();
        clock.set_unix_time(now().since_epoch());
        let random = Random::new(RandCore06(Flaky { state: 1, calls: 0 })).unwrap();
        let config = Config {
            artifact_name: "release-1",
            update_poll_interval: Duration::from_secs(30),
            ..Config::new("http://mender.example.com", "board-a")
        };
        let flash = SimFlash::<4, 4096>::new(2);
        let storage = FlashStorage::new(flash, const { FlashRange::new(0..0x2000) }).unwrap();
        // Read from the chip, at boot.
        let address = [2, 0, 0x5e, 0x10, 0, 1];
        let restarts = Cell::new(0);
        let restart = || restarts.set(restarts.get() + 1);
        let device = EmbassyDevice::new(site.device, MacText::new(address), restart);
        device.restart().await;
        assert_eq!(restarts.take(), 1);
        let mut resources: Box<Resources> = Box::default();
        let mut client = Client::new(
            config,
            &device,
            &site.network,
            storage,
            &clock,
            &random,
            (Noop,),
            &mut resources,
        )
        .unwrap();

        let operator = async {
            let id = loop {
                Timer::after_secs(1).await;
                let mut server = server.lock().unwrap();
                let found = server.devices().next().map(|device| device.id().clone());
                let Some(device) = found else { continue };
                if server.inventory(&device).is_none() {
                    continue;
                }
                let artifact = ArtifactWriter::new("release-2", "board-a")
                    .payload_type("noop")
                    .file("app.bin", &vec![7; 200_000])
                    .write();
                server.add_artifact(artifact, now()).unwrap();
                let id = server
                    .deploy("release-2", std::slice::from_ref(&device), now())
                    .unwrap();
                break (id, device);
            };
            loop {
                Timer::after_secs(1).await;
                let server = server.lock().unwrap();
                match server.device_deployment(&id.0, &id.1) {
                    Some(deployment) if deployment.status.is_final() => break deployment.status,
                    Some(_) | None => {}
                }
            }
        };
        let servers = select(
            Box::pin(serve(site, &server, 80, Endpoint::Api)),
            Box::pin(serve(site, &server, 9000, Endpoint::Storage)),
        );
        let status = match select3(client.run(), servers, operator).await {
            Either3::First(_) | Either3::Second(_) => unreachable!("they go on for ever"),
            Either3::Third(status) => status,
        };
        assert_eq!(status, Status::Success);
        assert_eq!(restarts.get(), 0);
        let server = server.lock().unwrap();
        assert!(server.find_device("mac", "02:00:5e:10:00:01").is_some());
        assert!(server.violations().is_empty());
        assert!(random.failures() > 0, "and the key was made all the same");
        assert_eq!(clock.unix_time().unwrap().as_secs(), now().unix_secs());
    });
}
