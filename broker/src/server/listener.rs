//! Where clients come in.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream, lookup_host};

use super::Peer;
use super::connection::{self, ConnectionError, End};
use crate::config::{self, Address, Advertise, Bind, SocketOptions};
use crate::node::Node;

/// How long to wait when no connection can be accepted: files may become free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes under way to a client on this machine, unless the settings say otherwise. No distance is to
/// be bridged, and a reader that is as fast as the broker then finds much whenever it wakes: what
/// the system allows, some megabytes, is not filled before it wakes, so that it does so for each
/// little piece, which costs the broker more than the piece itself.
const NEAR_SEND_BUFFER_BYTES: usize = 256 << 10;

/// How often to ask the system for another port when the one it chose is taken in the other family.
const PORT_TRIES: usize = 8;

/// The sockets of one configured listener: a name such as `localhost` has one in each family.
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    advertise: Advertise,
}

/// Keeps ports from everybody else while no broker listens on them.
///
/// A socket that is bound and does not listen: clients are refused as they are by a broker that is
/// gone, and the system gives the port to nobody, not even to a client that tries to reach it.
#[derive(Debug, Default)]
pub(crate) struct HeldPorts(Vec<Socket>);

impl Listener {
    /// Binds every address that the configured listener stands for, all on the same port, and
    /// holds the ports if there is somebody to hold them.
    ///
    /// # Errors
    /// The name is unknown, or no address of it can be bound. An address family that the machine
    /// does not have is passed over.
    pub(crate) async fn bind(
        configured: &config::Listener,
        options: &SocketOptions,
        mut held: Option<&mut HeldPorts>,
    ) -> io::Result<Self> {
        let addresses = addresses(configured).await?;
        let mut tries = 1..PORT_TRIES;
        let sockets = loop {
            match listen_all(&addresses, options, held.as_deref_mut()) {
                Err(error)
                    if is_taken(&error) && configured.port == 0 && tries.next().is_some() =>
                {
                    tracing::debug!(%error, "another port is tried");
                }
                sockets => break sockets?,
            }
        };
        Ok(Self { sockets, advertise: configured.advertise.clone() })
    }

