//! `unsent-producer`: see the README of this folder. `--print-config` shows its settings.
#![forbid(unsafe_code)]

use std::io::Write as _;

use common::config::{Config, Finished};
use common::{service, telemetry};
use unsent::producer::{self, Settings};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    telemetry::log_to_stderr();
    let mut config = Config::load()?;
    let settings = Settings::from_config(&mut config);
    let stores = unsent::config::stores(&mut config)?;
    if let Finished::Print(text) = config.finish()? {
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    }
    let running = producer::start(settings, stores).await?;
    tracing::info!(address = %running.address(), "listening");
    service::asked_to_end().await;
    running.stop().await
}
