//! TLS servers that others wrote, as programs on this machine. They send back what they get.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::certificate::{Identity, pem};

/// A program that is running.
#[derive(Debug)]
pub struct Program {
    child: Child,
    folders: Vec<PathBuf>,
    /// Where it listens.
    pub port: u16,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for folder in &self.folders {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Whether a program is there: without it a test is skipped, but not in CI.
///
/// # Panics
///
/// In CI, if it is not there.
pub fn is_there(program: &str) -> bool {
    let there = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    let required = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(there || !required, "there is no {program}, but this is a CI run");
    if !there {
        println!("skipped: there is no {program}");
    }
    there
}

/// Files with a chain and its key.
fn files(identity: &Identity) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("mender-tls-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for files");
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).expect("room for a file");
    write("chain.pem", identity.chain_pem());
    let others = identity.chain.iter().skip(1);
    write(
        "others.pem",
        others.map(|certificate| pem("CERTIFICATE", certificate)).collect(),
    );
    write("key.pem", identity.key_pem());
    folder
}

/// Starts a program, and waits for the line with its port.
fn start(folder: &Path, command: &mut Command) -> Program {
    let mut child = command
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program is there");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    let port = loop {
        line.clear();
        let len = output.read_line(&mut line).expect("text");
        assert_ne!(len, 0, "the server did not start: {command:?}");
        if let Some(port) = line.trim_end().strip_prefix("ACCEPT 127.0.0.1:") {
            break port.parse().expect("a number");
        }
    };
    // It must not stop because nobody reads what it says.
    std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
    Program {
        child,
        folders: vec![folder.to_owned()],
        port,
    }
}

/// `openssl s_server`, which sends each line back the other way round.
///
/// # Panics
///
/// If it does not start.
pub fn openssl(identity: &Identity, arguments: &[&str]) -> Program {
    let folder = files(identity);
    let mut command = Command::new("openssl");
    command.args([
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-cert",
        "chain.pem",
        "-key",
        "key.pem",
    ]);
    if identity.chain.len() > 1 {
        command.args(["-cert_chain", "others.pem"]);
    }
    command.args(arguments);
    start(&folder, &mut command)
}

/// Python's `ssl`: `settings` are lines that change the context `c`.
///
/// # Panics
///
/// If it does not start.
pub fn python(identity: &Identity, settings: &str) -> Program {
    let folder = files(identity);
    let text = format!(
        "
import socket, ssl
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain('chain.pem', 'key.pem')
{settings}
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen()
print('ACCEPT 127.0.0.1:%d' % s.getsockname()[1], flush=True)
while True:
    plain, _ = s.accept()
    try:
        t = c.wrap_socket(plain, server_side=True)
        t.sendall(t.recv(1000))
        t.unwrap()
    except OSError:
        pass
    plain.close()
"
    );
    start(&folder, Command::new("python3").args(["-c", &text]))
}

/// The same with another chain at each connection, in the order of these.
///
/// # Panics
///
/// If it does not start.
pub fn python_in_turn(identities: &[&Identity]) -> Program {
    let Some((first, others)) = identities.split_first() else {
        panic!("there is no chain");
    };
    let folder = files(first);
    let mut names = String::from("'.'");
    let mut more = Vec::new();
    for identity in others {
        let other = files(identity);
        names += &format!(", '{}'", other.display());
        more.push(other);
    }
    let text = format!(
        "
import socket, ssl
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen()
print('ACCEPT 127.0.0.1:%d' % s.getsockname()[1], flush=True)
for folder in [{names}]:
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(folder + '/chain.pem', folder + '/key.pem')
    plain, _ = s.accept()
    try:
        t = c.wrap_socket(plain, server_side=True)
        t.sendall(t.recv(1000))
        t.unwrap()
    except OSError:
        pass
    plain.close()
"
    );
    let mut program = start(&folder, Command::new("python3").args(["-c", &text]));
    program.folders.extend(more);
    program
}