    /// The addresses that are bound.
    pub(crate) fn bound(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// The port that all its addresses have.
    pub(crate) fn port(&self) -> u16 {
        self.bound().first().map_or(0, SocketAddr::port)
    }

    /// What clients on this machine may connect to. Where it depends on the client what it is
    /// told, this is the loopback address.
    pub(crate) fn advertised(&self) -> Option<Address> {
        let local = self.bound().first().copied()?;
        let loopback = || Address { host: "localhost".into(), port: local.port() };
        Some(advertised(&self.advertise, local).unwrap_or_else(loopback))
    }

    /// Accepts connections until the broker stops.
    pub(crate) fn start(self, node: &Arc<Node>) {
        for socket in self.sockets {
            let (node, advertise) = (Arc::clone(node), self.advertise.clone());
            let tasks = node.tasks.clone();
            tasks.spawn("accept", accept(node, socket, advertise));
        }
    }
}

async fn addresses(configured: &config::Listener) -> io::Result<Vec<SocketAddr>> {
    let port = configured.port;
    let both = |v4: Ipv4Addr, v6: Ipv6Addr| vec![(v4, port).into(), (v6, port).into()];
    let mut addresses: Vec<SocketAddr> = match &configured.bind {
        Bind::Loopback => both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
        Bind::All => both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
        Bind::Host(host) => lookup_host((host.as_str(), port)).await?.collect(),
    };
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    Ok(addresses)
}

fn listen_all(
    addresses: &[SocketAddr],
    options: &SocketOptions,
    held: Option<&mut HeldPorts>,
) -> io::Result<Vec<TcpListener>> {
    let mut holding = held.is_some().then(Vec::new);
    let mut sockets: Vec<TcpListener> = Vec::new();
    for mut address in addresses.iter().copied() {
        if let Some(first) = sockets.first() {
            address.set_port(first.local_addr()?.port());
        }
        match listen(address, options, holding.as_mut()) {
            Ok(socket) => sockets.push(socket),
            Err(error) if is_missing_family(&error) => {
                tracing::debug!(%address, %error, "an address family is missing");
            }
            Err(error) => return Err(with_address(error, address)),
        }
    }
    if sockets.is_empty() {
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no address to bind"));
    }
    if let Some(held) = held {
        held.0.extend(holding.into_iter().flatten());
    }
    Ok(sockets)
}

fn listen(
    mut address: SocketAddr,
    options: &SocketOptions,
    holding: Option<&mut Vec<Socket>>,
) -> io::Result<TcpListener> {
    // The holder comes first: beside a socket that listens, no other can be bound.
    if let Some(holding) = holding {
        let holder = bound(address)?;
        address = holder.local_addr()?.as_socket().unwrap_or(address);
        holding.push(holder);
    }
    let socket = bound(address)?;
    socket.set_nonblocking(true)?;
    // Those that it accepts have the same.
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.listen(options.backlog)?;
    TcpListener::from_std(socket.into())
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

fn is_missing_family(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    error.kind() == io::ErrorKind::AddrNotAvailable
        || code == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

fn with_address(error: io::Error, address: SocketAddr) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
}

async fn accept(node: Arc<Node>, socket: TcpListener, advertise: Advertise) {
    let stopping = node.tasks.stopping();
    tokio::pin!(stopping);
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = &mut stopping => return,
        };
        // What waits is connected as far as its client can tell: the kernel has said so.
        if node.gate.pass().await.is_err() {
            return;
        }
        match accepted {
            Ok((stream, address)) => admit(&node, stream, address, &advertise),
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections for a moment");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(node: &Arc<Node>, stream: TcpStream, address: SocketAddr, advertise: &Advertise) {
    let limits = &node.config().connections;
    let admission = match node.connections.admit(address.ip().to_canonical(), limits) {
        Ok(admission) => admission,
        Err(reason) => {
            node.metrics.count_rejected(reason);
            return node.complaints.say(|| {
                tracing::warn!(peer = %address, reason, "a connection was refused");
            });
        }
    };
    let local = match tune(&stream, address, &node.config().sockets) {
        Ok(local) => local,
        Err(error) => {
            return tracing::debug!(peer = %address, %error, "the client left at once");
        }
    };
    let Some(advertised) = advertised(advertise, local) else { return };
    let peer = Arc::new(Peer { address, advertised, software: OnceLock::new() });
    let tasks = node.tasks.clone();
    let node = Arc::clone(node);
    tasks.spawn("connection", async move {
        let _admission = admission;
        let end = connection::serve(Arc::clone(&node), peer, stream).await;
        report(&node, address, end);
    });
}

/// Prepares the socket of a client, and tells which of our addresses it has reached.
fn tune(stream: &TcpStream, peer: SocketAddr, options: &SocketOptions) -> io::Result<SocketAddr> {
    let local = stream.local_addr()?;
    stream.set_nodelay(true)?;
    // A client that vanished while its request waits would keep its place until that is over.
    SockRef::from(stream).set_keepalive(true)?;
    if options.send_buffer_bytes.is_none() && local.ip() == peer.ip() {
        SockRef::from(stream).set_send_buffer_size(NEAR_SEND_BUFFER_BYTES)?;
    }
    Ok(local)
}

fn report(node: &Node, peer: SocketAddr, end: Result<End, ConnectionError>) {
    match end {
        Ok(end) => tracing::debug!(%peer, ?end, "a connection ended"),
        Err(ConnectionError::Io(error)) => tracing::debug!(%peer, %error, "a connection broke"),
        Err(reason) => {
            node.metrics.count_hung_up();
            node.complaints.say(|| tracing::warn!(%peer, %reason, "a connection was closed"));
        }
    }
}

/// A client must be told an address that it can reach: what is configured, or else the address
/// it has just reached.
fn advertised(advertise: &Advertise, local: SocketAddr) -> Option<Address> {
    match advertise {
        Advertise::Explicit(address) => {
            let port = if address.port == 0 { local.port() } else { address.port };
            Some(Address { host: address.host.clone(), port })
        }
        Advertise::LocalAddress => {
            let ip = local.ip().to_canonical();
            (!ip.is_unspecified()).then(|| Address { host: ip.to_string(), port: local.port() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of the buffers of a connection from this machine: receive, send.
    async fn buffers(options: &SocketOptions) -> (usize, usize) {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), options, None).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        tune(&stream, peer, options).unwrap();
        let socket = SockRef::from(&stream);
        (socket.recv_buffer_size().unwrap(), socket.send_buffer_size().unwrap())
    }

    // Linux doubles what it is asked for, since it also keeps its own notes there, and gives no
    // more than `net.core.wmem_max` allows, of which most machines have 208 KiB.

    #[tokio::test]
    async fn connections_have_the_buffers_that_were_asked_for() {
        let (receive_buffer_bytes, send_buffer_bytes) = (Some(20_000), Some(30_000));
        let options = SocketOptions { receive_buffer_bytes, send_buffer_bytes, backlog: 5 };
        let (receive, send) = buffers(&options).await;
        assert!((20_000..=40_000).contains(&receive));
        assert!((30_000..=60_000).contains(&send));
    }

    #[tokio::test]
    async fn little_is_under_way_to_a_client_on_this_machine() {
        let options =
            SocketOptions { receive_buffer_bytes: None, send_buffer_bytes: None, backlog: 5 };
        let (_, send) = buffers(&options).await;
        assert!((100_000..=2 * NEAR_SEND_BUFFER_BYTES).contains(&send), "{send}");
    }
}
