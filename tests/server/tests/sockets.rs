//! The server over real sockets: what the driver adds to the in-process rules.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mender_test_server::{Options, RunningServer, spawn};
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{Effect, Ending, Endpoint, Fault, Server, Settings};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};

const POLL: &str = "/api/devices/v1/deployments/device/deployments/next?artifact_name=release-1&device_type=board-a";

fn start() -> RunningServer {
    let server = Server::new(Settings {
        auto_accept: true,
        ..Settings::default()
    });
    spawn(Arc::new(Mutex::new(server)), Options::default()).unwrap()
}

/// A client that is as simple as can be: one connection, blocking, never waiting for longer than some seconds.
struct Client {
    stream: TcpStream,
    host: String,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self {
            stream,
            host: address.to_string(),
        }
    }

    fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        self.stream.write_all(request.as_bytes()).unwrap();
        self.stream.write_all(body).unwrap();
    }

    fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    /// Reads an answer whose body has a `Content-Length`.
    fn read_answer(&mut self) -> Answer {
        let head = self.read_head();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let len = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |len| len.parse().unwrap());
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body).unwrap();
        Answer { status, head, body }
    }

    fn request(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(method, target, headers, body);
        self.read_answer()
    }

    fn read_to_end(&mut self) -> Result<Vec<u8>, ErrorKind> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).map_err(|error| error.kind())?;
        Ok(bytes)
    }

    fn login(&mut self) -> String {
        let key = SigningKey::from_slice(&[1; 32]).unwrap();
        let pem = key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
        let body = json!({"id_data": "{\"mac\":\"aa\"}", "pubkey": pem}).to_string();
        let signature: DerSignature = key.sign(body.as_bytes());
        let signature = STANDARD.encode(signature.as_bytes());
        let headers = [
            ("Content-Type", "application/json"),
            ("X-MEN-Signature", signature.as_str()),
        ];
        let path = "/api/devices/v1/authentication/auth_requests";
        let answer = self.request("POST", path, &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.head);
        format!("Bearer {}", String::from_utf8(answer.body).unwrap())
    }
}

/// A running server with a deployment for the device that logs in: server, connection, `Authorization`, artifact.
fn with_deployment(len: usize) -> (RunningServer, Client, String, Vec<u8>) {
    let running = start();
    let mut client = Client::connect(running.api_address());
    let login = client.login();
    let artifact = ArtifactWriter::new("release-2", "board-a")
        .file("fw.bin", &vec![9; len])
        .write();
    {
        let mut server = running.server();
        let now = mender_testkit::server::Time::now();
        server.add_artifact(artifact.clone(), now).unwrap();
        let device = server.find_device("mac", "aa").unwrap().id().clone();
        server.deploy("release-2", &[device], now).unwrap();
    }
    (running, client, login, artifact)
}

fn link(client: &mut Client, login: &str) -> String {
    let answer = client.request("GET", POLL, &[("Authorization", login)], b"");
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    body["artifact"]["source"]["uri"].as_str().unwrap().to_owned()
}

#[test]
fn a_device_logs_in_polls_and_downloads_over_two_connections() {
    let (running, mut client, login, artifact) = with_deployment(300_000);
    let link = link(&mut client, &login);
    let target = link
        .strip_prefix(&format!("http://{}", running.storage_address()))
        .expect("the other address");
    let mut storage = Client::connect(running.storage_address());
    let whole = storage.request("GET", target, &[], b"");
    assert_eq!((whole.status, &whole.body), (200, &artifact));
    let part = storage.request("GET", target, &[("Range", "bytes=1000-")], b"");
    assert_eq!((part.status, &part.body[..]), (206, &artifact[1000..]));
    assert_eq!(running.connection_count(Endpoint::Api), 1, "kept alive");
    assert_eq!(running.connection_count(Endpoint::Storage), 1);
    assert!(running.server().violations().is_empty());
    running.stop();
}

#[test]
fn the_wrong_address_is_found_out() {
    let (running, mut client, login, _) = with_deployment(100);
    let link = link(&mut client, &login);
    let target = link
        .strip_prefix(&format!("http://{}", running.storage_address()))
        .unwrap();
    assert_eq!(
        client.request("GET", target, &[("Authorization", &login)], b"").status,
        404
    );
    let mut storage = Client::connect(running.storage_address());
    assert_eq!(
        storage.request("GET", POLL, &[("Authorization", &login)], b"").status,
        404
    );
    assert_eq!(running.server().violations().len(), 3);
}

#[test]
fn chunked_and_unlimited_bodies() {
    let (running, mut client, login, _) = with_deployment(100);
    let headers = [("Authorization", login.as_str())];
    running.server().inject(Fault::new(Effect::Chunked { chunk_len: 100 }));
    client.send("GET", POLL, &headers, b"");
    let head = client.read_head();
    assert!(
        head.contains("Transfer-Encoding: chunked") && !head.contains("Content-Length"),
        "{head}"
    );
    let mut body = Vec::new();
    while !body.ends_with(b"\r\n0\r\n\r\n") {
        let mut byte = [0];
        client.stream.read_exact(&mut byte).unwrap();
        body.push(byte[0]);
    }
    assert!(body.starts_with(b"64\r\n{\"id\":"));

    // The connection is still good; the next answer ends with it.
    running.server().inject(Fault::new(Effect::NoContentLength));
    client.send("GET", POLL, &headers, b"");
    let head = client.read_head();
    assert!(
        head.contains("Connection: close") && !head.contains("Content-Length"),
        "{head}"
    );
    let body = client.read_to_end().unwrap();
    assert!(serde_json::from_slice::<Value>(&body).is_ok());
}

