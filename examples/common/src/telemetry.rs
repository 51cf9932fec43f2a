//! Log lines, metrics, and whether a service is well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;

/// Writes log lines to standard error: `RUST_LOG` says which, `LOG_FORMAT=json` in which form.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Of a line that cannot be written nothing can be written either: to try would be a panic.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    // A second call has no effect: the first one's lines go on.
    let _ = if std::env::var("LOG_FORMAT").is_ok_and(|format| format == "json") {
        lines.json().try_init()
    } else {
        lines.try_init()
    };
}

/// The metrics of a service, and what it needs to be well. Clones are handles to the same.
#[derive(Clone, Debug, Default)]
pub struct Telemetry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Written while a service starts, read by `/metrics`.
    registry: Mutex<Registry>,
    /// Written by whoever uses a component, read by `/readyz`.
    components: Mutex<BTreeMap<&'static str, State>>,
}

#[derive(Clone, Debug)]
struct State {
    needed: bool,
    trouble: Option<String>,
}

/// One thing that a service uses, such as its database.
#[derive(Clone, Debug)]
pub struct Component {
    name: &'static str,
    telemetry: Telemetry,
}

impl Telemetry {
    /// Without metrics or components.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds metrics: `telemetry.register(|registry| registry.register("sent", "Sent", sent.clone()))`.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.0.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Something without which the service is not ready. It counts as away until it is seen.
    #[must_use]
    pub fn needs(&self, name: &'static str) -> Component {
        self.component(name, true)
    }

    /// Something without which the service is slower only.
    #[must_use]
    pub fn uses(&self, name: &'static str) -> Component {
        self.component(name, false)
    }

    fn component(&self, name: &'static str, needed: bool) -> Component {
        let state = State { needed, trouble: Some("not seen yet".into()) };
        self.components().insert(name, state);
        Component { name, telemetry: self.clone() }
    }

    /// Each component with its trouble, if it has any.
    #[must_use]
    pub fn health(&self) -> BTreeMap<&'static str, Option<String>> {
        self.components().iter().map(|(name, state)| (*name, state.trouble.clone())).collect()
    }

    /// Whether everything is there that the service needs.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.components().values().any(|state| state.needed && state.trouble.is_some())
    }

    /// `/metrics`, `/livez` and `/readyz`.
    pub fn routes(&self) -> Router {
        let (metrics, ready) = (self.clone(), self.clone());
        Router::new()
            .route("/metrics", get(async move || metrics.text()))
            .route("/livez", get(async || "ok"))
            .route("/readyz", get(async move || ready.answer_ready()))
    }

    fn text(&self) -> impl IntoResponse + use<> {
        let mut text = String::new();
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if prometheus_client::encoding::text::encode(&mut text, &registry).is_err() {
            return (StatusCode::INTERNAL_SERVER_ERROR, String::new()).into_response();
        }
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        ([(header::CONTENT_TYPE, kind)], text).into_response()
    }

    fn answer_ready(&self) -> impl IntoResponse + use<> {
        let lines = self
            .health()
            .into_iter()
            .map(|(name, trouble)| format!("{name}: {}\n", trouble.as_deref().unwrap_or("ok")));
        let status = if self.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, lines.collect::<String>())
    }

    fn components(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, State>> {
        self.0.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Component {
    /// It answers.
    pub fn well(&self) {
        self.set(None);
    }

    /// It does not, for this reason.
    pub fn away(&self, why: impl std::fmt::Display) {
        self.set(Some(why.to_string()));
    }

    /// Takes the outcome of a use as what is known of it.
    pub fn tell<T, E: std::fmt::Display>(&self, outcome: &Result<T, E>) {
        match outcome {
            Ok(_) => self.well(),
            Err(error) => self.away(error),
        }
    }

    fn set(&self, trouble: Option<String>) {
        if let Some(state) = self.telemetry.components().get_mut(self.name)
            && state.trouble != trouble
        {
            match &trouble {
                Some(why) => tracing::warn!(component = self.name, %why, "away"),
                None => tracing::info!(component = self.name, "there"),
            }
            state.trouble = trouble;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was: services ended when whoever read their lines was gone.
    #[test]
    fn lines_that_nobody_reads_end_nothing() {
        const NAME: &str = "telemetry::tests::lines_that_nobody_reads_end_nothing";
        const CHILD: &str = "COMMON_TEST_LINES_THAT_NOBODY_READS";
        if std::env::var_os(CHILD).is_some() {
            log_to_stderr();
            return tracing::error!("nobody reads this");
        }
        let (reader, nobody) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", NAME, "--nocapture"]).env(CHILD, "yes").env_remove("RUST_LOG");
        let status = child.stdout(std::process::Stdio::null()).stderr(nobody).status().unwrap();
        assert!(status.success(), "{status}");
    }

    #[test]
    fn a_service_is_ready_when_what_it_needs_is_there() {
        let telemetry = Telemetry::new();
        let (kafka, redis) = (telemetry.needs("kafka"), telemetry.uses("redis"));
        assert!(!telemetry.is_ready());
        kafka.well();
        redis.away("connection refused");
        assert!(telemetry.is_ready());
        assert_eq!(telemetry.health()["redis"].as_deref(), Some("connection refused"));
        kafka.tell::<(), _>(&Err("gone"));
        assert!(!telemetry.is_ready());
    }
}
