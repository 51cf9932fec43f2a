//! Whether a service has all that it needs: its `/readyz` says so.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use klamm_utils::clock;

/// How often a service is asked.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// An answer that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// A service that is not ready by then is told of, again and again.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// What is read of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Waits until the service `name` says at `address` that it is ready.
pub(crate) async fn until_ready(name: &str, address: SocketAddr) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut told = clock::now();
    while let Some(trouble) = trouble(&client, address).await {
        if told.elapsed() > TOLD_EVERY {
            told = clock::now();
            tracing::warn!(name, trouble, "is not ready yet");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What the service lacks, if it lacks anything.
async fn trouble(client: &Client<HttpConnector, Body>, address: SocketAddr) -> Option<String> {
    let Ok(place) = format!("http://{address}/readyz").parse() else {
        return Some(format!("{address} is no place"));
    };
    let answer = async {
        let answer = client.get(place).await.map_err(|error| error.to_string())?;
        let ready = answer.status().is_success();
        let text = to_bytes(Body::new(answer.into_body()), ANSWER_BYTES_MAX).await;
        let text = text.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&text).trim_end().replace('\n', ", ");
        Ok((ready, text))
    };
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok((true, _))) => None,
        Ok(Ok((false, trouble)) | Err(trouble)) => Some(trouble),
        Err(_) => Some(format!("no answer within {ANSWER_WITHIN:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use common::service::Running;
    use klamm_utils::task::TaskGroup;

    use super::*;

    #[tokio::test]
    async fn who_listens_is_not_ready_before_it_says_so() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let answer = async move || match counted.fetch_add(1, Ordering::Relaxed) {
            0..3 => (StatusCode::SERVICE_UNAVAILABLE, "database: not seen yet\nkafka: ok\n"),
            _ => (StatusCode::OK, "database: ok\nkafka: ok\n"),
        };
        let (anywhere, tasks) = (([127, 0, 0, 1], 0).into(), TaskGroup::new("service"));
        let routes = Router::new().route("/readyz", get(answer));
        let service = Running::serve(anywhere, routes, tasks).await.unwrap();
        let address = service.address();

        let client = Client::builder(TokioExecutor::new()).build_http();
        let lacks = trouble(&client, address).await;
        assert_eq!(lacks.as_deref(), Some("database: not seen yet, kafka: ok"));
        until_ready("a service", address).await;
        assert_eq!(asked.load(Ordering::Relaxed), 4);
        service.stop().await.unwrap();
    }
}
