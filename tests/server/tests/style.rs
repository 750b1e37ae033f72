//! The program's command line as all tools have it.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use tool_style::check::Tool;

const TOOL: Tool = Tool {
    name: "mender-test-server",
    program: env!("CARGO_BIN_EXE_mender-test-server"),
};
const FREE: [&str; 4] = ["--listen", "127.0.0.1:0", "--artifact-listen", "127.0.0.1:0"];

#[test]
fn the_command_line_is_that_of_all_tools() {
    TOOL.has_the_style();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let at = |name: &str| format!("{folder}/{name}");
    fs::create_dir(at("artifacts")).unwrap();
    fs::write(at("artifacts/bad.mender"), "\x1b[2Jno artifact").unwrap();
    let (missing, text) = (at("missing"), at("artifacts/bad.mender"));
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let (pem, other_key) = (at("server.pem"), at("other.key"));
    fs::write(&pem, certificate.pem()).unwrap();
    fs::write(&other_key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    for (arguments, parts) in [
        (
            ["--artifacts", &missing, "--mode", "oss"],
            [&*missing, ": cannot be read: "],
        ),
        (["--artifacts", &text, "--mode", "oss"], [&*text, ": cannot be read: "]),
        (
            ["--artifacts", &at("artifacts"), "--mode", "oss"],
            [&*text, "mend it, or take it out"],
        ),
        (
            ["--tls-cert", &missing, "--tls-key", &other_key],
            [&*missing, ": cannot be read: "],
        ),
        (
            ["--tls-cert", &pem, "--tls-key", &missing],
            [&*missing, ": cannot be read: "],
        ),
        (
            ["--tls-cert", &pem, "--tls-key", &pem],
            [&*pem, ": there is no key in PEM in it"],
        ),
        (
            ["--tls-cert", &pem, "--tls-key", &other_key],
            [&*other_key, ": do not belong together"],
        ),
    ] {
        TOOL.fails(1, &[&FREE[..], &arguments].concat(), &parts);
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    TOOL.fails(1, &["--listen", &address], &[&address, "choose others with --listen"]);
    TOOL.fails(2, &["--listen", "nowhere"], &["nowhere"]);
}

/// Without room for one more connection it ends, and says so; by status 1, not 0.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_cannot_go_on_says_so() {
    use std::io::{BufRead as _, BufReader};
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\"", TOOL.program])
        .args(FREE)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let api = lines
        .find_map(|line| Some(line.unwrap().split_once("http://")?.1.split(' ').next()?.to_owned()))
        .unwrap();
    let mut connections = Vec::new();
    for _ in 0..80 {
        // Those that it does not accept any more are the system's.
        if let Ok(mut connection) = std::net::TcpStream::connect(&api) {
            let _ = connection.write_all(b"GET");
            connections.push(connection);
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let last = lines.last().unwrap().unwrap();
    assert!(
        last.starts_with("mender-test-server: cannot accept connections any more: "),
        "{last}"
    );
}
