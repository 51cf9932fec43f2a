//! The HTTP address: is the broker there, is it ready, how is it doing.
//!
//! | path | answers |
//! |---|---|
//! | `/healthz` | 200 while the process can answer at all |
//! | `/readyz` | 200 while every log takes writes, 503 and the reason otherwise |
//! | `/metrics` | Prometheus text (OpenMetrics) |

mod exporter;
mod group_exporter;
mod serve;

pub(crate) use exporter::escape;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::config::Address;
use crate::node::Node;

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The bound HTTP address.
pub(crate) struct Http {
    listener: TcpListener,
    address: SocketAddr,
}

impl Http {
    /// Binds the first address that `address` stands for.
    ///
    /// # Errors
    /// The name is unknown or the address cannot be bound.
    pub(crate) async fn bind(address: &Address) -> io::Result<Self> {
        let cannot = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot serve HTTP on {address}: {error}"))
        };
        let listener =
            TcpListener::bind((address.host.as_str(), address.port)).await.map_err(cannot)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the broker stops.
    pub(crate) fn start(self, node: &Arc<Node>) {
        let router = Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(Arc::clone(node));
        node.tasks.spawn("http", serve::serve(Arc::clone(node), self.listener, router));
    }
}

async fn ready(State(node): State<Arc<Node>>) -> impl IntoResponse {
    let poisoned: Vec<String> = node
        .topics
        .all()
        .iter()
        .flat_map(|topic| topic.partitions().iter().cloned().collect::<Vec<_>>())
        .filter(|partition| partition.is_read_only())
        .map(|partition| format!("{partition} is read-only after an error\n"))
        .collect();
    if poisoned.is_empty() {
        (StatusCode::OK, "ready\n".into())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, poisoned.concat())
    }
}

async fn metrics(State(node): State<Arc<Node>>) -> impl IntoResponse {
    let groups = group_exporter::text(&node).await;
    let mut text = format!("{}{}{groups}", node.metrics.text(), exporter::text(&node));
    // Writing to a string does not fail.
    let _ = node.telemetry.write(node.clock.elapsed(), &mut text);
    text.push_str("# EOF\n");
    ([(header::CONTENT_TYPE, METRICS_TYPE)], text)
}
