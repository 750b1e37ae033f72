//! The network: a LAN9118, looked at each millisecond. Depends on `raw`.
//!
//! Registers and FIFOs as in SMSC's data sheet of the LAN9118. Frames are copied by the processor; there is no DMA. SysTick looks whether one has
//! come, so that no interrupt of the chip is needed.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

use crate::raw::ETHERNET;

const RX_DATA: u32 = 0x00;
const TX_DATA: u32 = 0x20;
const RX_STATUS: u32 = 0x40;
const BYTE_TEST: u32 = 0x64;
const TX_CFG: u32 = 0x70;
const HW_CFG: u32 = 0x74;
const RX_FIFO_INF: u32 = 0x7c;
const TX_FIFO_INF: u32 = 0x80;
const MAC_CSR_CMD: u32 = 0xa4;
const MAC_CSR_DATA: u32 = 0xa8;
const AFC_CFG: u32 = 0xac;

/// What [`BYTE_TEST`] reads.
const PATTERN: u32 = 0x8765_4321;
const SOFT_RESET: u32 = 1 << 0;
/// 5 KiB for sending, and a bit that has to be 1.
const TX_SIZE: u32 = 5 << 16 | 1 << 20;
/// Flow control, as the data sheet proposes.
const FLOW: u32 = 0x006e_3740;
const TX_ON: u32 = 1 << 1;
/// Nobody reads the status of what was sent.
const TX_STATUS_OVERRUN: u32 = 1 << 2;
const CSR_BUSY: u32 = 1 << 31;
const RX_ERROR: u32 = 1 << 15;
const FIRST_AND_LAST: u32 = 1 << 13 | 1 << 12;

const MAC_CR: u32 = 1;
const MAC_ADDRH: u32 = 2;
const MAC_ADDRL: u32 = 3;
const FULL_DUPLEX: u32 = 1 << 20;
const TX_ENABLE: u32 = 1 << 3;
const RX_ENABLE: u32 = 1 << 2;

/// Header and payload of a frame.
const MTU: usize = 1514;
/// The checksum, which the chip leaves behind a frame.
const FCS: usize = 4;
/// A frame as words.
const ROOM: usize = (MTU + FCS).next_multiple_of(4);
/// The two commands in front of a frame that is sent.
const COMMANDS: usize = 8;

static WAKER: AtomicWaker = AtomicWaker::new();

/// Wakes the network's task if a frame has come.
pub(crate) fn look() {
    if frames() > 0 {
        WAKER.wake();
    }
}

fn frames() -> u32 {
    ETHERNET.read(RX_FIFO_INF) >> 16 & 0xff
}

/// The driver.
#[derive(Debug)]
pub struct Ethernet {
    mac: [u8; 6],
    received: [u8; ROOM],
    to_send: [u8; ROOM],
}

/// There is no LAN9118.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoChip;

impl Ethernet {
    /// Starts the chip with this hardware address.
    ///
    /// # Errors
    ///
    /// [`NoChip`].
    pub fn new(mac: [u8; 6]) -> Result<Ethernet, NoChip> {
        if ETHERNET.read(BYTE_TEST) != PATTERN {
            return Err(NoChip);
        }
        ETHERNET.write(HW_CFG, SOFT_RESET);
        while ETHERNET.read(HW_CFG) & SOFT_RESET != 0 {}
        ETHERNET.write(HW_CFG, TX_SIZE);
        ETHERNET.write(AFC_CFG, FLOW);
        let [a, b, c, d, e, f] = mac;
        write_mac(MAC_ADDRL, u32::from_le_bytes([a, b, c, d]));
        write_mac(MAC_ADDRH, u32::from_le_bytes([e, f, 0, 0]));
        write_mac(MAC_CR, FULL_DUPLEX | TX_ENABLE | RX_ENABLE);
        ETHERNET.write(TX_CFG, TX_ON | TX_STATUS_OVERRUN);
        Ok(Ethernet {
            mac,
            received: [0; ROOM],
            to_send: [0; ROOM],
        })
    }

    /// Takes the next frame out of the chip; its length without checksum.
    fn next_frame(&mut self) -> Option<usize> {
        while frames() > 0 {
            let status = ETHERNET.read(RX_STATUS);
            let len = (status >> 16 & 0x3fff) as usize;
            let is_good = status & RX_ERROR == 0 && (FCS..=MTU + FCS).contains(&len);
            let mut places = self.received.as_chunks_mut().0.iter_mut();
            for _ in 0..len.div_ceil(4) {
                let word = ETHERNET.read(RX_DATA);
                if let Some(place) = places.next() {
                    *place = word.to_le_bytes();
                }
            }
            if is_good {
                return Some(len - FCS);
            }
        }
        None
    }
}

fn write_mac(register: u32, value: u32) {
    ETHERNET.write(MAC_CSR_DATA, value);
    ETHERNET.write(MAC_CSR_CMD, CSR_BUSY | register);
    while ETHERNET.read(MAC_CSR_CMD) & CSR_BUSY != 0 {}
}

fn has_room() -> bool {
    (ETHERNET.read(TX_FIFO_INF) & 0xffff) as usize >= ROOM + COMMANDS
}

/// A frame that has come.
#[derive(Debug)]
pub struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame that is to be sent.
#[derive(Debug)]
pub struct ToSend<'a>(&'a mut [u8; ROOM]);

impl TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        // smoltcp asks for no more than the MTU.
        let (frame, _) = self.0.split_at_mut(len);
        let result = f(frame);
        ETHERNET.write(TX_DATA, FIRST_AND_LAST | len as u32);
        ETHERNET.write(TX_DATA, len as u32);
        for word in self.0.as_chunks().0.iter().take(len.div_ceil(4)) {
            ETHERNET.write(TX_DATA, u32::from_le_bytes(*word));
        }
        result
    }
}

impl Driver for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_>, ToSend<'_>)> {
        WAKER.register(cx.waker());
        if !has_room() {
            return None;
        }
        let len = self.next_frame()?;
        Some((Received(&mut self.received[..len]), ToSend(&mut self.to_send)))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<ToSend<'_>> {
        if has_room() {
            return Some(ToSend(&mut self.to_send));
        }
        // Sending takes a moment; the chip is not asked when there is room again.
        cx.waker().wake_by_ref();
        None
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.mac)
    }
}
