//! What goes wrong on purpose, so that tests see how their programs take it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use klamm_broker::Broker;
//! use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
//!
//! let broker = Broker::builder().ephemeral().start().await?;
//! let refused = Fault::error(ApiKey::Produce, ErrorCode::NOT_ENOUGH_REPLICAS);
//! let refused = broker.faults().add(refused.topic("orders").times(2))?;
//! // Here the program under test sends an order.
//! assert_eq!(refused.strikes(), 0, "it sent none");
//! # Ok(())
//! # }
//! ```
//!
//! Faults strike in the order in which they were added; several may strike one request. They
//! outlast a [restart](crate::StoppedBroker::restart). While there is none, a request pays one
//! look at a flag.

mod added;
mod fault;
mod partitions;
mod refuse;
mod spoil;
mod target;
#[cfg(test)]
mod tests;

pub use added::AddedFault;
pub use fault::{Fault, FaultError};
pub use klamm_protocol::api::ApiKey;
pub use klamm_protocol::error_code::ErrorCode;

pub(crate) use added::Armed;
pub(crate) use fault::Effect;
pub(crate) use refuse::{Grain, Refuse};
pub(crate) use target::Target;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::server::SERVED;

/// The faults of one broker.
#[derive(Debug, Default)]
pub struct Faults {
    /// Whether there are any.
    any: AtomicBool,
    armed: Mutex<Vec<Arc<Armed>>>,
}

impl Faults {
    /// From now on, requests meet this fault.
    ///
    /// # Errors
    /// The API is not served, or has no place for an error code, or does not say which topics and
    /// partitions it is about.
    pub fn add(&self, fault: Fault) -> Result<AddedFault, FaultError> {
        let api = fault.api;
        let served = SERVED.iter().find(|served| served.key == api);
        let served = served.ok_or(FaultError::NotServed { api })?;
        fault.check(served.names, served.errors)?;
        tracing::info!(?fault, "a fault is added");
        let armed = Arc::new(Armed::new(fault));
        self.change(|faults| faults.push(Arc::clone(&armed)));
        Ok(AddedFault::new(armed))
    }

    /// Takes every fault away.
    pub fn clear(&self) {
        self.change(Vec::clear);
    }

    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Those for an API, in the order in which they were added.
    pub(crate) fn of(&self, api: ApiKey) -> Vec<Arc<Armed>> {
        let mut found = Vec::new();
        self.change(|faults| {
            faults.retain(|armed| !armed.is_spent());
            found.extend(faults.iter().filter(|armed| armed.fault().api == api).cloned());
        });
        found
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Armed>>)) {
        let mut faults = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut faults);
        self.any.store(!faults.is_empty(), Ordering::Release);
    }
}
