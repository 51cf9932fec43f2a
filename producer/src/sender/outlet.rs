//! The ways to the brokers.

use std::collections::BTreeSet;
use std::time::Instant;

use klamm_client::config::keys;
use klamm_client::{Connection, Result};
use klamm_utils::backoff::Backoff;
use klamm_utils::clock;

use super::Sender;
use super::report::{Report, report};
use crate::lane::Way;
use crate::partition_queue::PartitionQueue;

/// The way to one broker.
pub(super) struct Outlet {
    pub(super) retry_at: Option<Instant>,
    connection: Option<(Way, Connection)>,
    connecting: bool,
    backoff: Backoff,
}

impl Outlet {
    fn new(backoff: Backoff) -> Self {
        Self { retry_at: None, connection: None, connecting: false, backoff }
    }
}

impl Sender {
    /// The connection to a broker if one more request may be sent on it; opens it if there is
    /// none.
    pub(super) fn free_connection(&mut self, node: i32, now: Instant) -> Option<(Way, Connection)> {
        let settings = &self.shared.settings;
        let new = || Outlet::new(settings.retry.backoff());
        let outlet = self.outlets.entry(node).or_insert_with(new);
        outlet.connection.take_if(|(_, connection)| !connection.is_alive());
        let may_try = outlet.retry_at.is_none_or(|at| at <= now);
        if outlet.connection.is_none() && !outlet.connecting && may_try {
            outlet.connecting = true;
            let kafka = self.shared.kafka.clone();
            let own = kafka.config().get(&keys::REQUEST_TIMEOUT);
            let patience = settings.request_timeout.saturating_sub(own);
            let connect = async move {
                Report::Connected(node, kafka.connect_patiently(node, patience).await)
            };
            report(&self.tasks, &self.reporter, "connect", connect);
        }
        let may_send = self.answers.count(node) < settings.in_flight;
        outlet.connection.clone().filter(|_| may_send)
    }

    pub(super) fn connected(&mut self, node: i32, connected: Result<Connection>) {
        let Some(outlet) = self.outlets.get_mut(&node) else { return };
        outlet.connecting = false;
        match connected {
            Ok(connection) => {
                self.ways += 1;
                outlet.connection = Some((Way(self.ways), connection));
                outlet.retry_at = None;
                outlet.backoff.reset();
            }
            Err(error) => {
                tracing::warn!(node, %error, "no connection");
                outlet.retry_at = Some(clock::now() + outlet.backoff.next_pause());
                let metadata = self.shared.kafka.metadata();
                let is_led = |queue: &PartitionQueue| {
                    metadata.leader(&queue.topic, queue.partition) == Some(node)
                };
                // Its partitions may have another leader by now.
                let places = self.active.iter().filter_map(|id| self.lanes.get(id));
                let led = places.map(|place| &place.queue).filter(|queue| is_led(queue));
                let topics: BTreeSet<_> = led.map(|queue| queue.topic.clone()).collect();
                self.blame(error, is_led);
                topics.into_iter().for_each(|topic| self.locate(topic));
            }
        }
    }
}
