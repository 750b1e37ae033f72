//! Connections: TCP, through a proxy's tunnel where the environment wants one, TLS by rustls.
//!
//! A connector of its own, because [`TokioNet`](mender::adapters::tokio::TokioNet) opens its sockets itself and a tunnel has to be dug
//! before TLS begins. It says in whole sentences why it does not connect.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use embedded_io_adapters::tokio_1::FromTokio;
use mender::net::{Connector, Endpoint, Peer, Security};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tool_style::Wrong;

use crate::proxy::{Proxies, Proxy};
use crate::tls::{self, Roots};

/// A stream of bytes, whatever is below it.
pub trait Bytes: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Bytes for T {}

/// An open connection. Dropping it closes it.
pub type Connection = FromTokio<Box<dyn Bytes>>;

/// Why there is no connection; its `Debug` text, which the library logs, is for people.
pub struct NetError(String);

impl fmt::Debug for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// This host's network.
pub struct Net {
    proxies: Proxies,
    /// For the server; the system's if there are none.
    roots: Option<RootCertStore>,
    server: OnceCell<Arc<ClientConfig>>,
    artifact_host: OnceCell<Arc<ClientConfig>>,
    last_error: RefCell<Option<String>>,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net")
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

impl Net {
    /// With the proxies that the environment names, and the roots for the server in a file; without one, the system's.
    ///
    /// # Errors
    ///
    /// What cannot be used, for people.
    pub fn from_env(roots: Option<&Path>) -> Result<Net, Wrong> {
        // A name that is no UTF-8 is one that nobody has, rather than no proxy.
        let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        Ok(Net {
            proxies: Proxies::from_env(variable).map_err(Wrong::Usage)?,
            roots: roots.map(tls::read_roots).transpose()?,
            server: OnceCell::new(),
            artifact_host: OnceCell::new(),
            last_error: RefCell::new(None),
        })
    }

    /// Why the last connection could not be opened, if it could not.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.borrow().clone()
    }

    /// Read when they are needed first: a client without TLS has no use for the system's roots.
    fn config(&self, peer: Peer) -> Result<Arc<ClientConfig>, String> {
        let (cell, roots) = match (peer, &self.roots) {
            // The same roots need not be there twice.
            (Peer::Server | Peer::ArtifactHost, None) => (&self.server, Roots::System),
            (Peer::Server, Some(own)) => (&self.server, Roots::Own(own)),
            (Peer::ArtifactHost, Some(own)) => (&self.artifact_host, Roots::Both(own)),
        };
        if let Some(config) = cell.get() {
            return Ok(Arc::clone(config));
        }
        let config = tls::config(roots)?;
        Ok(Arc::clone(cell.get_or_init(|| config)))
    }

    async fn open(&self, endpoint: Endpoint<'_>) -> Result<Box<dyn Bytes>, String> {
        let Endpoint { host, port, .. } = endpoint;
        let stream = match self.proxies.choose(host, port, endpoint.security) {
            None => dial(host, port).await?,
            Some(proxy) => {
                let by_proxy = |error| format!("by the proxy {}:{}: {error}", proxy.host, proxy.port);
                let mut stream = dial(&proxy.host, proxy.port).await.map_err(by_proxy)?;
                dig(&mut stream, proxy, host, port).await.map_err(by_proxy)?;
                stream
            }
        };
        match endpoint.security {
            Security::Plain => Ok(Box::new(stream)),
            Security::Tls => {
                let config = self.config(endpoint.peer)?;
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|_| format!("`{host}` is no name that a certificate can have"))?;
                let stream = TlsConnector::from(config)
                    .connect(name, stream)
                    .await
                    .map_err(|error| tls::explain(&error, host))?;
                Ok(Box::new(stream))
            }
        }
    }
}

impl Connector for Net {
    type Connection<'c> = Connection;
    type Error = NetError;

