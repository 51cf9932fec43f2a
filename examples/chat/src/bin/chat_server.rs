//! A chat server: `chat-server --server-name Asia --server-port 8081`.
#![forbid(unsafe_code)]

use std::io::Write as _;

use chat::server::{self, Backends, Settings};
use common::bus::{self, Bus};
use common::config::{Config, Finished};
use common::db::{self, Database};
use common::service::asked_to_end;
use common::telemetry::{self, Telemetry};
use klamm_utils::task::TaskGroup;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut config = Config::load()?;
    let settings = Settings::read(&mut config);
    let (database, bus) = (db::Settings::read(&mut config), bus::Settings::read(&mut config));
    if let Finished::Print(text) = config.finish()? {
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    }
    telemetry::log_to_stderr();
    let (tasks, telemetry) = (TaskGroup::new("chat-server"), Telemetry::new());
    let bus = Bus::open(&bus, &tasks, &telemetry)?;
    let backends = Backends { database: Database::open(&database).await?, bus };
    let running = server::start_with(settings, backends, telemetry, tasks).await?;
    tracing::info!(address = %running.address(), "listening");
    tokio::select! {
        () = asked_to_end() => running.stop().await,
        () = running.ending() => {
            running.stop().await?;
            anyhow::bail!("the server has ended by itself: start it again")
        }
    }
}
