//! Whether a database does what the tables of messages need: `--postgres-host` and so on, or
//! `--sqlite-path`.
#![forbid(unsafe_code)]

use common::config::{Config, Finished};
use common::db::{self, Database};
use distrisocks::store::conformance;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut config = Config::load()?;
    let settings = db::Settings::read(&mut config);
    if let Finished::Run = config.finish()? {
        conformance::check(&Database::open(&settings).await?).await?;
    }
    Ok(())
}
