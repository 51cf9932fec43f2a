//! A SOCKS5 proxy between this client and its brokers (RFC 1928, RFC 1929).

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::config::{ClientConfig, ConfigError, Secret, keys};

const VERSION: u8 = 5;
const WITHOUT_USER: u8 = 0;
const BY_PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// A proxy that connects to brokers for this client, and resolves their names.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    /// `host:port`.
    pub(crate) address: Arc<str>,
    user: Option<(String, Secret)>,
}

/// Why a proxy did not connect.
#[derive(Debug, thiserror::Error)]
#[error("by way of the SOCKS5 proxy {proxy}: {why}")]
struct ProxyError {
    proxy: Arc<str>,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it does not speak SOCKS5")]
    NotSocks,
    #[error("it wants a user; set `socks5.proxy.username` and `socks5.proxy.password`")]
    WantsUser,
    #[error("it accepts neither user and password nor going without")]
    NoMethod,
    #[error("it refused `socks5.proxy.username` and `socks5.proxy.password`")]
    BadUser,
    #[error("{}", reply(*.0))]
    Refused(u8),
    #[error("the broker's host name is longer than 255 bytes")]
    LongName,
}

fn reply(code: u8) -> String {
    let known = [
        "it failed",
        "its rules do not allow this connection",
        "it cannot reach the broker's network",
        "it cannot reach the broker's host, or does not know it",
        "the broker's host refused the connection",
        "the connection took too long",
        "it does not connect for clients",
        "it does not know this kind of address",
    ];
    let known = usize::from(code).checked_sub(1).and_then(|code| known.get(code));
    known.map_or_else(|| format!("it failed with code {code}"), |known| (*known).to_owned())
}

impl Proxy {
    /// The one that the settings name.
    pub(crate) fn of(config: &ClientConfig) -> Result<Option<Self>, ConfigError> {
        let Some(address) = config.get(&keys::SOCKS5_PROXY) else { return Ok(None) };
        let unusable = |name, reason: &str| ConfigError::Unusable { name, reason: reason.into() };
        if address.contains("://") || address.contains('@') {
            // It is not repeated: it may hold a password.
            let reason = "it is host:port and no URL; name user and password, if it wants them, \
                          by `socks5.proxy.username` and `socks5.proxy.password`";
            return Err(unusable(keys::SOCKS5_PROXY.name(), reason));
        }
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            let reason = format!("{address:?} is not host:port");
            return Err(unusable(keys::SOCKS5_PROXY.name(), &reason));
        }
        let password = config.get(&keys::SOCKS5_PASSWORD).unwrap_or_else(|| "".into());
        let user = config.get(&keys::SOCKS5_USERNAME).map(|name| (name, password));
        if let Some((name, password)) = &user
            && (name.len() > 255 || password.expose().len() > 255)
        {
            let name = keys::SOCKS5_USERNAME.name();
            return Err(unusable(name, "neither it nor the password may exceed 255 bytes"));
        }
        Ok(Some(Self { address: address.into(), user }))
    }

    /// An error that says that it was the proxy that could not be connected to.
    pub(crate) fn unreachable(&self, error: &io::Error) -> io::Error {
        self.error(Why::Io(io::Error::new(error.kind(), error.to_string())))
    }

    fn error(&self, why: Why) -> io::Error {
        let kind = if let Why::Io(error) = &why { error.kind() } else { io::ErrorKind::Other };
        io::Error::new(kind, ProxyError { proxy: Arc::clone(&self.address), why })
    }

    /// Has the proxy connect to an address. After that the socket is as if connected to it.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it closes the socket.
    pub(crate) async fn reach<S>(&self, mut socket: S, address: &str) -> io::Result<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.ask(&mut socket, address).await {
            Ok(()) => Ok(socket),
            Err(why) => Err(self.error(why)),
        }
    }

    async fn ask<S>(&self, socket: &mut S, address: &str) -> Result<(), Why>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let request = request(address)?;
        let offered: &[u8] = match self.user {
            Some(_) => &[VERSION, 2, WITHOUT_USER, BY_PASSWORD],
            None => &[VERSION, 1, WITHOUT_USER],
        };
        socket.write_all(offered).await?;
        match (socket.read_u8().await?, socket.read_u8().await?, &self.user) {
            (VERSION, WITHOUT_USER, _) => {}
            (VERSION, BY_PASSWORD, Some((name, password))) => {
                log_in(socket, name, password).await?;
            }
            (VERSION, _, Some(_)) => return Err(Why::NoMethod),
            (VERSION, _, None) => return Err(Why::WantsUser),
            _ => return Err(Why::NotSocks),
        }
        socket.write_all(&request).await?;
        bound(socket).await
    }
}

async fn log_in<S>(socket: &mut S, name: &str, password: &Secret) -> Result<(), Why>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Lengths are checked where the settings are read.
    let mut message = vec![1];
    for text in [name, password.expose()] {
        message.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        message.extend_from_slice(text.as_bytes());
    }
    socket.write_all(&message).await?;
    let (_, status) = (socket.read_u8().await?, socket.read_u8().await?);
    if status == 0 { Ok(()) } else { Err(Why::BadUser) }
}

