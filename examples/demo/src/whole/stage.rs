//! What runs in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use common::service::Running;
use klamm_broker::{Broker, StoppedBroker};
use tokio::sync::Mutex;

use super::services::Backends;
use crate::cast::{CAST, Part};
use crate::control::{Instance, Refused, Stage};
use crate::readiness::until_ready;

/// The name of the broker among the instances.
const BROKER: &str = "klamm";

/// The broker and all services. Clones are handles to the same.
#[derive(Clone, Debug)]
pub(super) struct Whole(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backends: Backends,
    /// Locked while something is started or ended, so that no two do so at once.
    running: Mutex<Everything>,
}

#[derive(Debug)]
struct Everything {
    broker: Lives,
    kafka: Option<SocketAddr>,
    slots: Vec<Slot>,
}

#[derive(Debug)]
enum Lives {
    Yes(Broker),
    No(StoppedBroker),
    /// It did not come back.
    Lost,
}

#[derive(Debug)]
struct Slot {
    part: Part,
    address: SocketAddr,
    running: Option<Running>,
}

impl Whole {
    /// Starts every service of the cast, and waits until all are ready.
    pub(super) async fn start(broker: Broker, backends: Backends) -> anyhow::Result<Self> {
        let mut slots = Vec::new();
        for part in CAST {
            let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let running = backends.start(part, anywhere).await;
            let running = running.with_context(|| format!("{} does not start", part.name))?;
            slots.push(Slot { part, address: running.address(), running: Some(running) });
        }
        for slot in &slots {
            until_ready(slot.part.name, slot.address).await;
        }
        let kafka = broker.bootstrap().parse().ok();
        let running = Mutex::new(Everything { broker: Lives::Yes(broker), kafka, slots });
        Ok(Self(Arc::new(Inner { backends, running })))
    }

    /// Who is where.
    pub(super) async fn cast(&self) -> Vec<(Part, SocketAddr)> {
        let running = self.0.running.lock().await;
        running.slots.iter().map(|slot| (slot.part, slot.address)).collect()
    }

    /// Ends the services, the last one first, and the broker.
    pub(super) async fn stop(&self) {
        let mut everything = self.0.running.lock().await;
        while let Some(slot) = everything.slots.pop() {
            if let Some(Err(error)) = stopped(slot.running).await {
                tracing::warn!(name = slot.part.name, %error, "did not end well");
            }
        }
        if let Lives::Yes(broker) = std::mem::replace(&mut everything.broker, Lives::Lost) {
            drop(broker.stop().await);
        }
    }
}

async fn stopped(running: Option<Running>) -> Option<anyhow::Result<()>> {
    Some(running?.stop().await)
}

impl Everything {
    async fn kill_broker(&mut self) {
        self.broker = match std::mem::replace(&mut self.broker, Lives::Lost) {
            Lives::Yes(broker) => Lives::No(broker.kill().await),
            other => other,
        };
    }

    async fn start_broker(&mut self) -> anyhow::Result<()> {
        self.broker = match std::mem::replace(&mut self.broker, Lives::Lost) {
            Lives::No(stopped) => Lives::Yes(stopped.restart().await?),
            other => other,
        };
        Ok(())
    }

    fn slot(&mut self, name: &str) -> Result<&mut Slot, Refused> {
        self.slots.iter_mut().find(|slot| slot.part.name == name).ok_or(Refused::Unknown)
    }
}

/// A service in this process cannot be killed apart from the others: it is stopped, and its
/// sockets break. The broker can be, and is.
impl Stage for Whole {
    async fn instances(&self) -> Vec<Instance> {
        let everything = self.0.running.lock().await;
        let broker = Instance {
            name: BROKER.to_owned(),
            kind: "broker".to_owned(),
            address: everything.kafka,
            pid: None,
            alive: matches!(everything.broker, Lives::Yes(_)),
        };
        let services = everything.slots.iter().map(|slot| Instance {
            name: slot.part.name.to_owned(),
            kind: slot.part.role.kind().to_owned(),
            address: (slot.address.port() != 0).then_some(slot.address),
            pid: None,
            alive: slot.running.is_some(),
        });
        std::iter::once(broker).chain(services).collect()
    }

    async fn kill(&self, name: &str) -> Result<(), Refused> {
        let mut everything = self.0.running.lock().await;
        if name == BROKER {
            everything.kill_broker().await;
            return Ok(());
        }
        let running = everything.slot(name)?.running.take();
        stopped(running).await.transpose().map(drop).map_err(Refused::from)
    }

    async fn start(&self, name: &str) -> Result<(), Refused> {
        let mut everything = self.0.running.lock().await;
        if name == BROKER {
            return everything.start_broker().await.map_err(Refused::from);
        }
        let slot = everything.slot(name)?;
        if slot.running.is_none() {
            slot.running = Some(self.0.backends.start(slot.part, slot.address).await?);
        }
        Ok(())
    }
}
