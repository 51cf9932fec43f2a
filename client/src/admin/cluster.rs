//! The cluster as a whole, and what each broker speaks.

use std::sync::Arc;

use klamm_protocol::wire::Str;

use super::{Admin, Effect, Outcomes};
use crate::error::Result;
use crate::metadata::Broker;
use crate::together::together;
use crate::versions::Versions;

/// The cluster as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its own identifier.
    pub cluster_id: Option<Str>,
    /// The broker that takes administrative requests.
    pub controller: Option<i32>,
    /// Its brokers, in the order of their node ids.
    pub brokers: Vec<Broker>,
}

impl Admin {
    /// The cluster and its brokers.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription> {
        let (metadata, _) =
            self.retry(Effect::Reads, async || self.kafka.refresh(Some(&[])).await).await?;
        Ok(ClusterDescription {
            cluster_id: metadata.cluster_id.clone(),
            controller: metadata.controller,
            brokers: metadata.brokers.values().cloned().collect(),
        })
    }

    /// What each broker speaks.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn api_versions(&self) -> Result<Outcomes<Broker, Arc<Versions>>> {
        let deadline = self.deadline();
        let cluster = self.describe_cluster().await?;
        let ask = async |broker: Broker| {
            let connection = self.until(deadline, self.kafka.broker(broker.id)).await;
            (broker, connection.map(|open| Arc::new(open.versions().clone())))
        };
        Ok(together(cluster.brokers.into_iter().map(ask)).await)
    }
}
