//! Hosts, ports and listeners, as text and as values.

use std::fmt;
use std::net::IpAddr;

use super::layers::Layers;

/// A host and a port that were not looked up yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name, or an address without brackets. Empty for all interfaces.
    pub host: String,
    /// Zero lets the system choose.
    pub port: u16,
}

impl Address {
    /// Reads `host:port`, `[v6]:port` or `:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.trim().rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return None;
        }
        Some(Self { host: bare.unwrap_or(host).to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// This machine alone: 127.0.0.1 and ::1.
    Loopback,
    /// All interfaces, IPv4 and IPv6.
    All,
    /// One address, or a name to be looked up.
    Host(String),
}

impl Bind {
    fn of(host: &str) -> Self {
        match host {
            "localhost" => Self::Loopback,
            "" | "0.0.0.0" | "::" => Self::All,
            host => Self::Host(host.to_owned()),
        }
    }

    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Loopback => true,
            Self::All => false,
            Self::Host(host) => host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        }
    }
}

/// What clients are told to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advertise {
    /// This address.
    Explicit(Address),
    /// The address at which the connection that asks has arrived.
    LocalAddress,
}

/// One place at which clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name in the settings, in capitals.
    pub name: String,
    /// Where it listens.
    pub bind: Bind,
    /// Its port; zero lets the system choose.
    pub port: u16,
    /// What clients are told.
    pub advertise: Advertise,
}

/// Why there is no such listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenerError {
    /// Not of the form `NAME://host:port`.
    #[error("`{0}` is no listener: the form is NAME://host:port")]
    Form(String),
    /// Two listeners have one name.
    #[error("each listener must have a name of its own: {0} is there twice")]
    Twice(String),
    /// No listener at all.
    #[error("at least one listener is needed")]
    None,
    /// The map says nothing about the name.
    #[error("listener.security.protocol.map has no protocol for listener {0}")]
    NoProtocol(String),
    /// The protocol is not served.
    #[error("listener {name} wants {protocol}; only PLAINTEXT is served so far")]
    Protocol {
        /// The listener.
        name: String,
        /// What it wants.
        protocol: String,
    },
    /// An address is advertised for a listener that is not there.
    #[error("advertised.listeners names {0}, which is not in listeners")]
    NotListening(String),
    /// Clients cannot connect to all interfaces or to port zero.
    #[error("advertised.listeners needs an address to connect to, not `{0}`")]
    Unreachable(Address),
    /// Everybody who reaches the machine could read and write.
    #[error(
        "listener {name} at {address} can be reached from other machines without encryption or \
         passwords; say allow.insecure.listeners=true if that is meant"
    )]
    Insecure {
        /// The listener.
        name: String,
        /// Where it would listen.
        address: Address,
    },
}

