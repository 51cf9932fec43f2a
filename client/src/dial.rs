//! From an address to a connected socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

use crate::config::{ClientConfig, ConfigError, SecurityProtocol, keys};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::sasl::{Credentials, exchange};
use crate::socks::Proxy;
use crate::tls::{self, Tls};

/// The port that is meant where none is given.
const DEFAULT_PORT: u16 = 9092;

/// `host:port` as one text, whatever the host looks like.
pub(crate) fn address(host: &str, port: i32) -> Arc<str> {
    if host.contains(':') {
        format!("[{host}]:{port}").into()
    } else {
        format!("{host}:{port}").into()
    }
}

/// `host:port` from what a user wrote, who may have left out the port.
pub(crate) fn with_port(given: &str) -> Arc<str> {
    let bare_v6 = given.matches(':').count() > 1 && !given.starts_with('[');
    match given.rsplit_once(':') {
        _ if bare_v6 => address(given, DEFAULT_PORT.into()),
        Some((_, port)) if port.parse::<u16>().is_ok() => given.into(),
        _ => format!("{given}:{DEFAULT_PORT}").into(),
    }
}

/// A connected socket, which may speak TLS.
#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(tls::Stream),
}

/// How this client reaches brokers, and what it has to say to be let in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transport {
    proxy: Option<Proxy>,
    tls: Option<Tls>,
    credentials: Option<Credentials>,
}

impl Transport {
    /// As the settings have it. Reads the files that they name.
    pub(crate) fn of(config: &ClientConfig) -> std::result::Result<Self, ConfigError> {
        let (tls, sasl) = match config.get(&keys::SECURITY_PROTOCOL) {
            SecurityProtocol::Plaintext => (false, false),
            SecurityProtocol::Ssl => (true, false),
            SecurityProtocol::SaslPlaintext => (false, true),
            SecurityProtocol::SaslSsl => (true, true),
        };
        Ok(Self {
            proxy: Proxy::of(config)?,
            tls: tls.then(|| Tls::of(config)).transpose()?,
            credentials: sasl.then(|| Credentials::of(config)).transpose()?,
        })
    }

    /// Connects to a broker, by way of the proxy if there is one, and has the socket speak TLS if
    /// it is to.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has connected nothing.
    pub(crate) async fn connect(&self, address: &Arc<str>, timeout: Duration) -> Result<Socket> {
        let failed =
            |error| Error::Connect { address: Arc::clone(address), source: Arc::new(error) };
        let socket = match &self.proxy {
            None => dial(address, timeout).await.map_err(failed)?,
            Some(proxy) => {
                let reached = async {
                    let socket = dial(&proxy.address, timeout).await;
                    let socket = socket.map_err(|error| proxy.unreachable(&error))?;
                    proxy.reach(socket, address).await
                };
                let reached = tokio::time::timeout(timeout, reached).await;
                let late = |_| Err(proxy.unreachable(&io::ErrorKind::TimedOut.into()));
                reached.unwrap_or_else(late).map_err(failed)?
            }
        };
        let Some(tls) = &self.tls else { return Ok(Socket::Plain(socket)) };
        match tokio::time::timeout(timeout, tls.connect(socket, address)).await {
            Ok(secret) => secret.map(Socket::Tls),
            Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Has the client prove who it is, if it is to, now and as often as the broker wants it.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the connection is of no use.
    pub(crate) async fn authenticate(&self, connection: &Connection) -> Result<()> {
        match &self.credentials {
            Some(credentials) => exchange::begin(connection, credentials).await,
            None => Ok(()),
        }
    }
}

async fn dial(address: &str, timeout: Duration) -> io::Result<TcpStream> {
    reach(within(timeout, lookup_host(address)).await?, timeout).await
}

/// Connects to the first of a name's addresses, IPv4 and IPv6 alike, that answers. Each has its own
/// time.
async fn reach(
    addresses: impl Iterator<Item = SocketAddr>,
    timeout: Duration,
) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket in addresses {
        match within(timeout, TcpStream::connect(socket)).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn within<T>(timeout: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(timeout, work).await {
        Ok(done) => done,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_a_port() {
        for (given, expected) in [
            ("broker", "broker:9092"),
            ("broker:1", "broker:1"),
            ("::1", "[::1]:9092"),
            ("[::1]:5", "[::1]:5"),
            ("[::1]", "[::1]:9092"),
        ] {
            assert_eq!(&*with_port(given), expected);
        }
        assert_eq!(&*address("::1", 7), "[::1]:7");
        assert_eq!(&*address("broker", 7), "broker:7");
    }

    #[tokio::test]
    async fn a_proxy_that_says_nothing_is_named() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = silent.local_addr().unwrap().to_string();
        let config = ClientConfig::new("a:1").set("socks5.proxy", &proxy);
        let transport = Transport::of(&config).unwrap();
        let error = transport.connect(&"a:1".into(), Duration::from_millis(1)).await.unwrap_err();
        assert!(error.to_string().contains(&format!("proxy {proxy}: timed out")), "{error}");
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_tried() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // As a name has them that stands for several brokers, of which two are down.
        let all = [[127, 0, 0, 2], [127, 0, 0, 3], [127, 0, 0, 1]];
        let all = all.map(|ip| SocketAddr::from((ip, port)));
        let timeout = Duration::from_secs(60);
        let socket = reach(all.into_iter(), timeout).await.unwrap();
        assert_eq!(socket.peer_addr().unwrap(), all[2]);
        let refused = reach(all[..2].iter().copied(), timeout).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let nobody = reach(std::iter::empty(), timeout).await.unwrap_err();
        assert_eq!(nobody.to_string(), "the name has no address");
    }

    #[tokio::test]
    async fn who_does_not_listen_may_be_tried_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = address("localhost", port.into());
        let (transport, timeout) = (Transport::default(), Duration::from_secs(60));
        assert!(transport.connect(&address, timeout).await.is_ok());
        drop(listener);
        let error = transport.connect(&address, timeout).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }) && error.is_retriable());
    }
}
