//! Asks a time server (SNTP, RFC 4330), and tells the clock. Depends on embassy-net.

use core::net::SocketAddrV4;
use core::time::Duration;

use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{IpEndpoint, Stack};
use embassy_time::{Timer, with_timeout};
use mender::adapters::embassy_time::EmbassyClock;
use mender::rand_core::Rng;

const LEN: usize = 48;
/// Version 4, client.
const ASK: u8 = 4 << 3 | 3;
const MODE: u8 = 7;
const SERVER: u8 = 4;
/// The leap indicator of a clock that was never set.
const UNSYNCHRONIZED: u8 = 3;
/// The last stratum; 0 is a "kiss of death".
const PLACES: u8 = 15;
/// From 1900 to 1970.
const EPOCH: u64 = 2_208_988_800;
const PATIENCE: embassy_time::Duration = embassy_time::Duration::from_millis(250);

/// Asks until there is an answer.
///
/// Whoever can answer in the server's place can set this clock; a product that fears it takes NTS, or an authenticated source.
pub async fn set(clock: &EmbassyClock, stack: Stack<'_>, server: SocketAddrV4, mut rng: impl Rng) {
    let (mut rx, mut tx) = ([0; LEN], [0; LEN]);
    let (mut rx_meta, mut tx_meta) = ([PacketMetadata::EMPTY; 1], [PacketMetadata::EMPTY; 1]);
    let mut socket = UdpSocket::new(stack, &mut rx_meta, &mut rx, &mut tx_meta, &mut tx);
    if socket.bind(0).is_err() {
        log::warn!("no socket to ask for the time");
        return;
    }
    let server = IpEndpoint::from(server);
    loop {
        stack.wait_config_up().await;
        let mut message = [0; LEN];
        message[0] = ASK;
        // What the server has to repeat: so an answer is one to this question.
        let question: [u8; 8] = rng.next_u64().to_be_bytes();
        message[40..].copy_from_slice(&question);
        let asked = async {
            socket.send_to(&message, server).await.ok()?;
            let mut answer = [0; LEN];
            let (len, from) = socket.recv_from(&mut answer).await.ok()?;
            let is_answer =
                len == LEN && from.endpoint == server && answer[0] & MODE == SERVER && answer[24..32] == question;
            // RFC 4330, section 5: a server that says of itself that it does not know the time, or asks to be left alone.
            let knows = answer[0] >> 6 != UNSYNCHRONIZED && (1..=PLACES).contains(&answer[1]);
            if !is_answer || !knows {
                return None;
            }
            let seconds = u32::from_be_bytes(*answer[40..44].first_chunk()?);
            // The last turn of the counter ends in 2036; certificates last until then.
            u64::from(seconds).checked_sub(EPOCH)
        };
        match with_timeout(PATIENCE, asked).await {
            Ok(Some(seconds)) => {
                clock.set_unix_time(Duration::from_secs(seconds));
                log::info!("it is {seconds} seconds after 1970");
                return;
            }
            Ok(None) | Err(_) => Timer::after(PATIENCE).await,
        }
    }
}