    async fn connect(&self, endpoint: Endpoint<'_>) -> Result<Connection, NetError> {
        let opened = self.open(endpoint).await;
        *self.last_error.borrow_mut() = opened
            .as_ref()
            .err()
            .map(|error| format!("{}:{}: {error}", endpoint.host, endpoint.port));
        opened.map(FromTokio::new).map_err(NetError)
    }
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, String> {
    let opened = async {
        let stream = TcpStream::connect((host, port)).await?;
        // The library writes a request in several pieces.
        stream.set_nodelay(true)?;
        Ok::<TcpStream, io::Error>(stream)
    };
    opened.await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("nobody listens on port {port}: is the server running?"),
        // The resolver's errors have no kind.
        _ if error.raw_os_error().is_none() => {
            format!("no address of {host} is known ({error}): check the name, and DNS")
        }
        _ => error.to_string(),
    })
}

/// A proxy's answer to `CONNECT` is a few lines.
const ANSWER_MAX_LEN: usize = 16384;

/// Lets a proxy connect to a host; what is sent afterwards reaches that.
async fn dig<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<(), String> {
    let target = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let authorization = match &proxy.authorization {
        Some(value) => format!("Proxy-Authorization: {value}\r\n"),
        None => String::new(),
    };
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= ANSWER_MAX_LEN {
            return Err("it answers without end".to_owned());
        }
        // Byte by byte: what comes after the answer is the server's.
        match stream.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(_) => return Err("it broke the connection off: is it an HTTP proxy?".to_owned()),
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    response
        .parse(&answer)
        .map_err(|error| format!("it does not answer as an HTTP proxy: {error}"))?;
    match response.code {
        Some(200..=299) => Ok(()),
        Some(407) if proxy.authorization.is_some() => Err("it does not take this user and password (407)".to_owned()),
        Some(407) => Err("it wants a user and password (407): http://USER:PASSWORD@HOST:PORT".to_owned()),
        Some(status) => Err(format!("it does not connect to {target} (status {status})")),
        None => Err("it does not answer as an HTTP proxy".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    /// What a proxy that answers so is told, and what becomes of it.
    fn dug(answer: &str, authorization: Option<&str>, host: &str) -> (String, Result<(), String>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut near, mut far) = duplex(65536);
            let proxy = Proxy {
                host: "proxy".to_owned(),
                port: 3128,
                authorization: authorization.map(str::to_owned),
            };
            far.write_all(answer.as_bytes()).await.unwrap();
            far.shutdown().await.unwrap();
            let result = dig(&mut near, &proxy, host, 443).await;
            if result.is_ok() {
                let mut rest = String::new();
                near.read_to_string(&mut rest).await.unwrap();
                assert_eq!(rest, "the server's", "not a byte of the server's is lost");
            }
            drop(near);
            let mut request = String::new();
            far.read_to_string(&mut request).await.unwrap();
            (request, result)
        })
    }

    #[test]
    fn a_tunnel_is_asked_for() {
        let answer = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nthe server's";
        let (request, result) = dug(answer, None, "mender.example.com");
        assert_eq!(result, Ok(()));
        assert_eq!(
            request,
            "CONNECT mender.example.com:443 HTTP/1.1\r\nHost: mender.example.com:443\r\n\r\n"
        );
        let (request, result) = dug(answer, Some("Basic eA=="), "::1");
        assert_eq!(result, Ok(()));
        assert_eq!(
            request,
            "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nProxy-Authorization: Basic eA==\r\n\r\n"
        );
    }

    #[test]
    fn a_proxy_that_refuses_is_quoted() {
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(ANSWER_MAX_LEN));
        for (answer, authorization, part) in [
            ("HTTP/1.1 407 Auth\r\n\r\n", None, "wants a user"),
            (
                "HTTP/1.1 407 Auth\r\n\r\n",
                Some("Basic eA=="),
                "does not take this user",
            ),
            (
                "HTTP/1.0 403 Forbidden\r\n\r\n",
                None,
                "does not connect to h:443 (status 403)",
            ),
            ("SSH-2.0-OpenSSH\r\n\r\n", None, "not answer as an HTTP proxy"),
            ("HTTP/1.1 200 OK\r\n", None, "broke the connection off"),
            ("", None, "broke the connection off"),
            (endless.as_str(), None, "without end"),
        ] {
            let error = dug(answer, authorization, "h").1.unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
