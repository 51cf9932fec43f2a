//! What every HTTP service of the examples guards against: large bodies, pages of other origins,
//! false addresses, and answers that a browser takes for something else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::config::Config;

/// How long a request may wait for what the service needs. Sockets and streams of events begin
/// within it.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whom to believe, and how much to read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bodies are refused from this size on.
    pub body_bytes_max: usize,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Pages of these origins may open sockets. Programs that send no `Origin` may, too: they hold
    /// no cookies of anybody.
    pub origins: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 * 1024,
            trusted_proxies: vec![Ipv4Addr::LOCALHOST.into()],
            origins: vec!["http://localhost:8080".into(), "http://127.0.0.1:8080".into()],
        }
    }
}

impl Settings {
    /// `TRUSTED_PROXIES` and `ALLOWED_ORIGINS`; the latter is by default what `NGINX_HOST` and
    /// `NGINX_PORT` say, with https unless `NGINX_ENV` is `local`.
    pub fn read(config: &mut Config) -> Self {
        let host = config.text("NGINX_HOST", "localhost");
        let port: u16 = config.value("NGINX_PORT", 8080);
        let local = config.text("NGINX_ENV", "local") == "local";
        let origin = match (local, port) {
            (true, 80) => format!("http://{host}"),
            (true, port) => format!("http://{host}:{port}"),
            (false, 443) => format!("https://{host}"),
            (false, port) => format!("https://{host}:{port}"),
        };
        let all = match local {
            true => format!("{origin},http://127.0.0.1:{port}"),
            false => origin,
        };
        let origins = config.list("ALLOWED_ORIGINS", &all);
        let mut trusted_proxies = Vec::new();
        for proxy in config.list("TRUSTED_PROXIES", "127.0.0.1") {
            match proxy.parse() {
                Ok(address) => trusted_proxies.push(address),
                Err(error) => config.refuse(format!("TRUSTED_PROXIES={proxy}: {error}")),
            }
        }
        Self { trusted_proxies, origins, ..Self::default() }
    }

    /// Whether a page that may not be ours is asking.
    #[must_use]
    pub fn allows_origin(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        self.origins.iter().any(|allowed| origin.as_bytes() == allowed.as_bytes())
    }
}

/// The address a request came from, behind the proxies that are trusted. An extension of every
/// request that went through [`guard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientIp(pub IpAddr);

/// Puts the guards around all routes.
pub fn guard(router: Router, settings: &Settings) -> Router {
    let body_bytes_max = settings.body_bytes_max;
    router
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(middleware::from_fn_with_state(Arc::new(settings.clone()), around))
}

async fn around(
    State(settings): State<Arc<Settings>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let client = client_ip(&settings, peer.ip(), request.headers());
    request.extensions_mut().insert(ClientIp(client));
    let id = request_id(request.headers());
    // The path alone: what is asked for may hold a token.
    let span = tracing::debug_span!("http", id = ?id, method = %request.method(), path = request.uri().path());
    let answer = tokio::time::timeout(ANSWER_WITHIN, next.run(request).instrument(span)).await;
    let mut response = answer.unwrap_or_else(|_| no_answer());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// What is said when something that the service needs hangs.
fn no_answer() -> Response {
    let message = "Something that this service needs does not answer. Try again later.";
    let body = Json(serde_json::json!({"error": true, "message": message}));
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], body).into_response()
}

/// What is counted as one address: of IPv6 the first 64 bits, of which a household has all.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The last address that was not written by a trusted proxy.
fn client_ip(settings: &Settings, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut client = peer;
    let forwarded = headers.get_all("x-forwarded-for").iter().rev();
    let hops = forwarded.filter_map(|value| value.to_str().ok()).flat_map(|list| list.rsplit(','));
    for hop in hops {
        if !settings.trusted_proxies.contains(&client) {
            break;
        }
        match hop.trim().parse() {
            Ok(address) => client = address,
            Err(_) => break,
        }
    }
    client
}

/// What the request calls itself, if it does so soberly, or a new name.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sober = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=64).contains(&bytes.len())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
    };
    headers.get(REQUEST_ID).filter(sober).cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&Uuid::now_v7().to_string()).expect("a UUID is visible ASCII")
    })
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let settings = Settings::default();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("6.6.6.6, 10.0.0.7"));
        let check = |peer: [u8; 4], client: [u8; 4]| {
            assert_eq!(client_ip(&settings, peer.into(), &headers), IpAddr::from(client));
        };
        check([127, 0, 0, 1], [10, 0, 0, 7]);
        check([9, 9, 9, 9], [9, 9, 9, 9]);
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let settings = Settings::default();
        let mut headers = HeaderMap::new();
        assert!(settings.allows_origin(&headers));
        headers.insert(header::ORIGIN, HeaderValue::from_static("http://localhost:8080"));
        assert!(settings.allows_origin(&headers));
        headers.insert(header::ORIGIN, HeaderValue::from_static("http://localhost:8080.evil.com"));
        assert!(!settings.allows_origin(&headers));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_hangs_is_answered() {
        let hangs = Router::new().route("/", axum::routing::get(std::future::pending::<()>));
        let peer = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut request = Request::new(axum::body::Body::empty());
        request.extensions_mut().insert(peer);
        let response = guard(hangs, &Settings::default()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn of_ipv6_a_network_is_one_address() {
        let check = |address: &str, network: &str| {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(network_of(address), network.parse::<IpAddr>().unwrap());
        };
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check("::ffff:10.0.0.7", "10.0.0.7");
        check("10.0.0.7", "10.0.0.7");
    }

    #[test]
    fn request_ids_cannot_carry_anything() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("abc-7"));
        assert_eq!(request_id(&headers), "abc-7");
        headers.insert(REQUEST_ID, HeaderValue::from_static("a\tb"));
        assert_eq!(request_id(&headers).len(), 36);
    }
}
