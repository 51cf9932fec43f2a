//! `SuperChat`: start as many as there is work for.
#![forbid(unsafe_code)]

use std::io::Write as _;

use chat::llm::{self, Settings};
use common::bus::{self, Bus};
use common::config::{Config, Finished};
use common::service::asked_to_end;
use common::telemetry::{self, Telemetry};
use klamm_utils::task::TaskGroup;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut config = Config::load()?;
    let (settings, bus) = (Settings::read(&mut config), bus::Settings::read(&mut config));
    if let Finished::Print(text) = config.finish()? {
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    }
    telemetry::log_to_stderr();
    let (tasks, telemetry) = (TaskGroup::new("llm-worker"), Telemetry::new());
    let bus = Bus::open(&bus, &tasks, &telemetry)?;
    let running = llm::start_with(settings, bus, telemetry, tasks).await?;
    tracing::info!(address = %running.address(), "listening");
    asked_to_end().await;
    running.stop().await
}