/// Asks to be connected to `host:port`. Names are left to the proxy.
fn request(address: &str) -> Result<Vec<u8>, Why> {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "0"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port: u16 = port.parse().unwrap_or(0);
    let mut request = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Err(_) => {
            request.push(NAME);
            request.push(u8::try_from(host.len()).map_err(|_| Why::LongName)?);
            request.extend(host.bytes());
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

/// Reads what the proxy answers, with the address that it connects from, which says nothing to us.
async fn bound(socket: &mut (impl AsyncRead + Unpin)) -> Result<(), Why> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).await?;
    let [version, code, _, kind] = head;
    match (version, code) {
        (VERSION, 0) => {}
        (VERSION, code) => return Err(Why::Refused(code)),
        _ => return Err(Why::NotSocks),
    }
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(socket.read_u8().await?),
        _ => return Err(Why::NotSocks),
    };
    let mut address = [0; 255 + 2];
    if let Some(address) = address.get_mut(..length + 2) {
        socket.read_exact(address).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(user: Option<(&str, &str)>) -> Proxy {
        let user = user.map(|(name, password)| (name.to_owned(), password.into()));
        Proxy { address: "proxy:1080".into(), user }
    }

    /// Has a proxy say `said`, and tells what it was asked and what came of it.
    async fn talk(proxy: Proxy, address: &str, said: &[u8]) -> (Vec<u8>, io::Result<Vec<u8>>) {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(said).await.unwrap();
        let reached = proxy.reach(ours, address).await;
        let rest = match reached {
            Err(error) => Err(error),
            Ok(mut socket) => {
                theirs.shutdown().await.unwrap();
                let mut rest = Vec::new();
                socket.read_to_end(&mut rest).await.unwrap();
                Ok(rest)
            }
        };
        let mut asked = Vec::new();
        theirs.read_to_end(&mut asked).await.unwrap();
        (asked, rest)
    }

    #[tokio::test]
    async fn names_and_addresses_are_reached() {
        for (address, said) in [
            ("kafka:9092", &b"\x05\x01\x00\x03\x05kafka\x23\x84"[..]),
            ("10.0.0.1:9092", b"\x05\x01\x00\x01\x0a\x00\x00\x01\x23\x84"),
            ("[::1]:9092", b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x23\x84"),
        ] {
            // The proxy names where it connects from in any way, and what follows is the broker's.
            for from in
                [&b"\x01\0\0\0\0"[..], b"\x03\x02ab", b"\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"]
            {
                let answer = [b"\x05\x00\x05\x00\x00", from, b"\0\0broker"].concat();
                let (asked, rest) = talk(proxy(None), address, &answer).await;
                assert_eq!(asked, [b"\x05\x01\x00", said].concat());
                assert_eq!(rest.unwrap(), b"broker");
            }
        }
    }

    #[tokio::test]
    async fn users_log_in_where_the_proxy_wants_it() {
        let ann = || proxy(Some(("ann", "secret")));
        let ok = b"\x05\x02\x01\x00\x05\x00\x00\x01\0\0\0\0\0\0";
        let (asked, rest) = talk(ann(), "a:1", ok).await;
        assert!(asked.starts_with(b"\x05\x02\x00\x02\x01\x03ann\x06secret\x05\x01\x00\x03\x01a"));
        assert!(rest.is_ok());
        let (asked, _) = talk(ann(), "a:1", b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0").await;
        assert!(!asked.windows(6).any(|part| part == b"secret"));
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told() {
        let check = async |user, said: &[u8], told: &str| {
            let (_, rest) = talk(proxy(user), "kafka:9092", said).await;
            let error = rest.unwrap_err().to_string();
            assert!(error.starts_with("by way of the SOCKS5 proxy proxy:1080: "), "{error}");
            assert!(error.contains(told) && !error.contains("secret"), "{error}");
        };
        let ann = Some(("ann", "secret"));
        check(None, b"\x05\xff", "wants a user").await;
        check(None, b"\x05\x02", "wants a user").await;
        check(ann, b"\x05\xff", "neither user and password").await;
        check(ann, b"\x05\x02\x01\x01", "refused `socks5.proxy.username`").await;
        check(None, b"HTTP/1.1 400", "does not speak SOCKS5").await;
        check(None, b"\x05\x00\x05\x05\x00\x01", "refused the connection").await;
        check(None, b"\x05\x00\x05\x63\x00\x01", "code 99").await;
        check(None, b"\x05\x00\x05\x00\x00\x07", "does not speak SOCKS5").await;
    }

    #[test]
    fn settings_make_a_proxy() {
        let of = |address: &str| Proxy::of(&ClientConfig::new("a:1").set("socks5.proxy", address));
        assert!(of("").unwrap().is_none());
        assert_eq!(&*of("proxy:1080").unwrap().unwrap().address, "proxy:1080");
        assert!(of("proxy").unwrap_err().to_string().contains("is not host:port"));
        for url in ["socks5://ann:secret@proxy:1080", "ann:secret@proxy:1080", "socks5://proxy:1"] {
            let error = of(url).unwrap_err().to_string();
            assert!(error.contains("`socks5.proxy.username`") && !error.contains("ann"), "{error}");
        }
        assert!(matches!(request(&format!("{}:1", "x".repeat(256))), Err(Why::LongName)));
    }
}
