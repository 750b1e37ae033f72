//! How many TLS handshakes a deployment takes: the device's own TLS over tokio's connections, and rustls, against the test server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mender::adapters::random::Random;
use mender::adapters::tokio::rustls::{ClientConfig, RootCertStore, crypto};
use mender::adapters::tokio::{TokioClock, TokioNet};
use mender::client::{Client, Config, Resources};
use mender::net::Connector;
use mender::storage::{FlashRange, FlashStorage};
use mender::tls::{Roots, TlsConnector, TlsMemory};
use mender_modules::noop::Noop;
use mender_test_server::{Identity, Options, RunningServer, spawn};
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::device::{SeededRng, SimDevice};
use mender_testkit::flash::SimFlash;
use mender_testkit::server::{Endpoint, Server, Settings, Status, Time};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

const SOON: Duration = Duration::from_secs(60);

/// A server with a certificate, and the root that vouches for it.
fn server() -> (RunningServer, CertifiedIssuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let options = Options {
        tls: Some(Identity::new(vec![leaf.der().clone()], key.into()).unwrap()),
        ..Options::default()
    };
    let settings = Settings {
        auto_accept: true,
        ..Settings::default()
    };
    let running = spawn(Arc::new(Mutex::new(Server::new(settings))), options).unwrap();
    (running, issuer)
}

/// Runs a client until `reached`: a boot of the device.
async fn boot(
    running: &RunningServer,
    flash: &SimFlash<4, 4096>,
    network: impl Connector,
    reached: impl Fn(&Server) -> bool,
) {
    let url = format!("https://{}", running.api_address());
    let config = Config {
        artifact_name: "release-1",
        update_poll_interval: Duration::from_secs(1),
        ..Config::new(&url, "board-a")
    };
    let storage = FlashStorage::new(flash.clone(), const { FlashRange::new(0..0x2000) }).unwrap();
    let random = Random::new(SeededRng::new(7)).unwrap();
    let device = SimDevice::new("02:00:5e:10:00:01");
    let mut resources: Box<Resources> = Box::default();
    let mut client = Client::new(
        config,
        device,
        network,
        storage,
        TokioClock::start(),
        &random,
        (Noop,),
        &mut resources,
    )
    .unwrap();
    let reached = async {
        while !reached(&running.server()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        ended = Box::pin(client.run()) => panic!("{ended:?}"),
        () = reached => {}
        () = tokio::time::sleep(SOON) => panic!("not after {SOON:?}"),
    }
}

/// A device that is known gets a deployment with its first poll after a start, from another host: two handshakes, whatever the number of
/// requests.
async fn deploy<C: Connector>(running: &RunningServer, network: impl Fn() -> C) {
    let flash = SimFlash::<4, 4096>::new(2);
    let known = |server: &Server| {
        let device = server.devices().next();
        device.is_some_and(|device| server.inventory(device.id()).is_some())
    };
    boot(running, &flash, network(), known).await;
    let (deployment, device) = {
        let mut server = running.server();
        let artifact = ArtifactWriter::new("release-2", "board-a")
            .payload_type("noop")
            .file("app.bin", &vec![7; 300_000])
            .write();
        server.add_artifact(artifact, Time::now()).unwrap();
        let device = server.devices().next().unwrap().id().clone();
        let id = server
            .deploy("release-2", std::slice::from_ref(&device), Time::now())
            .unwrap();
        (id, device)
    };
    let requests = running.server().requests().len();
    let handshakes = [Endpoint::Api, Endpoint::Storage].map(|at| running.connection_count(at));
    assert_eq!(handshakes[1], 0);
    // Beyond the end of the deployment, to the inventory with its name and the next poll.
    let over = |server: &Server| {
        let status = server.device_deployment(&deployment, &device).map(|found| found.status);
        let name = server
            .inventory(&device)
            .and_then(|inventory| inventory.value("artifact_name"));
        status == Some(Status::Success) && name.is_some_and(|name| name == "release-2")
    };
    boot(running, &flash, network(), over).await;
    assert_eq!(running.connection_count(Endpoint::Api) - handshakes[0], 1);
    assert_eq!(running.connection_count(Endpoint::Storage), 1);
    assert!(running.server().requests().len() - requests >= 7, "on two connections");
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

#[test]
fn a_deployment_takes_two_with_the_devices_own_tls() {
    run(async {
        let (running, issuer) = server();
        let roots: &'static [&'static [u8]] = Box::leak(Box::new([&*issuer.der().to_vec().leak()]));
        deploy(&running, || {
            let memory: &'static mut TlsMemory = Box::leak(Box::default());
            TlsConnector::new(TokioNet::new(), memory, SeededRng::new(11), Roots::same(roots)).unwrap()
        })
        .await;
    });
}

#[test]
fn a_deployment_takes_two_with_rustls() {
    run(async {
        let (running, issuer) = server();
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let network = TokioNet::new().with_tls(Arc::new(config));
        deploy(&running, || network.clone()).await;
    });
}
