//! How each service is started in this process.

use std::net::SocketAddr;

use common::bus::Bus;
use common::config::Config;
use common::db::{self, Database};
use common::service::Running;

use crate::cast::Part;

/// What all services share.
#[derive(Clone, Debug)]
pub(super) struct Backends {
    /// By the names under which a process would read them.
    settings: Vec<(String, String)>,
    database: Database,
    bus: Bus,
}

impl Backends {
    pub(super) async fn open(settings: Vec<(String, String)>) -> anyhow::Result<Self> {
        let database = Database::open(&db::Settings::read(&mut config(&settings)?)).await?;
        Ok(Self { settings, database, bus: Bus::memory() })
    }

    /// Starts `part`, which listens at `listen`.
    pub(super) async fn start(&self, part: Part, listen: SocketAddr) -> anyhow::Result<Running> {
        let config = config(&[self.settings.clone(), part.settings(listen)].concat())?;
        anyhow::bail!("{} is not among {config:?} {:?} {:?}", part.name, self.database, self.bus)
    }
}

fn config(settings: &[(String, String)]) -> anyhow::Result<Config> {
    Config::from_arguments(settings.iter().map(|(name, value)| format!("--{name}={value}")))
}
