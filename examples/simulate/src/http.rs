//! Requests over HTTP.

use axum::body::{Body, to_bytes};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// No answer to the load is longer.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A pool of connections; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Client(Pool<HttpConnector, Body>);

impl Client {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Pool::builder(TokioExecutor::new()).build(connector))
    }

    pub(crate) async fn get(&self, url: &str) -> anyhow::Result<(StatusCode, String)> {
        self.ask(Method::GET, url, None, Body::empty()).await
    }

    /// As somebody who is logged in.
    pub(crate) async fn get_as(
        &self,
        token: &str,
        url: &str,
    ) -> anyhow::Result<(StatusCode, String)> {
        self.ask(Method::GET, url, Some(token), Body::empty()).await
    }

    /// Posts JSON.
    pub(crate) async fn post(
        &self,
        url: &str,
        body: impl Into<Body>,
    ) -> anyhow::Result<(StatusCode, String)> {
        self.ask(Method::POST, url, None, body.into()).await
    }

    /// Posts nothing as somebody who is logged in.
    pub(crate) async fn post_as(
        &self,
        token: &str,
        url: &str,
    ) -> anyhow::Result<(StatusCode, String)> {
        self.ask(Method::POST, url, Some(token), Body::empty()).await
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        body: Body,
    ) -> anyhow::Result<(StatusCode, String)> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.header("content-type", "application/json").body(body)?;
        let answer = self.0.request(request).await?;
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), ANSWER_BYTES_MAX).await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
