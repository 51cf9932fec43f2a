//! `/metrics`, to few at a time: the answer grows with partitions and groups, and is held until it
//! is written.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{exporter, group_exporter};
use crate::node::Node;

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers that are made or written at once. Others wait.
const AT_ONCE: usize = 4;

/// The turns of those who ask.
#[derive(Clone, Debug)]
pub(super) struct Scrapes(Arc<Semaphore>);

/// An answer that is being written.
struct Scrape {
    text: String,
    _turn: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Scrape {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Scrapes {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// An answer that has its turn until it is dropped.
    pub(super) async fn answer(self, text: impl Future<Output = String>) -> Response {
        // It is never closed.
        let Ok(turn) = self.0.acquire_owned().await else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let scrape = Bytes::from_owner(Scrape { text: text.await, _turn: turn });
        ([(header::CONTENT_TYPE, METRICS_TYPE)], scrape).into_response()
    }
}

/// How the broker is doing.
pub(super) async fn text(node: Arc<Node>) -> String {
    let groups = group_exporter::text(&node).await;
    let mut text = format!("{}{}{groups}", node.metrics.text(), exporter::text(&node));
    // Writing to a string does not fail.
    let _ = node.telemetry.write(node.clock.elapsed(), &mut text);
    text.push_str("# EOF\n");
    text
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    /// As many as had a connection were, each with a text of its own.
    #[tokio::test]
    async fn few_are_answered_at_once() {
        let scrapes = Scrapes::new();
        let answer = || scrapes.clone().answer(async { "up 1\n".to_owned() });
        let mut answers = Vec::new();
        for _ in 0..AT_ONCE {
            answers.push(answer().await);
        }
        let mut next = Box::pin(answer());
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let written = axum::body::to_bytes(answers.remove(0).into_body(), 100).await.unwrap();
        assert_eq!(written, "up 1\n");
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(written);
        assert_eq!(next.await.status(), StatusCode::OK);
    }
}
