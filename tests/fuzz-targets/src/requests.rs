//! The test server: any bytes as requests on one connection. It answers each or says why it is none, and never panics.

use std::sync::OnceLock;

use mender::api::auth::{self, AuthRequest};
use mender::api::key::DeviceKey;
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{Endpoint, Mode, Request, Server, Settings, Time};

/// A server with a device, an artifact and a deployment, and what stands for them in an input.
struct World {
    server: Server,
    names: [(&'static str, String); 6],
}

const START: Time = Time::from_unix_secs(1_800_000_000);
const USER_TOKEN: &str = "user-token";

/// The first byte chooses the server's edition and address, the others are what comes on the connection. `$TOKEN`, `$USER`,
/// `$DEVICE`, `$DEPLOYMENT`, `$ARTIFACT` and `$LINK` stand for those of the world.
pub fn requests(bytes: &[u8]) {
    let Some((first, stream)) = bytes.split_first() else {
        return;
    };
    static WORLDS: OnceLock<[World; 2]> = OnceLock::new();
    let [oss, enterprise] = WORLDS.get_or_init(|| [Mode::Oss, Mode::Enterprise].map(World::new));
    let world = if first & 1 == 0 { oss } else { enterprise };
    let endpoint = if first & 2 == 0 {
        Endpoint::Api
    } else {
        Endpoint::Storage
    };
    let mut server = world.server.clone();
    let stream = world.fill_in(stream);
    let mut rest = &stream[..];
    for secs in 0..16 {
        let parsed = match Request::parse(rest, endpoint) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return;
            }
        };
        assert!(parsed.consumed > 0 && parsed.consumed <= rest.len());
        let (request, after) = rest.split_at(parsed.consumed);
        assert_eq!(
            Request::parse(request, endpoint),
            Ok(Some(parsed.clone())),
            "what follows does not matter"
        );
        let cut = Request::parse(&request[..request.len() - 1], endpoint);
        assert!(matches!(cut, Ok(None)), "a request without its last byte: {cut:?}");
        let response = server.handle(&parsed.request, Time::from_unix_secs(START.unix_secs() + secs));
        assert!((200..600).contains(&response.status), "{response:?}");
        let encoded = response.encode(parsed.keep_alive);
        assert!(encoded.bytes.starts_with(b"HTTP/1.1 "));
        for (name, value) in &response.headers {
            assert!(
                !name.contains(['\r', '\n', ':']) && !value.contains(['\r', '\n']),
                "{name}: {value}"
            );
        }
        rest = after;
    }
}

impl World {
    fn new(mode: Mode) -> World {
        let settings = Settings {
            mode,
            auto_accept: true,
            management_token: Some(USER_TOKEN.to_owned()),
            ..Settings::default()
        };
        let mut server = Server::new(settings);
        let key = DeviceKey::from_bytes(&[7; 32]).expect("it is a key");
        let mut body = [0; 1024];
        let login = AuthRequest {
            identity: &[("mac", "02:00:5e:10:00:01")],
            public_key: &key.public_key(),
            tenant_token: None,
            tier: None,
        };
        let body = auth::request(&mut body, &login).expect("there is room");
        let signature = key.sign(body).expect("it can sign");
        let request = Request::new("POST", "/api/devices/v1/authentication/auth_requests")
            .header("X-MEN-Signature", signature.as_str())
            .json(body);
        let answer = server.handle(&request, START);
        let token = String::from_utf8(answer.body).expect("a token is text");
        assert_eq!(answer.status, 200, "{token}");
        let device = server.devices().next().expect("it was accepted").id().clone();

        let artifact = ArtifactWriter::new("release-2", "board")
            .file("app.bin", &[7; 100])
            .write();
        let artifact = server.add_artifact(artifact, START).expect("it is one");
        let deployment = server
            .deploy("release-2", std::slice::from_ref(&device), START)
            .expect("there is no other");
        let poll = "/api/devices/v1/deployments/device/deployments/next?artifact_name=release-1&device_type=board";
        let next = server
            .handle(&Request::new("GET", poll).bearer(&token), START)
            .body_json();
        let link = next["artifact"]["source"]["uri"].as_str().expect("a link");
        let link = link.splitn(4, '/').nth(3).expect("a path").to_owned();
        World {
            server,
            names: [
                ("$TOKEN", token),
                ("$USER", USER_TOKEN.to_owned()),
                ("$DEVICE", device.to_string()),
                ("$DEPLOYMENT", deployment.to_string()),
                ("$ARTIFACT", artifact.to_string()),
                ("$LINK", link),
            ],
        }
    }

    fn fill_in(&self, stream: &[u8]) -> Vec<u8> {
        let mut filled = Vec::with_capacity(stream.len());
        let mut rest = stream;
        while let Some((byte, after)) = rest.split_first() {
            let name = self.names.iter().find(|(name, _)| rest.starts_with(name.as_bytes()));
            rest = match name {
                Some((name, value)) => {
                    filled.extend_from_slice(value.as_bytes());
                    &rest[name.len()..]
                }
                None => {
                    filled.push(*byte);
                    after
                }
            };
        }
        filled
    }
}
