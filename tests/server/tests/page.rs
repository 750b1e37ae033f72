//! The page at `/`, in a real browser: Chromium by WebDriver. Skipped where there is no chromedriver, but not in CI.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mender_test_server::{Options, RunningServer, spawn};
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{Request, Response, Server, Settings, Time};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);
const AUTH: &str = "/api/devices/v1/authentication/auth_requests";
const DEPLOYMENTS: &str = "/api/devices/v1/deployments/device/deployments";

struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    fn start() -> Option<Browser> {
        let started = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut driver) = started else {
            assert!(std::env::var_os("CI").is_none(), "chromedriver is missing");
            eprintln!("skipped: no chromedriver");
            return None;
        };
        let stdout = BufReader::new(driver.stdout.take().unwrap());
        // "ChromeDriver was started successfully on port 41231."
        let port = stdout
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_suffix('.')?.rsplit_once("on port ")?.1.parse().ok())
            .expect("chromedriver says its port");
        let mut browser = Browser {
            driver,
            port,
            session: String::new(),
        };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let made = browser.request("POST", "/session", &capabilities);
        browser.session = format!("/session/{}", made["sessionId"].as_str().unwrap());
        Some(browser)
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        // It leaves the connection open.
        let mut answer = BufReader::new(stream);
        let mut len = 0;
        for line in answer
            .by_ref()
            .lines()
            .map(Result::unwrap)
            .take_while(|line| !line.is_empty())
        {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; len];
        answer.read_exact(&mut body).unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        answer["value"].clone()
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        let answer = self.request("POST", &format!("{}{path}", self.session), body);
        assert!(answer.get("error").is_none(), "{path}: {answer}");
        answer
    }

    fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({"script": script, "args": []}))
    }

    fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().unwrap().to_owned()
    }

    /// Until the page shows this.
    fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !self.text().contains(text) {
            assert!(start.elapsed() < PATIENCE, "no {text:?} in:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn find(&self, xpath: &str) -> String {
        let found = self.command("/element", &json!({"using": "xpath", "value": xpath}));
        let id = found.as_object().unwrap().values().next().unwrap();
        id.as_str().unwrap().to_owned()
    }

    fn click(&self, button: &str) {
        loop {
            let id = self.find(&format!("//button[text()='{button}']"));
            let click = format!("{}/element/{id}/click", self.session);
            let answer = self.request("POST", &click, &json!({}));
            match answer["error"].as_str() {
                None => return,
                // The page was drawn anew in between.
                Some("stale element reference") => {}
                Some(_) => panic!("{button}: {answer}"),
            }
        }
    }

    fn type_into(&self, id: &str, text: &str) {
        let element = self.find(&format!("//*[@id='{id}']"));
        self.command(&format!("/element/{element}/value"), &json!({"text": text}));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.request("DELETE", &self.session, &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A device that speaks with the server without a network.
struct Device<'s> {
    server: &'s RunningServer,
    token: String,
}

impl Device<'_> {
    fn ask(&self, request: Request) -> Response {
        self.server.server().handle(&request.bearer(&self.token), Time::now())
    }

    fn log_in(&mut self) -> u16 {
        let key = SigningKey::from_slice(&[1; 32]).unwrap();
        let pem = key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
        // What a device says of itself must stay text.
        let identity = r#"{"mac":"<img src=x onerror=document.title='bad'>"}"#;
        let body = json!({"id_data": identity, "pubkey": pem}).to_string();
        let signature: DerSignature = key.sign(body.as_bytes());
        let request = Request::new("POST", AUTH)
            .header("X-MEN-Signature", STANDARD.encode(signature.as_bytes()))
            .json(body);
        let answer = self.server.server().handle(&request, Time::now());
        self.token = String::from_utf8(answer.body.to_vec()).unwrap();
        answer.status
    }

    /// The id of its deployment.
    fn poll(&self) -> Option<String> {
        let answer = self.ask(Request::new(
            "GET",
            format!("{DEPLOYMENTS}/next?artifact_name=release-1&device_type=board"),
        ));
        answer.body_json()["id"].as_str().map(str::to_owned)
    }

    fn report(&self, deployment: &str, status: &str) -> u16 {
        let path = format!("{DEPLOYMENTS}/{deployment}/status");
        self.ask(Request::new("PUT", path).json(json!({"status": status}).to_string()))
            .status
    }
}

#[test]
fn a_device_is_accepted_updated_and_aborted_by_clicks() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::new(Settings::default());
    let server = spawn(Arc::new(Mutex::new(server)), Options::default()).unwrap();
    let mut device = Device {
        server: &server,
        token: String::new(),
    };
    browser.command("/url", &json!({"url": server.server().settings().api_url}));
    browser.wait_for("No device has asked yet");

    // It comes in without a click, and what it says stays text.
    assert_eq!(device.log_in(), 401);
    browser.wait_for("mac=<img src=x");
    browser.wait_for("pending");
    browser.click("Accept");
    browser.wait_for("accepted");
    assert_eq!(device.log_in(), 200);

    let file = std::env::temp_dir().join(format!("mender-test-server-page-{}.mender", std::process::id()));
    let artifact = ArtifactWriter::new("release-2", "board")
        .file("fw.bin", b"new firmware")
        .write();
    std::fs::write(&file, artifact).unwrap();
    browser.type_into("upload", file.to_str().unwrap());
    browser.wait_for("release-2");
    std::fs::remove_file(&file).unwrap();
    browser.click("Deploy");
    browser.wait_for("Abort");

    let deployment = device.poll().expect("it was deployed");
    assert_eq!(device.report(&deployment, "installing"), 204);
    browser.wait_for("installing");
    let message =
        json!({"timestamp": "2026-01-01T00:00:00Z", "level": "error", "message": "the image is <b>damaged</b>"});
    let path = format!("{DEPLOYMENTS}/{deployment}/log");
    let log = device.ask(Request::new("PUT", path).json(json!({"messages": [message]}).to_string()));
    assert_eq!(log.status, 204);
    assert_eq!(device.report(&deployment, "failure"), 204);
    browser.wait_for("failure");
    browser.click("Log");
    browser.wait_for("the image is <b>damaged</b>");
    browser.click("Hide log");

    browser.click("Deploy");
    browser.wait_for("Abort");
    let deployment = device.poll().expect("it was deployed again");
    browser.click("Abort");
    browser.wait_for("aborted");
    assert_eq!(device.report(&deployment, "installing"), 409);

    browser.click("Delete");
    browser.wait_for("Upload one");
    browser.click("Remove");
    browser.wait_for("No device has asked yet");
    assert_eq!(browser.run("return document.title"), "mender-test-server");
    assert_eq!(browser.run("return document.getElementById('trouble').textContent"), "");
    assert!(
        server.server().violations().is_empty(),
        "{:?}",
        server.server().violations()
    );
}

#[test]
fn another_password_must_be_given() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::new(Settings {
        user: "somebody".to_owned(),
        password: "hidden: ä".to_owned(),
        ..Settings::default()
    });
    let server = spawn(Arc::new(Mutex::new(server)), Options::default()).unwrap();
    browser.command("/url", &json!({"url": server.server().settings().api_url}));
    browser.wait_for("Log in");
    browser.type_into("user", "somebody");
    browser.type_into("password", "wrong");
    browser.click("Log in");
    browser.wait_for("Wrong user or password");
    browser.run("document.getElementById('password').value = ''");
    browser.type_into("password", "hidden: ä");
    browser.click("Log in");
    browser.wait_for("No device has asked yet");
}
