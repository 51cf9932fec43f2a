//! The processes that run, and who looks after them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::sync::Mutex;

use super::process::{LOOK, Process, Spec};
use crate::control::{Instance, Refused, Stage};

/// All processes. Clones are handles to the same.
#[derive(Clone, Debug)]
pub(super) struct Processes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    logs: PathBuf,
    /// Locked while one is started or ended, so that no two do so at once.
    slots: Mutex<Vec<Slot>>,
}

#[derive(Debug)]
struct Slot {
    spec: Spec,
    process: Option<Process>,
    /// Whether it was ended by request: it stays so.
    dismissed: bool,
}

impl Processes {
    /// None yet. Each will write its log into `logs`.
    pub(super) fn new(logs: PathBuf) -> Self {
        Self(Arc::new(Inner { logs, slots: Mutex::default() }))
    }

    /// Starts another one.
    pub(super) async fn add(&self, spec: Spec) -> anyhow::Result<()> {
        let mut slots = self.0.slots.lock().await;
        let process = spec.start(&self.0.logs)?;
        tracing::info!(name = %spec.name, pid = process.pid(), "started");
        slots.push(Slot { spec, process: Some(process), dismissed: false });
        Ok(())
    }

    /// Waits until all are ready. Whoever ends meanwhile is started again if `restart` says so.
    ///
    /// # Errors
    /// One has ended by itself.
    pub(super) async fn ready(&self, restart: bool) -> anyhow::Result<()> {
        let slots = self.0.slots.lock().await;
        let place = |slot: &Slot| slot.spec.place.map(|place| (slot.spec.name.clone(), place));
        let places: Vec<_> = slots.iter().filter_map(place).collect();
        drop(slots);
        let mut looks = tokio::time::interval(LOOK);
        for (name, (address, ready)) in places {
            let mut ready = std::pin::pin!(ready.shows(&name, address));
            loop {
                tokio::select! {
                    biased;
                    () = &mut ready => break,
                    _ = looks.tick() => self.see_that_all_run(restart).await?,
                }
            }
        }
        Ok(())
    }

    async fn see_that_all_run(&self, restart: bool) -> anyhow::Result<()> {
        self.look(restart).await?;
        let slots = self.0.slots.lock().await;
        match slots.iter().find(|slot| slot.process.is_none() && !slot.dismissed) {
            Some(Slot { spec: Spec { name, .. }, .. }) => {
                bail!("{name} has ended: `demo logs {name}` says why")
            }
            None => Ok(()),
        }
    }

    /// Takes note of who has ended by itself, and starts it again if `restart` says so. Tells
    /// whether anything has changed.
    pub(super) async fn look(&self, restart: bool) -> anyhow::Result<bool> {
        let mut changed = false;
        for slot in &mut *self.0.slots.lock().await {
            let Slot { spec, process, dismissed } = slot;
            let Some(status) = process.as_mut().map(Process::ended).transpose()?.flatten() else {
                continue;
            };
            changed = true;
            *process = None;
            tracing::warn!(name = %spec.name, %status, "has ended");
            if restart && !*dismissed {
                *process = Some(spec.start(&self.0.logs)?);
            }
        }
        Ok(changed)
    }

    /// Ends all, the last one first.
    pub(super) async fn stop(&self) {
        while let Some(Slot { spec, process, .. }) = self.0.slots.lock().await.pop() {
            let Some(process) = process else { continue };
            if let Err(error) = process.stop(&spec.name).await {
                tracing::warn!(name = %spec.name, %error, "could not be ended");
            }
        }
    }
}

impl Stage for Processes {
    async fn instances(&self) -> Vec<Instance> {
        let slots = self.0.slots.lock().await;
        let instances = slots.iter().map(|Slot { spec, process, .. }| {
            let pid = process.as_ref().and_then(Process::pid);
            Instance {
                name: spec.name.clone(),
                kind: spec.kind.to_owned(),
                address: spec.place.map(|(address, _)| address),
                pid,
                alive: pid.is_some(),
            }
        });
        instances.collect()
    }

    async fn kill(&self, name: &str) -> Result<(), Refused> {
        let mut slots = self.0.slots.lock().await;
        let slot = slots.iter_mut().find(|slot| slot.spec.name == name).ok_or(Refused::Unknown)?;
        slot.dismissed = true;
        if let Some(mut process) = slot.process.take() {
            process.kill().await.context("it could not be killed")?;
        }
        Ok(())
    }

    async fn start(&self, name: &str) -> Result<(), Refused> {
        let mut slots = self.0.slots.lock().await;
        let slot = slots.iter_mut().find(|slot| slot.spec.name == name).ok_or(Refused::Unknown)?;
        slot.dismissed = false;
        let runs = slot.process.as_mut().is_some_and(|process| matches!(process.ended(), Ok(None)));
        if !runs {
            slot.process = Some(slot.spec.start(&self.0.logs)?);
        }
        Ok(())
    }
}
