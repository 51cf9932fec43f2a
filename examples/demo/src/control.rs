//! `/demo/api`: what runs, and buttons that end it and start it again, to see what happens then.

use std::future::Future;
use std::net::SocketAddr;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

/// One thing that runs, or should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its name, such as `Asia` or `pod-1`.
    pub name: String,
    /// What it is: `chat`, `pod`, `broker`…
    pub kind: String,
    /// Where it listens, if it does.
    pub address: Option<SocketAddr>,
    /// Its process, if it has one of its own.
    pub pid: Option<u32>,
    /// Whether it runs.
    pub alive: bool,
}

/// Why an instance was not ended or started.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is none of this name.
    #[error("there is no instance of this name")]
    Unknown,
    /// It did not work.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

/// All that runs. Ending what has ended, and starting what runs, does nothing.
pub trait Stage: Clone + Send + Sync + 'static {
    /// What there is, in the order in which it was started.
    fn instances(&self) -> impl Future<Output = Vec<Instance>> + Send;

    /// Ends an instance without its consent: a process by SIGKILL.
    fn kill(&self, name: &str) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Starts an instance that has ended, where it was.
    fn start(&self, name: &str) -> impl Future<Output = Result<(), Refused>> + Send;
}

/// `/instances`, and in dev mode `/instances/{name}/kill` and `/instances/{name}/start`.
pub fn routes<S: Stage>(stage: S, dev_mode: bool) -> Router {
    let mut routes = Router::new().route("/instances", get(list::<S>));
    if dev_mode {
        routes = routes
            .route("/instances/{name}/kill", post(kill::<S>))
            .route("/instances/{name}/start", post(start::<S>));
    }
    routes.layer(middleware::from_fn(own_pages_only)).with_state(stage)
}

async fn list<S: Stage>(State(stage): State<S>) -> Json<Vec<Instance>> {
    Json(stage.instances().await)
}

async fn kill<S: Stage>(
    State(stage): State<S>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    tracing::info!(%name, "killed by request");
    stage.kill(&name).await.map(|()| StatusCode::NO_CONTENT)
}

async fn start<S: Stage>(
    State(stage): State<S>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    tracing::info!(%name, "started by request");
    stage.start(&name).await.map(|()| StatusCode::NO_CONTENT)
}

/// Refuses what the page of another site has the browser ask for.
async fn own_pages_only(request: Request, next: Next) -> Response {
    if is_foreign(request.headers()) {
        return (StatusCode::FORBIDDEN, "Only our own pages may ask this.").into_response();
    }
    next.run(request).await
}

/// Whether it is asked for by a page that came from elsewhere, be it by a name of its own that
/// leads to this machine.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|c| c.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    if !["localhost", "127.0.0.1", "[::1]"].contains(&name) {
        return true;
    }
    text(header::ORIGIN).is_some_and(|origin| {
        let origin = origin.split_once("://").map(|(_, host)| host);
        origin != text(header::HOST)
    })
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_our_own_pages_may_press_a_button() {
        let at = |host: &'static str, origin: Option<&'static str>, wanted| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_foreign(&headers), wanted, "{origin:?}");
        };
        let check = |origin, wanted| at("localhost:8080", origin, wanted);
        for host in ["localhost", "127.0.0.1:8080", "[::1]:8080", "[::1]"] {
            at(host, None, false);
        }
        // A name of another site that leads to this machine.
        at("evil.example:8080", Some("http://evil.example:8080"), true);
        at("evil.example", None, true);
        at("", None, true);
        check(None, false);
        check(Some("http://localhost:8080"), false);
        check(Some("http://localhost:8081"), true);
        check(Some("null"), true);
    }
}
