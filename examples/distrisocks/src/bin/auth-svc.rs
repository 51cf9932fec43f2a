//! `auth-svc`: owns users. See the README of this folder; `--print-config` shows the settings.
#![forbid(unsafe_code)]

use std::io::Write as _;

use common::auth::{self, Auth};
use common::bus::{self, Bus};
use common::config::{Config, Finished};
use common::db::{self, Database};
use common::service;
use common::telemetry::{self, Telemetry};
use distrisocks::auth_svc::{self, Settings};
use klamm_utils::task::TaskGroup;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    telemetry::log_to_stderr();
    let mut config = Config::load()?;
    let settings = Settings::from_config(&mut config);
    let database = db::Settings::read(&mut config);
    let auth = auth::Settings::read(&mut config);
    let bus = bus::Settings::read(&mut config);
    distrisocks::config::accept_unused(&mut config);
    if let Finished::Print(text) = config.finish()? {
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    }
    let database = Database::open(&database).await?;
    let tasks = TaskGroup::new("bus");
    let bus = Bus::open(&bus, &tasks, &Telemetry::new())?;
    let auth = Auth::new(auth, database.clone(), bus);
    let running = auth_svc::start(settings, auth, database).await?;
    tracing::info!(address = %running.address(), "listening");
    service::asked_to_end().await;
    running.stop().await?;
    tasks.stop();
    Ok(())
}
