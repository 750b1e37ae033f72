//! Connections of a stack with the traits of embedded-nal-async: what it is asked, and what becomes of its answers.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use mender::adapters::nal::{ConnectError, Nal};
use mender::net::{Connector, Endpoint, Peer, Security, Url};
use pollster::block_on;

/// A modem that notes what it is asked for, and knows one name.
#[derive(Default)]
struct Modem {
    asked: RefCell<Vec<String>>,
}

impl Modem {
    fn note(&self, what: String) {
        self.asked.borrow_mut().push(what);
    }

    fn asked(&self) -> Vec<String> {
        self.asked.take()
    }
}

/// The connection says what is written to it.
struct Echo<'m> {
    modem: &'m Modem,
    bytes: Vec<u8>,
}

impl Drop for Echo<'_> {
    fn drop(&mut self) {
        self.modem.note("close".to_owned());
    }
}

impl ErrorType for Echo<'_> {
    type Error = ErrorKind;
}

impl Read for Echo<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let len = buffer.len().min(self.bytes.len());
        buffer[..len].copy_from_slice(&self.bytes[..len]);
        self.bytes.drain(..len);
        Ok(len)
    }
}

impl Write for Echo<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl TcpConnect for Modem {
    type Error = ErrorKind;
    type Connection<'a> = Echo<'a>;

    async fn connect<'a>(&'a self, remote: SocketAddr) -> Result<Echo<'a>, ErrorKind> {
        self.note(format!("connect {remote}"));
        if remote.port() == 1 {
            return Err(ErrorKind::ConnectionRefused);
        }
        Ok(Echo {
            modem: self,
            bytes: Vec::new(),
        })
    }
}

impl Dns for Modem {
    type Error = &'static str;

    async fn get_host_by_name(&self, host: &str, kind: AddrType) -> Result<IpAddr, &'static str> {
        self.note(format!("{kind:?} of {host}"));
        match (host, kind) {
            ("mender.test", AddrType::IPv4) => Ok([192, 0, 2, 1].into()),
            ("mender.test", AddrType::IPv6 | AddrType::Either) => Ok(Ipv6Addr::LOCALHOST.into()),
            _ => Err("CME ERROR 33"),
        }
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, &'static str> {
        Err("not asked for")
    }
}

fn endpoint(url: &str) -> Endpoint<'_> {
    Url::parse(url).unwrap().endpoint(Peer::Server)
}

#[test]
fn a_name_is_resolved_and_connected_to() {
    let modem = Modem::default();
    let network = Nal::new(&modem, &modem);
    let mut connection = block_on(network.connect(endpoint("http://mender.test"))).unwrap();
    assert_eq!(modem.asked(), ["IPv4 of mender.test", "connect 192.0.2.1:80"]);
    block_on(connection.write_all(b"hello")).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(block_on(connection.read(&mut buffer)), Ok(5));
    drop(connection);
    assert_eq!(modem.asked(), ["close"]);
}

#[test]
fn an_address_is_not_asked_for() {
    let modem = Modem::default();
    let network = Nal::new(&modem, &modem);
    for (url, expected) in [
        ("http://192.0.2.7:8080", "connect 192.0.2.7:8080"),
        ("http://[::1]:8080", "connect [::1]:8080"),
    ] {
        drop(block_on(network.connect(endpoint(url))).unwrap());
        assert_eq!(modem.asked(), [expected, "close"]);
    }
}

#[test]
fn the_kind_of_address_is_the_users_choice() {
    let modem = Modem::default();
    let network = Nal::new(&modem, &modem).with_addresses(AddrType::Either);
    drop(block_on(network.connect(endpoint("http://mender.test:8080"))).unwrap());
    assert_eq!(modem.asked(), ["Either of mender.test", "connect [::1]:8080", "close"]);
}

#[test]
fn what_the_stack_says_is_passed_on() {
    let modem = Modem::default();
    let network = Nal::new(&modem, &modem);
    let error = |url| block_on(network.connect(endpoint(url))).err().unwrap();
    let unknown = error("http://nowhere.test");
    assert_eq!(unknown, ConnectError::Name("CME ERROR 33"));
    assert_eq!(unknown.to_string(), "the name cannot be resolved: \"CME ERROR 33\"");
    assert_eq!(
        error("http://mender.test:1"),
        ConnectError::Tcp(ErrorKind::ConnectionRefused)
    );
    modem.asked();
    // Nothing is sent in the clear that was to be encrypted.
    let encrypted = endpoint("https://mender.test");
    assert_eq!(encrypted.security, Security::Tls);
    assert_eq!(error("https://mender.test"), ConnectError::Tls);
    assert_eq!(modem.asked(), <[String; 0]>::default());
}
