//! What the broker says when it is there.

use std::fmt::Write as _;

use clap::ValueEnum;
use klamm_broker::Broker;
use klamm_broker::config::{Advertise, Bind, Listener};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Stdout;

/// How the broker says that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shape {
    /// A few lines for people
    Text,
    /// One JSON object, once clients can connect
    Json,
}

/// The names of the fields are a promise to scripts.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Banner {
    version: &'static str,
    cluster_id: String,
    node_id: i32,
    data_dir: String,
    topics: usize,
    partitions: usize,
    /// Where the broker listens, as it was told to.
    listeners: Vec<String>,
    /// What clients are told to connect to.
    advertised: Vec<String>,
    /// Whether there are clients who are told the address that they have reached.
    advertises_local_address: bool,
    /// What to give a client as `bootstrap.servers`.
    bootstrap: String,
    http: Option<String>,
}

/// Prints it. That nobody reads it keeps no broker from serving.
pub(super) fn print(broker: &Broker, shape: Shape) -> anyhow::Result<()> {
    let banner = Banner::of(broker);
    let mut stdout = Stdout::new();
    match shape {
        Shape::Text => stdout.text(&banner.text()),
        Shape::Json => stdout.json_line(&banner)?,
    }
    match stdout.finish() {
        Err(error) if matches!(error.downcast_ref(), Some(Failure::OutputClosed)) => Ok(()),
        result => result,
    }
}

impl Banner {
    fn of(broker: &Broker) -> Self {
        let config = broker.config();
        let (topics, partitions) = broker.topic_counts();
        let dir = broker.data_dir();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            cluster_id: broker.cluster_id(),
            node_id: config.node_id,
            data_dir: dir.canonicalize().unwrap_or_else(|_| dir.to_owned()).display().to_string(),
            topics,
            partitions,
            listeners: config.listeners.iter().map(describe).collect(),
            advertised: broker.advertised().iter().map(ToString::to_string).collect(),
            advertises_local_address: config.listeners.iter().any(advertises_local_address),
            bootstrap: broker.bootstrap(),
            http: broker.http_address().map(|address| format!("http://{address}")),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |label: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {label:<10}{value}");
        };
        line("cluster", &format!("{}, node {}", self.cluster_id, self.node_id));
        let counts = format!("{} topics, {} partitions", self.topics, self.partitions);
        line("data", &format!("{} ({counts})", self.data_dir));
        line("listening", &self.listeners.join(", "));
        let mut told = self.advertised.clone();
        if self.advertises_local_address {
            told.push("or the address that they have reached".into());
        }
        line("clients", &format!("are told to connect to {}", told.join(", ")));
        match &self.http {
            Some(http) => line("http", &format!("{http}/healthz, /readyz, /metrics")),
            None => line("http", "off"),
        }
        format!("klamm {} is ready\n{text}", self.version)
    }
}

fn advertises_local_address(listener: &Listener) -> bool {
    listener.bind == Bind::All && listener.advertise == Advertise::LocalAddress
}

fn describe(listener: &Listener) -> String {
    let Listener { name, bind, port, .. } = listener;
    let port = if *port == 0 { "any free port".to_owned() } else { format!("port {port}") };
    let place = match bind {
        Bind::Loopback => "this machine alone",
        Bind::All => "all interfaces",
        Bind::Host(host) => host,
    };
    format!("{name} at {place}, {port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_where_and_what_clients_are_told() {
        let mut banner = Banner {
            version: "1.2.3",
            cluster_id: "abc".into(),
            node_id: 7,
            data_dir: "/data".into(),
            topics: 2,
            partitions: 5,
            listeners: vec!["PLAINTEXT at this machine alone, port 9092".into()],
            advertised: vec!["localhost:9092".into()],
            advertises_local_address: false,
            bootstrap: "localhost:9092".into(),
            http: Some("http://127.0.0.1:8082".into()),
        };
        let expected = "\
klamm 1.2.3 is ready
  cluster   abc, node 7
  data      /data (2 topics, 5 partitions)
  listening PLAINTEXT at this machine alone, port 9092
  clients   are told to connect to localhost:9092
  http      http://127.0.0.1:8082/healthz, /readyz, /metrics
";
        assert_eq!(banner.text(), expected);
        banner.http = None;
        banner.advertises_local_address = true;
        let text = banner.text();
        assert!(text.contains("localhost:9092, or the address that they have reached\n"), "{text}");
        assert!(text.ends_with("  http      off\n"));
    }
}
