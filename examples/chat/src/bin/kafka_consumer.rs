//! The database writer: start up to as many as the topic has partitions.
#![forbid(unsafe_code)]

use std::io::Write as _;

use chat::persister::{self, Settings};
use common::config::{Config, Finished};
use common::db::{self, Database};
use common::service::asked_to_end;
use common::telemetry;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut config = Config::load()?;
    let (settings, database) = (Settings::read(&mut config), db::Settings::read(&mut config));
    if let Finished::Print(text) = config.finish()? {
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    }
    telemetry::log_to_stderr();
    let running = persister::start(settings, Database::open(&database).await?).await?;
    tracing::info!(address = %running.address(), "listening");
    asked_to_end().await;
    running.stop().await
}
