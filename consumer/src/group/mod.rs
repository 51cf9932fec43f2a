//! The group of a consumer: what it commits under and, if it subscribes, shares partitions in.

mod assignor;
mod coordinator;
mod machine;
mod member;
mod subscription;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use klamm_client::config::{GroupProtocol, keys};
use klamm_client::group_offsets::Committer;
use klamm_client::{ClientConfig, ConfigError};
use klamm_protocol::wire::Str;
use tokio::sync::watch;

pub(crate) use machine::Identity;
pub(crate) use member::run;
pub(crate) use subscription::Subscription;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: Str,
    pub(crate) protocol: GroupProtocol,
    /// Of a static member.
    pub(crate) instance: Option<Str>,
    /// How often it commits by itself, if it does.
    pub(crate) auto_commit: Option<Duration>,
    /// None where partitions are assigned by hand: then it is no member, and commits from outside.
    subscription: Option<watch::Sender<Subscription>>,
    /// Written by the member's task, read by whoever commits.
    identity: Mutex<Identity>,
}

impl Group {
    /// The group that the settings name, if they name one.
    pub(crate) fn of(
        config: &ClientConfig,
        subscription: Option<Subscription>,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(id) = config.get(&keys::GROUP_ID) else {
            let name = keys::GROUP_ID.name();
            return match subscription {
                Some(_) => Err(ConfigError::Missing { name, purpose: "subscribe" }),
                None => Ok(None),
            };
        };
        let subscribes = subscription.is_some();
        let protocol = config.get(&keys::GROUP_PROTOCOL);
        if subscribes {
            check(config, protocol)?;
        }
        let interval = config.get(&keys::AUTO_COMMIT_INTERVAL);
        Ok(Some(Self {
            id: id.into(),
            protocol,
            instance: config.get(&keys::GROUP_INSTANCE_ID).filter(|_| subscribes).map(Str::from),
            auto_commit: config.get(&keys::ENABLE_AUTO_COMMIT).then_some(interval),
            subscription: subscription.map(watch::Sender::new),
            identity: Mutex::new(Identity::none()),
        }))
    }

    /// Who the consumer is to the coordinator now.
    pub(crate) fn identity(&self) -> Identity {
        self.lock().clone()
    }

    /// As whom it commits, under that identity.
    pub(crate) fn committer(&self, identity: &Identity) -> Committer {
        Committer {
            generation: identity.generation,
            member: identity.member.clone(),
            instance: self.instance.clone(),
        }
    }

    /// As somebody whose offsets no group takes: it was a member, and what it has read may be
    /// another's.
    pub(crate) fn fenced(&self, identity: &Identity) -> Committer {
        let mut committer = self.committer(identity);
        committer.generation = i32::MAX;
        if committer.member.is_empty() {
            committer.member = Str::from_static("lost");
        }
        committer
    }

    /// The member id and the member epoch of a member that speaks the consumer protocol.
    pub(crate) fn epoch(&self) -> Option<(Str, i32)> {
        let Identity { member, generation } = self.identity();
        let has_epoch = self.protocol == GroupProtocol::Consumer && generation >= 0;
        has_epoch.then_some((member, generation))
    }

    /// Takes note of who the member is now. Whether that is another generation of it.
    fn set_identity(&self, identity: &Identity) -> bool {
        let mut known = self.lock();
        let is_newer = identity.is_member() && known.generation != identity.generation;
        if *known != *identity {
            known.clone_from(identity);
        }
        is_newer
    }

    fn lock(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it subscribes to, to be watched; none where partitions are assigned by hand.
    pub(crate) fn subscription(&self) -> Option<watch::Receiver<Subscription>> {
        self.subscription.as_ref().map(watch::Sender::subscribe)
    }

    /// Subscribes to something else, if it subscribes at all.
    pub(crate) fn resubscribe(&self, subscription: Subscription) {
        if let Some(sender) = &self.subscription {
            sender.send_replace(subscription);
        }
    }

    /// Whether it is, or is to become, a member.
    pub(crate) fn subscribes(&self) -> bool {
        self.subscription.is_some()
    }
}

/// The settings of a member make sense together.
fn check(config: &ClientConfig, protocol: GroupProtocol) -> Result<(), ConfigError> {
    let contradicts = |name, other, reason| ConfigError::Contradiction { name, other, reason };
    let protocol_name = keys::GROUP_PROTOCOL.name();
    match protocol {
        GroupProtocol::Classic if config.is_set(&keys::GROUP_REMOTE_ASSIGNOR) => {
            let name = keys::GROUP_REMOTE_ASSIGNOR.name();
            Err(contradicts(name, protocol_name, "in the classic protocol a member assigns"))
        }
        GroupProtocol::Classic
            if config.get(&keys::HEARTBEAT_INTERVAL) >= config.get(&keys::SESSION_TIMEOUT) =>
        {
            let (name, other) = (keys::HEARTBEAT_INTERVAL.name(), keys::SESSION_TIMEOUT.name());
            Err(contradicts(name, other, "a member must be heard before its session is over"))
        }
        GroupProtocol::Classic => Ok(()),
        GroupProtocol::Consumer => {
            let classic = [
                (keys::HEARTBEAT_INTERVAL.name(), config.is_set(&keys::HEARTBEAT_INTERVAL)),
                (keys::SESSION_TIMEOUT.name(), config.is_set(&keys::SESSION_TIMEOUT)),
                (
                    keys::PARTITION_ASSIGNMENT_STRATEGY.name(),
                    config.is_set(&keys::PARTITION_ASSIGNMENT_STRATEGY),
                ),
            ];
            match classic.into_iter().find(|(_, is_set)| *is_set) {
                Some((name, _)) => Err(contradicts(
                    name,
                    protocol_name,
                    "in the consumer protocol the broker says it",
                )),
                None => Ok(()),
            }
        }
    }
}
