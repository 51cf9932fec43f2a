//! Modes that go through librdkafka, as an application would.

pub(crate) mod consume;
mod consumer;
pub(crate) mod e2e;
pub(crate) mod mock;
pub(crate) mod produce;
mod producer;

use clap::Args;
use rdkafka::config::ClientConfig;

use crate::args::{self, Broker};

/// Settings of librdkafka that have no option of their own here.
#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    /// A setting of librdkafka, KEY=VALUE; may be repeated
    #[arg(long = "conf", value_parser = args::key_value)]
    more: Vec<(String, String)>,
}

impl Settings {
    /// For a client of this broker: librdkafka's defaults but for these.
    fn client(&self, broker: &Broker) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &broker.address);
        config
    }

    /// Puts what the user said on top of everything.
    fn finish(&self, config: &mut ClientConfig) {
        for (key, value) in &self.more {
            config.set(key, value);
        }
    }
}
