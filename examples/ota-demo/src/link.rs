//! A link as slow as a board's: without it a download is over before it can be seen.

use std::convert::Infallible;
use std::time::Duration;

use embedded_io_async::{ErrorType, Read, Write};
use mender::net::{Connector, Endpoint};
use tokio::time::{Instant, sleep_until};

/// Gives what the other connector gives, with a limit to the speed of what is received.
#[derive(Clone, Copy, Debug)]
pub struct Slow<C> {
    pub connector: C,
    pub bytes_per_second: u32,
}

impl<C: Connector> Connector for Slow<C> {
    type Connection<'c>
        = SlowStream<C::Connection<'c>>
    where
        C: 'c;
    type Error = C::Error;

    async fn connect<'c>(&'c self, endpoint: Endpoint<'_>) -> Result<Self::Connection<'c>, C::Error> {
        Ok(SlowStream {
            stream: self.connector.connect(endpoint).await?,
            bytes_per_second: self.bytes_per_second,
            ready: Instant::now(),
        })
    }

    fn work(&self) -> impl Future<Output = Infallible> {
        self.connector.work()
    }
}

/// An open stream.
#[derive(Debug)]
pub struct SlowStream<S> {
    stream: S,
    bytes_per_second: u32,
    /// When all that was read could have come.
    ready: Instant,
}

/// Pauses are not shorter: timers are not finer.
const LEAST_PAUSE: Duration = Duration::from_millis(5);

impl<S: ErrorType> ErrorType for SlowStream<S> {
    type Error = S::Error;
}

impl<S: Read> Read for SlowStream<S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, S::Error> {
        if self.ready > Instant::now() + LEAST_PAUSE {
            sleep_until(self.ready).await;
        }
        let len = self.stream.read(buffer).await?;
        let seconds = len as f64 / f64::from(self.bytes_per_second);
        self.ready = self.ready.max(Instant::now()) + Duration::from_secs_f64(seconds);
        Ok(len)
    }
}

impl<S: Write> Write for SlowStream<S> {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, S::Error> {
        self.stream.write(buffer).await
    }

    async fn flush(&mut self) -> Result<(), S::Error> {
        self.stream.flush().await
    }
}
