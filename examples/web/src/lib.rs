//! The pages of the example applications, as a router.
//!
//! The pages are written in TypeScript beside this file and built into `dist`, which is kept with
//! the sources, so that nobody needs Node to run them. See the README.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use rust_embed::{Embed, EmbeddedFile};

#[derive(Embed)]
#[folder = "dist"]
struct Dist;

/// What a page may do (`Content-Security-Policy`): run our own scripts, talk to where it came from,
/// and no more. Styles may be inline because the emoji picker brings its own.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// For files whose name has a hash of what is in them.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// For the others: to be kept, but asked for each time.
const ASK: &str = "no-cache";

/// The pages: every file of the build under its own name, and `index.html` for every other
/// address, for the page itself finds out what to show there. A file that is missing under
/// `/assets/` is missing.
pub fn pages() -> Router {
    Router::new().fallback(serve)
}

/// Every file of the build: its path, such as `assets/index.css`, and what is in it.
pub fn files() -> impl Iterator<Item = (Cow<'static, str>, Cow<'static, [u8]>)> {
    Dist::iter().filter_map(|path| Dist::get(&path).map(|file| (path, file.data)))
}

async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        return empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let path = uri.path().trim_start_matches('/');
    if let Some(file) = Dist::get(path) {
        return answer(path, file, &headers);
    }
    match Dist::get("index.html") {
        Some(page) if !path.starts_with("assets/") => answer("index.html", page, &headers),
        _ => empty(StatusCode::NOT_FOUND),
    }
}

fn answer(path: &str, file: EmbeddedFile, asked: &HeaderMap) -> Response<Body> {
    let tag = entity_tag(&file);
    let unchanged =
        asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if unchanged {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        Response::new(Body::from(file.data))
    };
    let headers = response.headers_mut();
    let keep = if path.starts_with("assets/") { FOR_EVER } else { ASK };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The first bytes of the file's SHA-256: other content, another tag.
fn entity_tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
