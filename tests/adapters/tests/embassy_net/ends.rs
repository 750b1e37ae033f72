//! How connections end: what the server hears, and what becomes of socket and port.

use embassy_futures::join::join;
use embassy_net::tcp::Error;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::{Read as _, Write as _};
use mender::adapters::embassy_net::ConnectError;

use crate::site::{NOBODY, Site, on_site};

const SERVER: &str = "10.0.0.1";

/// Much longer than anything takes on this wire.
const SOON: Duration = Duration::from_secs(2);

async fn pair(site: &Site) -> (impl AsyncReadWrite + '_, embassy_net::tcp::TcpSocket<'static>) {
    let (socket, connection) = join(site.accept(80), site.connect(SERVER, 80)).await;
    (connection.unwrap(), socket)
}

trait AsyncReadWrite: embedded_io_async::Read<Error = Error> + embedded_io_async::Write<Error = Error> {}

impl<T: embedded_io_async::Read<Error = Error> + embedded_io_async::Write<Error = Error>> AsyncReadWrite for T {}

#[test]
fn a_dropped_connection_sends_what_was_written_and_ends() {
    on_site(&[], 10, async |site| {
        let (mut connection, mut socket) = pair(site).await;
        connection.write_all(&[7; 1000]).await.unwrap();
        drop(connection);
        let mut got = [0; 1000];
        with_timeout(SOON, socket.read_exact(&mut got)).await.unwrap().unwrap();
        assert_eq!(got, [7; 1000]);
        assert_eq!(with_timeout(SOON, socket.read(&mut got)).await.unwrap(), Ok(0));
        assert_eq!(site.wire.count(|segment| segment.rst), 0);
    });
}

#[test]
fn a_connection_with_unread_data_is_reset() {
    on_site(&[], 10, async |site| {
        let (connection, mut socket) = pair(site).await;
        // An artifact that nobody wants any more.
        socket.write_all(&[7; 4096]).await.unwrap();
        Timer::after_millis(100).await;
        drop(connection);
        let sent = with_timeout(SOON, async {
            loop {
                if let Err(error) = socket.write(&[7; 512]).await {
                    return error;
                }
            }
        });
        assert_eq!(sent.await.unwrap(), Error::ConnectionReset);
        assert_eq!(site.wire.count(|segment| segment.rst), 1);
    });
}

#[test]
fn the_end_of_the_other_side_is_the_end_of_what_is_read() {
    on_site(&[], 10, async |site| {
        let (mut connection, mut socket) = pair(site).await;
        socket.write_all(b"bye").await.unwrap();
        socket.close();
        let mut got = [0; 3];
        connection.read_exact(&mut got).await.unwrap();
        assert_eq!(connection.read(&mut got).await, Ok(0));
        drop(connection);
        // Both have ended, and both know it.
        with_timeout(SOON, socket.flush()).await.unwrap().unwrap();
    });
}

#[test]
fn a_reset_of_the_other_side_is_an_error() {
    on_site(&[], 10, async |site| {
        let (mut connection, mut socket) = pair(site).await;
        socket.abort();
        let got = with_timeout(SOON, connection.read(&mut [0; 8])).await;
        assert_eq!(got.unwrap(), Err(Error::ConnectionReset));
        assert_eq!(connection.write(b"x").await, Err(Error::ConnectionReset));
    });
}

#[test]
fn there_are_two_connections_and_no_third() {
    on_site(&[], 10, async |site| {
        let (mut first, mut first_socket) = pair(site).await;
        let (mut second, mut second_socket) = pair(site).await;
        assert_eq!(site.connect(SERVER, 80).await.unwrap_err(), ConnectError::Busy);
        first.write_all(b"1").await.unwrap();
        second.write_all(b"2").await.unwrap();
        let mut got = [0; 2];
        first_socket.read_exact(&mut got[..1]).await.unwrap();
        second_socket.read_exact(&mut got[1..]).await.unwrap();
        assert_eq!(&got, b"12");
        drop(second);
        let (third, _socket) = pair(site).await;
        drop((first, third));
    });
}

#[test]
fn a_connect_that_is_dropped_leaves_nothing_behind() {
    on_site(&[], 20, async |site| {
        site.wire.lose(NOBODY.into());
        for _ in 0..5 {
            let connect = site.connect("10.0.0.99", 80);
            assert!(with_timeout(Duration::from_millis(300), connect).await.is_err());
        }
        let (_first, _socket) = pair(site).await;
        let (_second, _socket) = pair(site).await;
    });
}

#[test]
fn a_socket_whose_end_is_not_answered_is_reset_before_it_is_used_again() {
    on_site(&[], 20, async |site| {
        // The server keeps its side open: both sockets of the device wait for its end.
        let (first, _first_socket) = pair(site).await;
        let (second, mut second_socket) = pair(site).await;
        drop((first, second));
        Timer::after_millis(100).await;
        assert_eq!(site.wire.count(|segment| segment.fin), 2);
        let start = Instant::now();
        let (mut third, mut socket) = pair(site).await;
        assert!(start.elapsed() < Duration::from_millis(100), "nobody had to wait");
        assert_eq!(site.wire.count(|segment| segment.rst), 1);
        third.write_all(b"new").await.unwrap();
        let mut got = [0; 3];
        socket.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"new");
        // The other one goes on waiting for the server's end.
        second_socket.close();
        with_timeout(SOON, second_socket.flush()).await.unwrap().unwrap();
    });
}

#[test]
fn no_port_is_used_twice() {
    on_site(&[], 60, async |site| {
        for _ in 0..20 {
            let (connection, _socket) = pair(site).await;
            drop(connection);
            Timer::after_millis(10).await;
        }
        let mut ports: Vec<_> = site.wire.segments();
        ports.retain(|segment| segment.by_device && segment.syn);
        let mut ports: Vec<_> = ports.iter().map(|segment| segment.source_port).collect();
        assert_eq!(ports.len(), 20);
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
    });
}

#[test]
fn a_network_that_is_gone_does_not_hold_the_next_connection() {
    on_site(&[], 30, async |site| {
        let (first, first_socket) = pair(site).await;
        let (second, second_socket) = pair(site).await;
        site.wire.cut(true);
        drop((first, second));
        Timer::after_secs(5).await;
        let failed = with_timeout(SOON, site.connect(SERVER, 80)).await;
        assert!(failed.is_err(), "nobody answers");
        site.wire.cut(false);
        drop((first_socket, second_socket));
        let (mut connection, mut socket) = pair(site).await;
        connection.write_all(b"again").await.unwrap();
        let mut got = [0; 5];
        with_timeout(SOON, socket.read_exact(&mut got)).await.unwrap().unwrap();
        assert_eq!(&got, b"again");
    });
}

#[test]
fn a_piece_does_not_wait_until_the_one_before_is_acknowledged() {
    on_site(&[], 10, async |site| {
        let (mut connection, mut socket) = pair(site).await;
        let start = Instant::now();
        let write = async {
            connection.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            Timer::after_millis(1).await;
            connection.write_all(b"Host: h\r\n\r\n").await.unwrap();
        };
        let mut got = [0; 27];
        let (_, read) = join(write, socket.read_exact(&mut got)).await;
        read.unwrap();
        // The acknowledgement of the first one comes after 10 ms.
        assert!(start.elapsed() < Duration::from_millis(5), "{:?}", start.elapsed());
    });
}
