//! The pages as a browser asks for them.

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use tower::ServiceExt as _;

use super::{ASK, Dist, FOR_EVER, pages};

async fn get(path: &str, tag: Option<&str>) -> Response<Body> {
    let mut request = Request::get(path);
    if let Some(tag) = tag {
        request = request.header("if-none-match", tag);
    }
    let request = request.body(Body::empty()).expect("it is a valid request");
    pages().oneshot(request).await.expect("a router always answers")
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn every_address_of_a_page_is_the_page() {
    for path in ["/", "/signup", "/login", "/join", "/chat", "/dm", "/unsent", "/else/where"] {
        let response = get(path, None).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(header(&response, "cache-control"), ASK, "{path}");
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("it is in memory");
        assert!(body.starts_with(b"<!doctype html>"), "{path}");
    }
}

#[tokio::test]
async fn assets_are_kept_for_ever_and_have_their_types() {
    let assets: Vec<_> = Dist::iter().filter(|path| path.starts_with("assets/")).collect();
    assert!(assets.iter().any(|path| path.ends_with(".js")));
    assert!(assets.iter().any(|path| path.ends_with(".css")));
    for path in assets {
        let response = get(&format!("/{path}"), None).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, "cache-control"), FOR_EVER, "{path}");
        assert_ne!(header(&response, "content-type"), "application/octet-stream", "{path}");
    }
}

#[tokio::test]
async fn a_missing_asset_is_missing() {
    assert_eq!(get("/assets/old-build.js", None).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let first = get("/", None).await;
    let tag = header(&first, "etag").to_owned();
    assert_eq!(get("/", Some(&tag)).await.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(get("/", Some("\"other\"")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn no_page_runs_inline_scripts() {
    let response = get("/", None).await;
    let policy = header(&response, "content-security-policy").to_owned();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    let body = to_bytes(response.into_body(), usize::MAX).await.expect("it is in memory");
    let page = String::from_utf8_lossy(&body);
    for script in page.split("<script").skip(1) {
        let (tag, rest) = script.split_once('>').expect("a tag ends");
        assert!(tag.contains("src=\"/assets/") && rest.starts_with("</script>"), "{tag}");
    }
}

#[tokio::test]
async fn pages_are_only_read() {
    let request = Request::post("/login").body(Body::empty()).expect("it is a valid request");
    let response = pages().oneshot(request).await.expect("a router always answers");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
