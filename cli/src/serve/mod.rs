//! `klamm serve`: the broker.

mod banner;
mod open_files;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use klamm_broker::config::{BrokerSettings, Origin};
use klamm_broker::{Broker, StartError};
use tracing_subscriber::EnvFilter;

use crate::failure::{ErrorStyle, Failure};
use crate::signals::Signals;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
If a setting is given in several places, the last of these wins: its default, the file of --config, \
a variable such as KAFKA_LOG_DIRS for log.dirs, -X, a flag of its own.

What is logged is chosen by KLAMM_LOG or RUST_LOG, as in KLAMM_LOG=klamm_broker=debug.

One SIGINT or SIGTERM ends the broker well: requests under way have shutdown.timeout.ms, and then \
the logs are synced. A second one ends it at once; nothing that was acknowledged is lost by that.")]
pub(crate) struct Args {
    /// A file of settings: Kafka's server.properties, or the same keys in a file ending in .toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the data is [default: ./klamm-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where Kafka clients connect; port 0 takes any that is free. Beyond this machine only with
    /// -X allow.insecure.listeners=true [default: localhost:9092]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Vec<String>,
    /// Where /healthz, /readyz and /metrics are; an empty text for nowhere [default:
    /// 127.0.0.1:8082]
    #[arg(long, value_name = "HOST:PORT")]
    http_listen: Option<String>,
    /// A setting, by its name in server.properties
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// The format of the message that says where everything is
    #[arg(short = 'o', long = "output", value_enum, default_value_t = banner::Shape::Text)]
    shape: banner::Shape,
}

impl Args {
    pub(crate) fn errors(&self) -> ErrorStyle {
        match self.shape {
            banner::Shape::Text => ErrorStyle::Text,
            banner::Shape::Json => ErrorStyle::Json,
        }
    }

    fn settings(&self) -> anyhow::Result<BrokerSettings> {
        let mut settings = BrokerSettings::new();
        if let Some(path) = &self.config {
            settings.add_file(path).map_err(StartError::from)?;
        }
        // A variable that is not text is none of ours.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        settings.add_environment(std::env::vars_os().filter_map(text));
        for argument in &self.settings {
            settings.add_argument(argument).map_err(StartError::from)?;
        }
        if let Some(folder) = &self.data_dir {
            let flag = Origin::Flag { flag: "--data-dir" };
            let name = folder.to_str().ok_or_else(|| {
                Failure::Usage(format!("--data-dir {}: not UTF-8", folder.display()))
            })?;
            settings.set("log.dirs", name, flag);
        }
        if !self.listen.is_empty() {
            settings.set_listen(&self.listen, Origin::Flag { flag: "--listen" });
        }
        if let Some(address) = &self.http_listen {
            settings.set("http.listen", address, Origin::Flag { flag: "--http-listen" });
        }
        Ok(settings)
    }
}

/// Serves until a signal ends it.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let filter = ["KLAMM_LOG", "RUST_LOG"].iter().find_map(|name| std::env::var(name).ok());
    let filter = EnvFilter::try_new(filter.as_deref().unwrap_or("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter.map_err(|error| Failure::Usage(error.to_string()))?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // To tell that a line could not be written would end the task that wrote it.
        .log_internal_errors(false)
        .init();
    open_files::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(args));
    runtime.shutdown_background();
    served
}

async fn serve(args: &Args) -> anyhow::Result<()> {
    let settings = args.settings()?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let mut signals = Signals::new()?;
    let starting = Broker::builder().settings(settings).start();
    let broker = tokio::select! {
        started = starting => started?,
        () = signals.next() => return Err(Failure::Interrupted.into()),
    };
    banner::print(&broker, args.shape)?;
    signals.next().await;
    tracing::info!("stopping; once more to stop at once");
    tokio::select! {
        _ = broker.stop() => {
            tracing::info!("stopped");
            Ok(())
        }
        () = signals.next() => Err(Failure::Interrupted.into()),
    }
}
