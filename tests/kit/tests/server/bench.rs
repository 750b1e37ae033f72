//! A server with some devices, and requests in one line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{
    DeploymentId, DeviceId, Endpoint, Mode, Request, Response, Server, Settings, Status, Time,
};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};

pub const START: Time = Time::from_unix(1_790_000_000, 5_000_000);
pub const AUTH: &str = "/api/devices/v1/authentication/auth_requests";
pub const DEPLOYMENTS: &str = "/api/devices/v1/deployments/device/deployments";
pub const NEXT_V2: &str = "/api/devices/v2/deployments/device/deployments/next";
pub const ATTRIBUTES: &str = "/api/devices/v1/inventory/device/attributes";
pub const CONFIGURATION: &str = "/api/devices/v1/deviceconfig/configuration";
pub const MANAGEMENT: &str = "/api/management";

/// A P-256 key that depends on the number alone.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_slice(&[number; 32]).unwrap()
}

pub fn pem(key: &SigningKey) -> String {
    key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap()
}

pub fn sign(key: &SigningKey, body: &[u8]) -> String {
    let signature: DerSignature = key.sign(body);
    STANDARD.encode(signature.as_bytes())
}

/// An authentication request of the device with that mac and key.
pub fn auth_request(mac: &str, key: &SigningKey) -> Request {
    let id_data = json!({"mac": mac}).to_string();
    let body = json!({"id_data": id_data, "pubkey": pem(key)}).to_string();
    let signature = sign(key, body.as_bytes());
    Request::new("POST", AUTH)
        .json(body)
        .header("X-MEN-Signature", signature)
}

pub struct Bench {
    pub server: Server,
    pub now: Time,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Settings {
            auto_accept: true,
            ..Settings::default()
        })
    }

    pub fn enterprise() -> Self {
        Self::with(Settings {
            auto_accept: true,
            mode: Mode::Enterprise,
            ..Settings::default()
        })
    }

    pub fn with(settings: Settings) -> Self {
        Self {
            server: Server::new(settings),
            now: START,
        }
    }

    pub fn wait_secs(&mut self, secs: u64) {
        self.now = self.now + std::time::Duration::from_secs(secs);
    }

    pub fn send(&mut self, request: Request) -> Response {
        self.server.handle(&request, self.now)
    }

    /// Logs a device in, which is accepted at once.
    pub fn login(&mut self, mac: &str) -> Caller {
        let response = self.send(auth_request(mac, &key(mac.len() as u8 + 1)));
        assert_eq!(response.status, 200, "{response:?}");
        let token = String::from_utf8(response.body).unwrap();
        let id = self.server.find_device("mac", mac).unwrap().id().clone();
        Caller { id, token }
    }

    /// Stores an artifact with a payload of that length.
    pub fn artifact(&mut self, name: &str, device_type: &str, len: usize) -> Vec<u8> {
        let bytes = ArtifactWriter::new(name, device_type)
            .file("fw.bin", &vec![7; len])
            .write();
        self.server.add_artifact(bytes.clone(), self.now).unwrap();
        bytes
    }

    pub fn deploy(&mut self, name: &str, device: &Caller) -> DeploymentId {
        self.server
            .deploy(name, std::slice::from_ref(&device.id), self.now)
            .unwrap()
    }

    /// A device, an artifact `release-2` for `board-a` and a deployment of it.
    pub fn with_deployment() -> (Self, Caller, DeploymentId) {
        let mut bench = Self::new();
        let device = bench.login("aa");
        bench.artifact("release-2", "board-a", 100);
        let deployment = bench.deploy("release-2", &device);
        (bench, device, deployment)
    }

    pub fn poll(&mut self, device: &Caller, artifact_name: &str) -> Response {
        let target = format!("{DEPLOYMENTS}/next?artifact_name={artifact_name}&device_type=board-a");
        self.send(device.request("GET", &target))
    }

    pub fn report(&mut self, device: &Caller, deployment: &DeploymentId, status: &str) -> Response {
        let target = format!("{DEPLOYMENTS}/{deployment}/status");
        self.send(
            device
                .request("PUT", &target)
                .json(json!({"status": status}).to_string()),
        )
    }

    pub fn status(&self, device: &Caller, deployment: &DeploymentId) -> Option<Status> {
        self.server
            .device_deployment(deployment, &device.id)
            .map(|on_device| on_device.status)
    }

    /// The id of the deployment that a poll offers.
    #[track_caller]
    pub fn offered(&mut self, device: &Caller, artifact_name: &str) -> Option<DeploymentId> {
        let response = self.poll(device, artifact_name);
        match response.status {
            200 => Some(response.body_json()["id"].as_str().unwrap().into()),
            204 => None,
            other => panic!("status {other}: {response:?}"),
        }
    }

    /// The link that a poll offers.
    #[track_caller]
    pub fn link(&mut self, device: &Caller) -> String {
        let response = self.poll(device, "release-1");
        assert_eq!(response.status, 200, "{response:?}");
        response.body_json()["artifact"]["source"]["uri"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A download request for a link, as a well-made client sends it.
    pub fn download(&self, link: &str) -> Request {
        let base = &self.server.settings().storage_url;
        let target = link
            .strip_prefix(base.as_str())
            .expect("the link points at the artifact store");
        let host = base.strip_prefix("http://").unwrap();
        Request::new("GET", target).to(Endpoint::Storage).header("Host", host)
    }
}

pub struct Caller {
    pub id: DeviceId,
    pub token: String,
}

impl Caller {
    pub fn request(&self, method: &str, target: &str) -> Request {
        Request::new(method, target).bearer(&self.token)
    }
}

/// Checks status and error text of an answer.
#[track_caller]
pub fn assert_error(response: &Response, status: u16, text: &str) {
    assert_eq!(response.status, status, "{response:?}");
    let error = response.body_json()["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains(text), "`{text}` is not in `{error}`");
}

/// The elements of a JSON array.
#[track_caller]
pub fn list(response: &Response) -> Vec<Value> {
    assert_eq!(response.status, 200, "{response:?}");
    response.body_json().as_array().unwrap().clone()
}
