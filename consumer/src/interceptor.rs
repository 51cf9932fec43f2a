//! What an application does with every batch that comes in, and hears of every commit.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::batch::ConsumerBatch;
use crate::position::Position;

/// Sees every batch before the application does, and every position that was committed. Tracing,
/// auditing and filtering are done so. Both are called in the middle of things: they must be quick,
/// and never wait. One that panics is logged, and the batch goes on.
pub trait ConsumerInterceptor: Send + Sync {
    /// A batch is about to be given to the application, and its records may be changed. One
    /// without records is passed over.
    fn on_consume(&self, batch: &mut ConsumerBatch) {
        let _ = batch;
    }

    /// These positions were committed.
    fn on_commit(&self, positions: &[Position]) {
        let _ = positions;
    }
}

/// Those of one consumer, in the order in which they were given.
#[derive(Clone, Default)]
pub(crate) struct Interceptors(Vec<Arc<dyn ConsumerInterceptor>>);

impl fmt::Debug for Interceptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interceptors").field(&self.0.len()).finish()
    }
}

impl Interceptors {
    pub(crate) fn push(&mut self, interceptor: Arc<dyn ConsumerInterceptor>) {
        self.0.push(interceptor);
    }

    pub(crate) fn on_consume(&self, batch: &mut ConsumerBatch) {
        for interceptor in &self.0 {
            guard("on_consume", || interceptor.on_consume(batch));
        }
    }

    pub(crate) fn on_commit(&self, positions: impl FnOnce() -> Vec<Position>) {
        if self.0.is_empty() {
            return;
        }
        let positions = positions();
        for interceptor in self.0.iter().filter(|_| !positions.is_empty()) {
            guard("on_commit", || interceptor.on_commit(&positions));
        }
    }
}

fn guard(name: &'static str, call: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        tracing::error!(name, "an interceptor panicked");
    }
}
