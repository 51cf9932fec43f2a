//! From an address to a connected socket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

use crate::error::{Error, Result};

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

/// Connects to the first of the address's resolutions, IPv4 and IPv6 alike, that answers.
///
/// # Cancel safety
/// Dropped before it returns, it has connected nothing.
pub(crate) async fn dial(address: &Arc<str>, timeout: Duration) -> Result<TcpStream> {
    let failed = |error| Error::Connect { address: Arc::clone(address), source: Arc::new(error) };
    let resolved = tokio::time::timeout(timeout, lookup_host(&**address)).await;
    let resolved = resolved.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket in resolved {
        match tokio::time::timeout(timeout, TcpStream::connect(socket)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed(last))
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
    async fn every_resolution_is_tried() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = address("localhost", port.into());
        assert!(dial(&address, Duration::from_secs(60)).await.is_ok());
        drop(listener);
        let error = dial(&address, Duration::from_secs(60)).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }) && error.is_retriable());
    }
}