/// The listeners that a broker with these values has. Those of Kafka's controller are left out.
pub(super) fn listeners(
    layers: &Layers,
    allow_insecure: bool,
) -> Result<Vec<Listener>, ListenerError> {
    let text = |name| layers.get(name).unwrap_or_default();
    let controllers: Vec<_> = names(text("controller.listener.names")).collect();
    let is_ours = |(name, _): &(String, Address)| !controllers.contains(name);
    let advertised = endpoints(text("advertised.listeners"))?;
    let bound = endpoints(text("listeners"))?;
    for (name, address) in advertised.iter().filter(|it| is_ours(it)) {
        if !bound.iter().any(|(other, _)| other == name) {
            return Err(ListenerError::NotListening(name.clone()));
        }
        if Bind::of(&address.host) == Bind::All || address.port == 0 {
            return Err(ListenerError::Unreachable(address.clone()));
        }
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for (name, address) in bound.into_iter().filter(is_ours) {
        check_protocol(&name, text("listener.security.protocol.map"))?;
        let bind = Bind::of(&address.host);
        if !bind.is_loopback() && !allow_insecure {
            return Err(ListenerError::Insecure { name, address });
        }
        let explicit = advertised.iter().find(|(other, _)| *other == name);
        let advertise = advertise(&bind, address.port, explicit.map(|(_, address)| address));
        listeners.push(Listener { name, bind, port: address.port, advertise });
    }
    if listeners.is_empty() { Err(ListenerError::None) } else { Ok(listeners) }
}

fn advertise(bind: &Bind, port: u16, explicit: Option<&Address>) -> Advertise {
    match (explicit, bind) {
        (Some(address), _) => Advertise::Explicit(address.clone()),
        (None, Bind::Host(host)) if port != 0 && !bind.is_loopback() => {
            Advertise::Explicit(Address { host: host.clone(), port })
        }
        (None, _) => Advertise::LocalAddress,
    }
}

/// The names and addresses of `NAME://host:port,...`, each name once.
fn endpoints(text: &str) -> Result<Vec<(String, Address)>, ListenerError> {
    let mut endpoints: Vec<(String, Address)> = Vec::new();
    for element in super::value::elements(text) {
        let endpoint = element.split_once("://").and_then(|(name, address)| {
            Some((name.trim().to_ascii_uppercase(), Address::parse(address)?))
        });
        let (name, address) = endpoint.ok_or_else(|| ListenerError::Form(element.to_owned()))?;
        if endpoints.iter().any(|(other, _)| *other == name) {
            return Err(ListenerError::Twice(name));
        }
        endpoints.push((name, address));
    }
    Ok(endpoints)
}

fn check_protocol(listener: &str, map: &str) -> Result<(), ListenerError> {
    let protocol = super::value::elements(map).find_map(|pair| {
        let (name, protocol) = pair.split_once(':')?;
        name.trim().eq_ignore_ascii_case(listener).then(|| protocol.trim().to_ascii_uppercase())
    });
    let name = listener.to_owned();
    match protocol {
        None => Err(ListenerError::NoProtocol(name)),
        Some(protocol) if protocol == "PLAINTEXT" => Ok(()),
        Some(protocol) => Err(ListenerError::Protocol { name, protocol }),
    }
}

fn names(list: &str) -> impl Iterator<Item = String> {
    super::value::elements(list).map(str::to_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)], allow_insecure: bool) -> Result<Vec<Listener>, ListenerError> {
        let fixed = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        listeners(&Layers { fixed, ..Layers::default() }, allow_insecure)
    }

    fn check(pairs: &[(&str, &str)], bind: Bind, port: u16, advertise: Advertise) {
        let name = "PLAINTEXT".to_owned();
        assert_eq!(of(pairs, true), Ok(vec![Listener { name, bind, port, advertise }]));
    }

    fn explicit(text: &str) -> Advertise {
        Advertise::Explicit(Address::parse(text).unwrap())
    }

    #[test]
    fn clients_are_told_what_they_can_reach() {
        let here = Advertise::LocalAddress;
        check(&[], Bind::Loopback, 9092, here.clone());
        check(&[("listeners", "plaintext://:19092")], Bind::All, 19092, here.clone());
        check(&[("listeners", "PLAINTEXT://0.0.0.0:0")], Bind::All, 0, here.clone());
        let host = |host: &str| Bind::Host(host.to_owned());
        check(&[("listeners", "PLAINTEXT://[::1]:1")], host("::1"), 1, here.clone());
        check(&[("listeners", "PLAINTEXT://10.0.0.1:0")], host("10.0.0.1"), 0, here);
        check(&[("listeners", "PLAINTEXT://db:9")], host("db"), 9, explicit("db:9"));
        check(
            &[("listeners", "PLAINTEXT://:9092"), ("advertised.listeners", "PLAINTEXT://kafka:1")],
            Bind::All,
            9092,
            explicit("kafka:1"),
        );
    }

    #[test]
    fn the_file_that_kafka_ships_has_one_listener_of_ours() {
        check(
            &[
                ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
                ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
                ("controller.listener.names", "CONTROLLER"),
                ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
            ],
            Bind::All,
            9092,
            explicit("localhost:9092"),
        );
    }

    #[test]
    fn bad_listeners_are_named() {
        let check = |pairs: &[(&str, &str)], error: ListenerError| {
            assert_eq!(of(pairs, true), Err(error));
        };
        check(&[("listeners", "localhost:1")], ListenerError::Form("localhost:1".into()));
        check(&[("listeners", "A://::1:1")], ListenerError::Form("A://::1:1".into()));
        check(&[("listeners", "")], ListenerError::None);
        check(&[("listeners", "A://:1,a://:2")], ListenerError::Twice("A".into()));
        check(&[("listeners", "A://:1")], ListenerError::NoProtocol("A".into()));
        let (name, protocol) = ("SSL".into(), "SSL".into());
        check(&[("listeners", "SSL://:1")], ListenerError::Protocol { name, protocol });
        check(&[("advertised.listeners", "B://a:1")], ListenerError::NotListening("B".into()));
        check(
            &[("advertised.listeners", "PLAINTEXT://:1")],
            ListenerError::Unreachable(Address { host: String::new(), port: 1 }),
        );
    }

    #[test]
    fn other_machines_reach_a_plain_listener_only_when_that_is_said() {
        for safe in ["PLAINTEXT://localhost:1", "PLAINTEXT://127.0.0.1:1", "PLAINTEXT://[::1]:1"] {
            assert!(of(&[("listeners", safe)], false).is_ok());
        }
        for open in ["PLAINTEXT://:1", "PLAINTEXT://0.0.0.0:1", "PLAINTEXT://example.org:1"] {
            let refused = of(&[("listeners", open)], false);
            assert!(matches!(refused, Err(ListenerError::Insecure { .. })), "{open}");
        }
    }

    #[test]
    fn addresses_round_trip() {
        for text in ["localhost:9092", "[::1]:0", ":9092", "10.0.0.1:65535"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for text in ["localhost", "localhost:", "localhost:65536", "::1:9092"] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
