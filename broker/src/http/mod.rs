//! The HTTP address: is the broker there, is it ready, how is it doing.
//!
//! | path | answers |
//! |---|---|
//! | `/healthz` | 200 while the process can answer at all |
//! | `/readyz` | 200 while every log takes writes, 503 and the reason otherwise |
//! | `/metrics` | Prometheus text (OpenMetrics) |

mod exporter;
mod group_exporter;
mod scrape;
mod serve;

pub(crate) use exporter::escape;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use self::scrape::Scrapes;
use crate::config::Address;
use crate::node::Node;

/// The bound HTTP address.
pub(crate) struct Http {
    listener: TcpListener,
    address: SocketAddr,
}

impl Http {
    /// Binds the first address that `address` stands for; without a host, all interfaces.
    ///
    /// # Errors
    /// The name is unknown or the address cannot be bound.
    pub(crate) async fn bind(address: &Address) -> io::Result<Self> {
        let cannot = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot serve HTTP on {address}: {error}"))
        };
        let listener = if address.host.is_empty() {
            let both = TcpListener::bind((Ipv6Addr::UNSPECIFIED, address.port)).await;
            match both {
                Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port)).await,
                bound => bound,
            }
        } else {
            TcpListener::bind((address.host.as_str(), address.port)).await
        };
        let listener = listener.map_err(cannot)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the broker stops.
    pub(crate) fn start(self, node: &Arc<Node>) {
        let scrapes = Scrapes::new();
        let metrics = move |State(node)| scrapes.clone().answer(scrape::text(node));
        let router = Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(Arc::clone(node));
        // Nobody's page in a browser of this machine is to read what is for this machine alone, by
        // having a name of its own stand for this address.
        let router = if self.address.ip().is_loopback() {
            router.layer(middleware::from_fn(only_by_address))
        } else {
            router
        };
        node.tasks.spawn("http", serve::serve(Arc::clone(node), self.listener, router));
    }
}

/// Refuses who asks for another host than an address or `localhost`.
async fn only_by_address(request: Request, next: Next) -> Response {
    if is_asked_by_address(request.headers()) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "ask for localhost or an address, not for another name\n")
        .into_response()
}

fn is_asked_by_address(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

async fn ready(State(node): State<Arc<Node>>) -> impl IntoResponse {
    let read_only = node.read_only();
    if read_only.is_empty() {
        return (StatusCode::OK, "ready\n".into());
    }
    let line = |log: &String| format!("{log} is read-only after an error\n");
    (StatusCode::SERVICE_UNAVAILABLE, read_only.iter().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn without_a_host_it_is_on_all_interfaces() {
        let http = Http::bind(&Address::parse(":0").unwrap()).await.unwrap();
        assert!(http.address().ip().is_unspecified());
        TcpStream::connect((Ipv4Addr::LOCALHOST, http.address().port())).await.unwrap();
    }

    #[test]
    fn a_page_with_a_name_of_its_own_is_told_nothing() {
        for (host, is_taken) in [
            ("localhost", true),
            ("LocalHost:8082", true),
            ("127.0.0.1:8082", true),
            ("127.0.0.1", true),
            ("[::1]:8082", true),
            ("[::1]", true),
            ("evil.example:8082", false),
            ("localhost.evil.example", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(is_asked_by_address(&headers), is_taken, "{host}");
        }
        assert!(is_asked_by_address(&HeaderMap::new()));
    }
}
