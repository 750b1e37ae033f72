//! A device's stack, a server's stack with names, and the wire between them.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use embassy_net::tcp::TcpSocket;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{
    Config, ConfigV6, Ipv4Cidr, Ipv6Cidr, Runner, Stack, StackResources, StaticConfigV4, StaticConfigV6,
};
use mender::adapters::embassy_net::{ConnectError, Connection, EmbassyNet, TcpMemory};
use mender::net::{Connector, Endpoint, Peer, Security};

use crate::time::{Clock, Task};
use crate::wire::{End, Wire};

pub const SERVER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
/// In the network, and nobody has it.
pub const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 99);
const DEVICE_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const DEVICE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// What the server's DNS answers, and what it was asked: name and type of the record.
#[derive(Default)]
pub struct Names {
    pub known: Vec<(&'static str, Vec<IpAddr>)>,
    pub asked: RefCell<Vec<(String, u16)>>,
}

/// What a test has. Its memory is leaked: it is as a firmware's statics.
pub struct Site {
    pub wire: Wire,
    pub device: Stack<'static>,
    pub network: EmbassyNet<'static>,
    pub server: Stack<'static>,
    pub names: Rc<Names>,
}

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

impl Site {
    pub async fn connect(&self, host: &str, port: u16) -> Result<Connection<'_, 'static>, ConnectError> {
        self.network
            .connect(Endpoint {
                host,
                port,
                security: Security::Plain,
                peer: Peer::Server,
                unix_time: None,
            })
            .await
    }

    /// A socket of the server.
    pub fn socket(&self) -> TcpSocket<'static> {
        TcpSocket::new(self.server, leak([0; 4096]), leak([0; 4096]))
    }

    /// A socket of the server, connected to the device.
    pub async fn accept(&self, port: u16) -> TcpSocket<'static> {
        let mut socket = self.socket();
        socket.accept(port).await.unwrap();
        socket
    }
}

/// Runs a test on a new site, for so many seconds of virtual time at most.
#[track_caller]
pub fn on_site<T>(known: &[(&'static str, &[IpAddr])], seconds: u64, test: impl AsyncFnOnce(&Site) -> T) -> T {
    let clock = Clock::new();
    let wire = Wire::default();
    let (device_end, server_end) = wire.ends();
    let (device, device_runner) = stack(device_end, DEVICE_V4, DEVICE_V6, 1);
    let (server, server_runner) = stack(server_end, SERVER_V4, SERVER_V6, 2);
    let names = Rc::new(Names {
        known: known
            .iter()
            .map(|(name, addresses)| (*name, addresses.to_vec()))
            .collect(),
        asked: RefCell::default(),
    });
    let site = Site {
        wire,
        device,
        network: EmbassyNet::new(device, leak(TcpMemory::<2048, 1024>::new())),
        server,
        names: Rc::clone(&names),
    };
    let tasks: Vec<Task> = vec![
        // First: it is there when the first question comes.
        Box::pin(answer(server, names)),
        Box::pin(run(device_runner)),
        Box::pin(run(server_runner)),
    ];
    clock.run(seconds, test(&site), tasks)
}

async fn run(mut runner: Runner<'static, End>) {
    runner.run().await;
}

fn stack(end: End, v4: Ipv4Addr, v6: Ipv6Addr, seed: u64) -> (Stack<'static>, Runner<'static, End>) {
    let mut config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(v4, 24),
        gateway: None,
        dns_servers: [SERVER_V4].into_iter().collect(),
    });
    config.ipv6 = ConfigV6::Static(StaticConfigV6 {
        address: Ipv6Cidr::new(v6, 64),
        gateway: None,
        dns_servers: Default::default(),
    });
    embassy_net::new(end, config, leak(StackResources::<8>::new()), seed)
}

/// A name server (RFC 1035): answers with all addresses of the kind that is asked for.
async fn answer(server: Stack<'static>, names: Rc<Names>) {
    const A: u16 = 1;
    const AAAA: u16 = 28;
    let mut socket = UdpSocket::new(
        server,
        leak([PacketMetadata::EMPTY; 4]),
        leak([0; 1024]),
        leak([PacketMetadata::EMPTY; 4]),
        leak([0; 1024]),
    );
    socket.bind(53).unwrap();
    let mut question = [0; 512];
    loop {
        let (len, from) = socket.recv_from(&mut question).await.unwrap();
        let question = &question[..len];
        let (name, end) = read_name(&question[12..]);
        let end = 12 + end;
        let kind = u16::from_be_bytes([question[end], question[end + 1]]);
        names.asked.borrow_mut().push((name.clone(), kind));
        let addresses = names.known.iter().find(|(known, _)| *known == name);
        let mut records = Vec::new();
        let mut count = 0_u16;
        for address in addresses.iter().flat_map(|(_, addresses)| addresses) {
            let bytes = match (address, kind) {
                (IpAddr::V4(address), A) => address.octets().to_vec(),
                (IpAddr::V6(address), AAAA) => address.octets().to_vec(),
                (IpAddr::V4(_) | IpAddr::V6(_), _) => continue,
            };
            count += 1;
            // The name of the question, the class IN, a minute, the address.
            records.extend([0xc0, 12]);
            records.extend(kind.to_be_bytes());
            records.extend([0, 1, 0, 0, 0, 60, 0, bytes.len() as u8]);
            records.extend(bytes);
        }
        let status = if addresses.is_some() { 0 } else { 3 };
        let mut answer = question[..2].to_vec();
        answer.extend([0x81, 0x80 | status, 0, 1]);
        answer.extend(count.to_be_bytes());
        answer.extend([0, 0, 0, 0]);
        answer.extend(&question[12..end + 4]);
        answer.extend(records);
        socket.send_to(&answer, from.endpoint).await.unwrap();
    }
}

/// The name at the start of these bytes, and where it ends.
fn read_name(bytes: &[u8]) -> (String, usize) {
    let mut labels = Vec::new();
    let mut at = 0;
    loop {
        let len = usize::from(bytes[at]);
        at += 1;
        if len == 0 {
            return (labels.join("."), at);
        }
        labels.push(String::from_utf8(bytes[at..at + len].to_vec()).unwrap());
        at += len;
    }
}
