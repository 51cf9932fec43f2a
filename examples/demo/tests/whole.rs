//! Everything in one process.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use demo::control::Instance;
use demo::settings::Told;
use demo::whole::{Demo, Options};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

async fn ask(request: Request<Body>) -> (StatusCode, String) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(Body::new(answer.into_body()), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(demo: &Demo, path: &str) -> (StatusCode, String) {
    ask(Request::get(format!("{}{path}", demo.url())).body(Body::empty()).unwrap()).await
}

async fn post(demo: &Demo, path: &str, body: &'static str) -> (StatusCode, String) {
    let request = Request::post(format!("{}{path}", demo.url()));
    let request = request.header("content-type", "application/json");
    ask(request.body(Body::from(body)).unwrap()).await
}

/// Asks until the answer has this status: services wait for each other.
async fn until(demo: &Demo, path: &str, wanted: StatusCode) -> String {
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
    loop {
        looks.tick().await;
        let (status, text) = get(demo, path).await;
        if status == wanted {
            return text;
        }
    }
}

async fn start() -> Demo {
    let told = Told { no_limits: false, settings: Vec::new() };
    Demo::start(Options { data: None, port: 0, told, only_door: true }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_leads_to_its_service() {
    let demo = start().await;
    let (status, page) = get(&demo, "/chat").await;
    assert!(status.is_success() && page.contains("<html"), "{page}");
    let mut servers = BTreeSet::new();
    for _ in 0..6 {
        let health = until(&demo, "/api/health", StatusCode::OK).await;
        let server =
            ["Asia", "Middle-east", "Europe"].into_iter().find(|name| health.contains(name));
        servers.insert(server.unwrap());
    }
    assert_eq!(servers.len(), 3, "requests go to every instance");
    until(&demo, "/unsent/api/users/nobody/unsent", StatusCode::OK).await;
    assert_eq!(get(&demo, "/dm/api/auth/").await.1, "yo");
    demo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_is_good_on_all_pages() {
    let demo = start().await;
    until(&demo, "/api/health", StatusCode::OK).await;
    let person = r#"{"username":"alice","password":"correct horse"}"#;
    let (status, text) = post(&demo, "/api/auth/signup", person).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    let (status, text) = post(&demo, "/dm/api/auth/login", person).await;
    assert!(status.is_success(), "{text}");
    demo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_end_and_start_where_they_were() {
    let demo = start().await;
    let list = async || -> Vec<Instance> {
        serde_json::from_str(&get(&demo, "/demo/api/instances").await.1).unwrap()
    };
    let before = list().await;
    assert!(before.iter().all(|instance| instance.alive));
    for name in ["klamm", "Asia", "pod-1", "unsent-producer", "kafka-consumer"] {
        let button = |what: &str| format!("/demo/api/instances/{name}/{what}");
        assert_eq!(post(&demo, &button("kill"), "").await.0, StatusCode::NO_CONTENT);
        let dead: Vec<_> = list().await.into_iter().filter(|one| !one.alive).collect();
        assert_eq!(dead.iter().map(|one| &*one.name).collect::<Vec<_>>(), [name]);
        assert_eq!(post(&demo, &button("start"), "").await.0, StatusCode::NO_CONTENT);
    }
    assert_eq!(list().await, before);
    let nobody = post(&demo, "/demo/api/instances/nobody/kill", "").await;
    assert_eq!(nobody.0, StatusCode::NOT_FOUND);
    demo.stop().await;
}
