//! Two ends of a wire, as drivers for embassy-net. What passes is noted, and can be lost.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Waker};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};

const MTU: usize = 1500;

/// A TCP segment that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// By the device, not by the server.
    pub by_device: bool,
    pub source_port: u16,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    /// Bytes of data.
    pub len: usize,
}

#[derive(Default)]
struct Shared {
    to: [VecDeque<Vec<u8>>; 2],
    wakers: [Option<Waker>; 2],
    segments: Vec<Segment>,
    is_cut: bool,
    lost: Vec<IpAddr>,
}

/// The wire.
#[derive(Clone, Default)]
pub struct Wire {
    shared: Rc<RefCell<Shared>>,
}

/// One end of it: 0 is the device, 1 the server.
pub struct End {
    side: usize,
    shared: Rc<RefCell<Shared>>,
}

impl Wire {
    pub fn ends(&self) -> (End, End) {
        let end = |side| End {
            side,
            shared: Rc::clone(&self.shared),
        };
        (end(0), end(1))
    }

    /// From now on everything is lost; or no longer.
    pub fn cut(&self, is_cut: bool) {
        self.shared.borrow_mut().is_cut = is_cut;
    }

    /// From now on everything that goes to this address is lost.
    pub fn lose(&self, address: IpAddr) {
        self.shared.borrow_mut().lost.push(address);
    }

    /// All segments so far, lost ones too.
    pub fn segments(&self) -> Vec<Segment> {
        self.shared.borrow().segments.clone()
    }

    /// How many segments of the device are so.
    pub fn count(&self, is: impl Fn(&Segment) -> bool) -> usize {
        let shared = self.shared.borrow();
        shared
            .segments
            .iter()
            .filter(|segment| segment.by_device && is(segment))
            .count()
    }
}

/// Where a packet goes, and its TCP segment if it has one: IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293).
fn look(packet: &[u8], by_device: bool) -> (IpAddr, Option<Segment>) {
    let (to, protocol, body): (IpAddr, u8, &[u8]) = if packet[0] >> 4 == 4 {
        let head_len = usize::from(packet[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        let to: [u8; 4] = packet[16..20].try_into().unwrap();
        (to.into(), packet[9], &packet[head_len..total])
    } else {
        let to: [u8; 16] = packet[24..40].try_into().unwrap();
        (to.into(), packet[6], &packet[40..])
    };
    let segment = (protocol == 6).then(|| Segment {
        by_device,
        source_port: u16::from_be_bytes([body[0], body[1]]),
        fin: body[13] & 1 != 0,
        syn: body[13] & 2 != 0,
        rst: body[13] & 4 != 0,
        len: body.len() - usize::from(body[12] >> 4) * 4,
    });
    (to, segment)
}

impl Driver for End {
    type RxToken<'a> = Packet;
    type TxToken<'a> = Room;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Packet, Room)> {
        let packet = {
            let mut shared = self.shared.borrow_mut();
            shared.wakers[self.side] = Some(cx.waker().clone());
            shared.to[self.side].pop_front()?
        };
        Some((Packet(packet), self.room()))
    }

    fn transmit(&mut self, _cx: &mut Context<'_>) -> Option<Room> {
        Some(self.room())
    }

    fn link_state(&mut self, _cx: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ip
    }
}

impl End {
    fn room(&self) -> Room {
        Room {
            side: self.side,
            shared: Rc::clone(&self.shared),
        }
    }
}

pub struct Packet(Vec<u8>);

impl RxToken for Packet {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, f: F) -> R {
        f(&mut self.0)
    }
}

pub struct Room {
    side: usize,
    shared: Rc<RefCell<Shared>>,
}

impl TxToken for Room {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        let shared = &mut *self.shared.borrow_mut();
        let (to, segment) = look(&packet, self.side == 0);
        shared.segments.extend(segment);
        if !shared.is_cut && !shared.lost.contains(&to) {
            let other = 1 - self.side;
            shared.to[other].push_back(packet);
            if let Some(waker) = shared.wakers[other].take() {
                waker.wake();
            }
        }
        result
    }
}
