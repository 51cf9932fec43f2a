//! From arguments to a client.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use klamm_client::config::keys;
use klamm_client::{ClientConfig, Kafka, Topic};
use klamm_consumer::{ConsumeExt as _, Consumer};
use klamm_protocol::wire::Str;
use klamm_utils::clock;
use tokio::runtime::Builder;

use crate::failure::Failure;
use crate::signals::Signals;

/// The broker that is asked where no other is named.
const DEFAULT: &str = "localhost:9092";

/// The cluster, and how to talk to it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// Brokers to ask first; otherwise those of the client's settings, or localhost:9092
    #[arg(short, long, visible_alias = "brokers", value_name = "HOST:PORT,...")]
    #[arg(env = "KLAMM_BOOTSTRAP")]
    bootstrap: Option<String>,
    /// A properties file with client settings, such as a Java client has
    #[arg(long, value_name = "FILE", env = "KLAMM_CLIENT_CONFIG")]
    client_config: Option<PathBuf>,
    /// A client setting, by Kafka's name or librdkafka's
    #[arg(short = 'X', value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
}

impl ConnectArgs {
    /// The settings: the arguments over the file.
    pub(crate) fn config(&self) -> anyhow::Result<ClientConfig> {
        let mut config = match &self.client_config {
            None => ClientConfig::default(),
            Some(path) => {
                let name = path.display();
                let config = ClientConfig::from_file(path);
                let config = config.and_then(|config| config.check().map(|()| config));
                config.map_err(klamm_client::Error::from).with_context(|| format!("{name}"))?
            }
        };
        if let Some(bootstrap) = &self.bootstrap {
            config = config.set(keys::BOOTSTRAP_SERVERS.name(), bootstrap);
        }
        for (name, value) in &self.settings {
            config = config.set(name, value);
        }
        if !config.is_set(&keys::BOOTSTRAP_SERVERS) {
            config = config.set(keys::BOOTSTRAP_SERVERS.name(), DEFAULT);
        }
        Ok(config)
    }

    /// A client with these settings.
    pub(crate) async fn connect(&self) -> anyhow::Result<Kafka> {
        Ok(Kafka::connect(self.config()?).await?)
    }
}

/// A consumer outside of any group, so that it commits nothing, even if the settings name one.
pub(crate) async fn consumer_alone(kafka: &Kafka) -> klamm_client::Result<Consumer> {
    kafka.consumer().group("").build().await
}

/// How long a topic that brokers create when it is asked for may take to be there.
const CREATION: Duration = Duration::from_secs(5);

/// What the cluster knows of a topic, which may be created by asking.
///
/// # Errors
/// It is not there, and does not come.
pub(crate) async fn find_topic(kafka: &Kafka, name: &str) -> klamm_client::Result<Arc<Topic>> {
    let name = Str::from(name);
    let may_come = kafka.config().get(&keys::ALLOW_AUTO_CREATE);
    let deadline = clock::now() + if may_come { CREATION } else { Duration::ZERO };
    let mut backoff = kafka.retry_backoff();
    loop {
        match kafka.topic(&name).await {
            Err(error) if error.is_retriable() && clock::now() < deadline => {
                tokio::time::sleep(backoff.next_pause()).await;
            }
            found => return found,
        }
    }
}

/// Runs a command that talks to brokers, until it ends or the user ends it.
pub(crate) fn run(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    run_to_end(until_interrupted(command))
}

/// The same on one thread: nothing of it wakes another.
pub(crate) fn run_alone(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    run_on(Builder::new_current_thread(), until_interrupted(command))
}

/// Runs a command that looks after interruptions itself.
pub(crate) fn run_to_end(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    run_on(Builder::new_multi_thread(), command)
}

fn run_on(
    mut runtime: Builder,
    command: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let runtime = runtime.enable_all().build()?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}

async fn until_interrupted(
    command: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        result = command => result,
        interrupted = interrupted() => interrupted,
    }
}

/// Fails when the user wants no more.
pub(crate) async fn interrupted() -> anyhow::Result<()> {
    Signals::new()?.next().await;
    Err(Failure::Interrupted.into())
}

/// Reads `key=value`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().into(), value.into())),
        _ => Err("expected KEY=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_those_that_are_named_nearest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let check = |text: &str, bootstrap: Option<&str>, settings: &[&str], expected: &str| {
            std::fs::write(file.path(), text).unwrap();
            let args = ConnectArgs {
                bootstrap: bootstrap.map(Into::into),
                client_config: Some(file.path().to_owned()),
                settings: settings.iter().map(|text| pair(text).unwrap()).collect(),
            };
            let config = args.config().unwrap();
            assert_eq!(config.get(&keys::BOOTSTRAP_SERVERS), [expected]);
        };
        check("acks=1", None, &[], "localhost:9092");
        check("bootstrap.servers=file:1", None, &[], "file:1");
        check("bootstrap.servers=file:1", Some("argument:1"), &[], "argument:1");
        check("", Some("argument:1"), &["bootstrap.servers=setting:1"], "setting:1");
    }

    #[test]
    fn a_pair_is_cut_at_the_first_sign() {
        assert_eq!(pair("a.b = c=d"), Ok(("a.b".into(), " c=d".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
