//! Arguments that several modes share.

use clap::Args;

use crate::payload::PayloadKind;

/// Which broker.
#[derive(Args, Clone, Debug)]
pub(crate) struct Broker {
    /// Where the broker listens
    #[arg(long = "broker", visible_alias = "brokers", default_value = "127.0.0.1:9092")]
    pub(crate) address: String,
    /// The broker's process, whose CPU time and memory are to be reported
    #[arg(long = "broker-pid")]
    pub(crate) pid: Option<u32>,
}

/// Which topic, and how it is made.
#[derive(Args, Clone, Debug)]
pub(crate) struct Topic {
    /// The topic; it is created if it is missing
    #[arg(long = "topic", default_value = "load")]
    pub(crate) name: String,
    /// How many of its partitions are used
    #[arg(long, default_value_t = 1)]
    pub(crate) partitions: i32,
    /// Replicas of a topic that is created
    #[arg(long, default_value_t = 1)]
    pub(crate) replication: i16,
    /// A setting, KEY=VALUE, of a topic that is created; may be repeated
    #[arg(long, value_parser = key_value)]
    pub(crate) create_config: Vec<(String, String)>,
    /// Take the topic as it is, and do not create it
    #[arg(long)]
    pub(crate) no_create: bool,
}

/// What is measured: one topic of one broker.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) broker: Broker,
    #[command(flatten)]
    pub(crate) topic: Topic,
}

/// For how long.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Span {
    /// How long to measure
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// How long to go on before that
    #[arg(long = "warmup", default_value_t = 1.0)]
    pub(crate) warmup_seconds: f64,
}

/// What the records hold.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Records {
    /// Bytes of a record's value
    #[arg(long, default_value_t = 1024)]
    pub(crate) size: usize,
    /// What the values look like
    #[arg(long, value_enum, default_value_t = PayloadKind::Text)]
    pub(crate) payload: PayloadKind,
}

/// `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// What a producer waits for: 1 or `all`.
pub(crate) fn acks(text: &str) -> Result<i16, String> {
    match text {
        "1" => Ok(1),
        "all" | "-1" => Ok(-1),
        _ => Err("it must be 1 or all: without answers there is nothing to measure".to_owned()),
    }
}

/// As [`acks`] reads it.
pub(crate) fn acks_name(acks: i16) -> &'static str {
    if acks == 1 { "1" } else { "all" }
}
