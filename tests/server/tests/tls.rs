//! TLS as the server offers it: its files, and who cannot speak it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use mender_test_server::{Identity, Options, TlsFilesError, spawn};
use mender_testkit::server::{Server, Settings};
use rcgen::{CertifiedKey, generate_simple_self_signed};

const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate with its key in PEM files.
fn files(name: &str) -> (PathBuf, PathBuf) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let path = |end: &str| Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{end}"));
    let files = (path("crt"), path("key"));
    std::fs::write(&files.0, cert.pem()).unwrap();
    std::fs::write(&files.1, signing_key.serialize_pem()).unwrap();
    files
}

#[test]
fn who_speaks_no_tls_is_turned_away_and_the_observer_hears_of_it() {
    let (certificate, key) = files("no-tls");
    let (say, heard) = mpsc::channel();
    let options = Options {
        tls: Some(Identity::read(&certificate, &key).unwrap()),
        handshake_observer: Some(Box::new(move |peer, error| {
            say.send((peer, error.to_string())).unwrap()
        })),
        ..Options::default()
    };
    let running = spawn(Arc::new(Mutex::new(Server::new(Settings::default()))), options).unwrap();
    assert!(running.server().settings().api_url.starts_with("https://127.0.0.1:"));
    assert!(
        running
            .server()
            .settings()
            .storage_url
            .starts_with("https://127.0.0.1:")
    );
    let mut stream = TcpStream::connect(running.api_address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // It may be an alert and then an end or a reset, but no answer of HTTP.
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"));
    let (peer, error) = heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!(peer, stream.local_addr().unwrap());
    assert!(!error.is_empty());
    assert_eq!(running.server().requests().len(), 0);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let (certificate, key) = files("named");
    let (_, other_key) = files("named-other");
    let none = Path::new(env!("CARGO_TARGET_TMPDIR")).join("none.pem");
    for (certificate, key, expected) in [
        (&none, &key, "none.pem: "),
        (&certificate, &none, "none.pem: "),
        (&key, &key, "named.key: there is no certificate in it"),
        (&certificate, &certificate, "named.crt: "),
        (&certificate, &other_key, "certificate and key: "),
    ] {
        let error = Identity::read(certificate, key).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(matches!(
        Identity::read(&key, &key),
        Err(TlsFilesError::NoCertificate(_))
    ));
}

/// What the program says, which ends at once.
fn run(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mender-test-server"))
        .args(["--listen", "127.0.0.1:0", "--artifact-listen", "127.0.0.1:0"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_command_wants_both_files() {
    let (certificate, key) = files("command");
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    assert!(run(&["--tls-cert", certificate]).contains("--tls-key"));
    assert!(run(&["--tls-key", key]).contains("--tls-cert"));
    let error = run(&["--tls-cert", key, "--tls-key", key]);
    assert!(error.contains("command.key: there is no certificate in it"), "{error}");
}
