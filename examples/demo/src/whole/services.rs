//! How each service is started in this process.

use std::net::SocketAddr;

use common::auth::{self, Auth};
use common::bus::Bus;
use common::config::Config;
use common::db::{self, Database};
use common::kv::{Kv, Stores};
use common::registry::{Mode, Registry};
use common::service::Running;

use crate::cast::{Part, Role};

/// What all services share.
#[derive(Clone, Debug)]
pub(super) struct Backends {
    /// By the names under which a process would read them.
    settings: Vec<(String, String)>,
    database: Database,
    bus: Bus,
    stores: Stores,
    registry: Registry,
}

impl Backends {
    /// The database that the settings name, and everything else in memory.
    pub(super) async fn open(settings: Vec<(String, String)>) -> anyhow::Result<Self> {
        let database = Database::open(&db::Settings::read(&mut config(&settings)?)).await?;
        let registry = Registry::new(Kv::memory(), Mode::Multi);
        Ok(Self { settings, database, bus: Bus::memory(), stores: Stores::memory(), registry })
    }

    /// Starts `part`, which listens at `listen`.
    pub(super) async fn start(&self, part: Part, listen: SocketAddr) -> anyhow::Result<Running> {
        let mut config = config(&[self.settings.clone(), part.settings(listen)].concat())?;
        let Self { database, bus, stores, registry, .. } = self.clone();
        match part.role {
            Role::Chat => {
                let settings = chat::server::Settings::read(&mut config);
                chat::server::start(settings, chat::server::Backends { database, bus }).await
            }
            Role::Persister => {
                chat::persister::start(chat::persister::Settings::read(&mut config), database).await
            }
            Role::Llm => chat::llm::start(chat::llm::Settings::read(&mut config), bus).await,
            Role::Accounts => {
                let auth = Auth::new(auth::Settings::read(&mut config), database.clone(), bus);
                let settings = distrisocks::auth_svc::Settings::from_config(&mut config);
                distrisocks::auth_svc::start(settings, auth, database).await
            }
            Role::Pod => {
                let auth = Auth::new(auth::Settings::read(&mut config), database.clone(), bus);
                let settings = distrisocks::pod::Settings::from_config(&mut config);
                let backends = distrisocks::pod::Backends { database, registry, auth };
                distrisocks::pod::start(settings, backends).await
            }
            Role::UnsentProducer => {
                let settings = unsent::producer::Settings::from_config(&mut config);
                unsent::producer::start(settings, stores).await
            }
            Role::UnsentConsumer => {
                let settings = unsent::consumer::Settings::from_config(&mut config);
                unsent::consumer::start(settings, stores).await
            }
        }
    }
}

fn config(settings: &[(String, String)]) -> anyhow::Result<Config> {
    Config::from_arguments(settings.iter().map(|(name, value)| format!("--{name}={value}")))
}
