//! What an application does with every record that goes out, and hears of every one.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use klamm_client::{Error, Result};

use crate::receipt::RecordMetadata;
use crate::record::Record;

/// Sees every record before it is accepted, and what became of it. Tracing, auditing and counting
/// are done so. Both are called in the middle of sending: they must be quick, and never wait. One
/// that panics is logged, and the record goes on.
pub trait ProducerInterceptor: Send + Sync {
    /// A record is about to be accepted, and may be changed; its partition is chosen after that.
    /// Called by who sends it, once for each time it is offered.
    fn on_send(&self, record: &mut Record) {
        let _ = record;
    }

    /// A record was acknowledged, given up, or refused for good. Nothing is heard of one whose
    /// sender was dropped while it waited for room, or that was given back to be offered again.
    /// Called before those who wait for the record are told, by the producer's own task or by
    /// whoever sends just then, even before its call returns: hold no lock over a call of the
    /// producer that is wanted here.
    fn on_ack(&self, outcome: &Result<RecordMetadata>) {
        let _ = outcome;
    }
}

/// Those of one producer, in the order in which they were given.
#[derive(Clone)]
pub(crate) struct Interceptors(Arc<[Arc<dyn ProducerInterceptor>]>);

impl fmt::Debug for Interceptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interceptors").field(&self.0.len()).finish()
    }
}

impl Interceptors {
    /// None of them is nothing to look at for each record.
    pub(crate) fn new(interceptors: &[Arc<dyn ProducerInterceptor>]) -> Option<Self> {
        (!interceptors.is_empty()).then(|| Self(interceptors.into()))
    }

    pub(crate) fn on_send(&self, record: &mut Record) {
        for interceptor in &*self.0 {
            guard("on_send", || interceptor.on_send(record));
        }
    }

    /// Tells of a record that was never accepted.
    pub(crate) fn told(&self, error: Error) -> Error {
        self.on_ack(&Err(error.clone()));
        error
    }

    pub(crate) fn on_ack(&self, outcome: &Result<RecordMetadata>) {
        for interceptor in &*self.0 {
            guard("on_ack", || interceptor.on_ack(outcome));
        }
    }
}

fn guard(name: &'static str, call: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        tracing::error!(name, "an interceptor panicked");
    }
}

/// Gives each record the `traceparent` header of W3C Trace Context that `current` tells, unless it
/// has one: so a trace goes on where the record is read.
///
/// ```
/// use klamm_producer::{ProducerInterceptor as _, Record, TraceParent};
///
/// let tracing = TraceParent::new(|| {
///     Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned())
/// });
/// let mut record = Record::to("orders");
/// tracing.on_send(&mut record);
/// assert_eq!(record.headers()[0].key, "traceparent");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TraceParent<F>(F);

const TRACEPARENT: &str = "traceparent";

impl<F: Fn() -> Option<String> + Send + Sync> TraceParent<F> {
    /// `current` tells the header of the span that sends, if there is one.
    pub fn new(current: F) -> Self {
        Self(current)
    }
}

impl<F: Fn() -> Option<String> + Send + Sync> ProducerInterceptor for TraceParent<F> {
    fn on_send(&self, record: &mut Record) {
        if record.headers().iter().any(|header| header.key == TRACEPARENT) {
            return;
        }
        if let Some(current) = (self.0)() {
            record.push_header(TRACEPARENT, current);
        }
    }
}
