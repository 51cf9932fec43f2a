//! What becomes of a request's head on its way through: pure.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, Request, Uri, Version};

/// What is about one connection and does not go further (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The head of a request, as an instance gets it.
#[derive(Clone, Debug)]
pub(super) struct Head {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Head {
    /// The head of what `peer` asks for.
    ///
    /// Who the client is says the proxy, and nobody else: what the client says of it is dropped.
    pub(super) fn new(parts: Parts, peer: SocketAddr) -> Self {
        let mut headers = parts.headers;
        let upgrade = wants_upgrade(&headers).then(|| headers.get(header::UPGRADE).cloned());
        strip(&mut headers);
        if let Some(Some(protocol)) = upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, protocol);
        }
        headers.insert(FORWARDED_FOR, address(peer));
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
        let path = parts.uri.path_and_query().cloned();
        let uri = path.map_or_else(Uri::default, Uri::from);
        Self { method: parts.method, uri, headers }
    }

    /// Whether asking twice does no more than asking once.
    pub(super) fn is_safe(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// The request with `body`.
    pub(super) fn request<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// Removes what is about one connection only.
pub(super) fn strip(headers: &mut HeaderMap) {
    // What `Connection` names is about this connection as well.
    let named: Vec<_> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in HOP_BY_HOP.into_iter().chain([KEEP_ALIVE]).chain(named) {
        headers.remove(name);
    }
}

fn wants_upgrade(headers: &HeaderMap) -> bool {
    let connection = headers.get(header::CONNECTION).and_then(|value| value.to_str().ok());
    connection.is_some_and(|value| {
        value.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
    })
}

fn address(peer: SocketAddr) -> HeaderValue {
    let ip: IpAddr = peer.ip().to_canonical();
    HeaderValue::try_from(ip.to_string()).expect("an address is plain text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)], wanted: &[(&str, &str)]) {
        let mut request = Request::builder().uri("http://localhost/rooms?limit=5");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let request = Head::new(parts, "[::ffff:10.0.0.7]:4000".parse().unwrap()).request(());
        let mut got: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, v)| (name.as_str(), v.to_str().unwrap()))
            .collect();
        got.sort_unstable();
        assert_eq!(got, wanted);
        assert_eq!(request.uri(), "/rooms?limit=5");
    }

    const FOR: (&str, &str) = ("x-forwarded-for", "10.0.0.7");
    const PROTO: (&str, &str) = ("x-forwarded-proto", "http");

    #[test]
    fn a_client_cannot_say_who_it_is() {
        check(&[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")], &[FOR, PROTO]);
    }

    #[test]
    fn what_is_about_the_connection_stays_there() {
        let headers = [
            ("connection", "keep-alive, x-mine"),
            ("keep-alive", "timeout=5"),
            ("x-mine", "1"),
            ("host", "localhost:8080"),
        ];
        check(&headers, &[("host", "localhost:8080"), FOR, PROTO]);
    }

    #[test]
    fn an_upgrade_goes_on() {
        let headers = [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")];
        check(&headers, &[("connection", "upgrade"), ("upgrade", "websocket"), FOR, PROTO]);
    }
}