#[test]
fn cut_bodies_end_as_told() {
    let (running, mut client, login, artifact) = with_deployment(5000);
    let link = link(&mut client, &login);
    let target = link
        .strip_prefix(&format!("http://{}", running.storage_address()))
        .unwrap()
        .to_owned();
    for (ending, expected) in [
        (Ending::Close, Ok(700)),
        (Ending::Reset, Err(ErrorKind::ConnectionReset)),
    ] {
        running
            .server()
            .inject(Fault::new(Effect::CutBody { len: 700, ending }).on_downloads());
        let mut storage = Client::connect(running.storage_address());
        storage.send("GET", &target, &[], b"");
        // A reset may overtake the bytes in front of it, so that only the error is certain.
        let got = storage.read_to_end();
        match expected {
            Ok(len) => {
                let bytes = got.unwrap();
                assert!(bytes.ends_with(&artifact[..len]));
                assert!(String::from_utf8_lossy(&bytes).contains(&format!("Content-Length: {}\r\n", artifact.len())));
            }
            Err(kind) => assert_eq!(got, Err(kind)),
        }
    }
}

#[test]
fn a_lost_answer_resets_the_connection() {
    let (running, mut client, login, _) = with_deployment(100);
    running.server().inject(Fault::new(Effect::LoseAnswer));
    client.send("GET", POLL, &[("Authorization", &login)], b"");
    assert_eq!(client.read_to_end(), Err(ErrorKind::ConnectionReset));
    let mut client = Client::connect(running.api_address());
    assert_eq!(
        client.request("GET", POLL, &[("Authorization", &login)], b"").status,
        200
    );
}

#[test]
fn delays_hold_up_only_the_request_they_are_for() {
    let (running, mut client, login, _) = with_deployment(100);
    let mut other = Client::connect(running.api_address());
    running
        .server()
        .inject(Fault::new(Effect::Delay(Duration::from_millis(300))));
    let begin = Instant::now();
    client.send("GET", POLL, &[("Authorization", &login)], b"");
    // The first request has reached the server when its record is there.
    while running
        .server()
        .requests()
        .iter()
        .filter(|record| record.target == POLL)
        .count()
        == 0
    {
        std::thread::yield_now();
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(
        other.request("GET", POLL, &[("Authorization", &login)], b"").status,
        200
    );
    assert_eq!(client.read_answer().status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

#[test]
fn requests_may_come_in_pieces_or_two_at_once() {
    let (_running, mut client, login, _) = with_deployment(100);
    let request = format!("GET {POLL} HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\n\r\n");
    for piece in request.as_bytes().chunks(100) {
        client.stream.write_all(piece).unwrap();
        client.stream.flush().unwrap();
    }
    assert_eq!(client.read_answer().status, 200);
    client.stream.write_all(request.repeat(2).as_bytes()).unwrap();
    assert_eq!((client.read_answer().status, client.read_answer().status), (200, 200));
}

#[test]
fn large_uploads_work_with_length_chunks_and_expect() {
    let running = start();
    running.server().settings_mut().management_token = Some("fixed".to_owned());
    let upload = |name: &str| {
        let artifact = ArtifactWriter::new(name, "board-a")
            .file("fw.bin", &vec![5; 3_000_000])
            .write();
        let head = b"--b\r\nContent-Disposition: form-data; name=\"artifact\"\r\n\r\n";
        [&head[..], &artifact, b"\r\n--b--\r\n"].concat()
    };
    let path = "/api/management/v1/deployments/artifacts";
    let headers = [
        ("Authorization", "Bearer fixed"),
        ("Content-Type", "multipart/form-data; boundary=b"),
    ];
    let mut client = Client::connect(running.api_address());
    assert_eq!(client.request("POST", path, &headers, &upload("by-length")).status, 201);

    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer fixed\r\nExpect: 100-continue\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    client.stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
    for chunk in upload("by-chunks").chunks(100_000) {
        client
            .stream
            .write_all(format!("{:x}\r\n", chunk.len()).as_bytes())
            .unwrap();
        client.stream.write_all(chunk).unwrap();
        client.stream.write_all(b"\r\n").unwrap();
    }
    client.stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(client.read_answer().status, 201);
    let names: Vec<_> = running
        .server()
        .artifacts()
        .map(|artifact| artifact.info().name.clone())
        .collect();
    assert_eq!(names, ["by-length", "by-chunks"]);
}

#[test]
fn bytes_that_are_no_request_get_400_and_are_noted() {
    let running = start();
    let mut client = Client::connect(running.api_address());
    client.stream.write_all(b"\x16\x03\x01 this is TLS\r\n\r\n").unwrap();
    assert_eq!(client.read_answer().status, 400);
    assert_eq!(client.read_to_end(), Ok(Vec::new()));
    assert_eq!(running.server().violations().len(), 1);
}

#[test]
fn a_stopped_server_is_gone() {
    let running = start();
    let address = running.api_address();
    let mut client = Client::connect(address);
    client.login();
    running.stop();
    // Closed or reset, depending on what was in flight; in any case at its end.
    assert!(matches!(client.read_to_end(), Ok(_) | Err(ErrorKind::ConnectionReset)));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn an_address_in_use_is_an_error() {
    let running = start();
    let options = Options {
        api: running.api_address(),
        ..Options::default()
    };
    let error = spawn(Arc::new(Mutex::new(Server::new(Settings::default()))), options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn the_public_host_stands_in_links() {
    let server = Arc::new(Mutex::new(Server::new(Settings::default())));
    let options = Options {
        public_host: Some("box.local".to_owned()),
        ..Options::default()
    };
    let running = spawn(server, options).unwrap();
    let expected = format!("http://box.local:{}", running.storage_address().port());
    assert_eq!(running.server().settings().storage_url, expected);
}
