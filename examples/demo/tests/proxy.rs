//! The door, with small services behind it.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::http::{self, HeaderMap, Request, Response, Uri};
use axum::routing::any;
use demo::proxy::{Pool, Proxy, Services, listen_locally};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use klamm_utils::task::TaskGroup;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message as Frame;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A service that says its name, and what it was asked.
async fn service(tasks: &TaskGroup, name: &'static str) -> SocketAddr {
    let (listener, address) = listener().await;
    let tell = move |headers: HeaderMap, uri: Uri, body: String| async move {
        let client = headers["x-forwarded-for"].to_str().unwrap().to_owned();
        format!("{name} {uri} for {client}: {body}")
    };
    let echo = move |upgrade: WebSocketUpgrade| async move {
        upgrade.on_upgrade(move |mut socket| async move {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                let _gone = socket.send(Message::text(format!("{name}: {text}"))).await;
            }
        })
    };
    let routes = Router::new().route("/ws/chat", any(echo)).fallback(tell);
    tasks.spawn("service", async move { axum::serve(listener, routes).await.unwrap() });
    address
}

/// A proxy in front of the instances of chat, and where it listens.
async fn door(chat: impl IntoIterator<Item = SocketAddr>) -> (Proxy, SocketAddr) {
    let proxy = Proxy::new();
    let none = || Pool::new([]);
    let services =
        Services { chat: Pool::new(chat), accounts: none(), pods: none(), unsent: none() };
    let routes = proxy.routes(services);
    let (listener, address) = listener().await;
    proxy.serve(listener, routes);
    (proxy, address)
}

async fn ask(request: http::request::Builder, body: &'static str) -> Response<Incoming> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    client.request(request.body(Body::from(body)).unwrap()).await.unwrap()
}

async fn text(answer: Response<Incoming>) -> String {
    let body = to_bytes(Body::new(answer.into_body()), 4096).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn get(door: SocketAddr, path: &str) -> String {
    text(ask(Request::get(format!("http://{door}{path}")), "").await).await
}

/// An address that refuses.
async fn nobody() -> SocketAddr {
    listener().await.1
}

#[tokio::test]
async fn each_path_has_its_service() {
    let tasks = TaskGroup::new("test");
    let proxy = Proxy::new();
    let services = Services {
        chat: Pool::new([service(&tasks, "chat").await]),
        accounts: Pool::new([service(&tasks, "accounts").await]),
        pods: Pool::new([service(&tasks, "pod").await]),
        unsent: Pool::new([service(&tasks, "unsent").await]),
    };
    let routes = proxy.routes(services).fallback(async || "a page");
    let (listener, door) = listener().await;
    proxy.serve(listener, routes);
    let cases = [
        ("/api/rooms?limit=2", "chat /api/rooms?limit=2 for 127.0.0.1: "),
        ("/dm/api/auth/users?username=bob", "accounts /users?username=bob for 127.0.0.1: "),
        ("/dm/api/pods", "pod /pods for 127.0.0.1: "),
        ("/unsent/api/users/bob/unsent", "unsent /users/bob/unsent for 127.0.0.1: "),
        // Figures and health are for those inside.
        ("/unsent/api/metrics", ""),
        ("/dm/api/metrics", ""),
        ("/dm/api/auth/readyz", ""),
        ("/dm", "a page"),
        ("/chat", "a page"),
    ];
    for (path, wanted) in cases {
        assert_eq!(get(door, path).await, wanted);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_instance_that_refuses_is_passed_over() {
    let tasks = TaskGroup::new("test");
    let alive = service(&tasks, "Asia").await;
    let (proxy, door) = door([nobody().await, alive, nobody().await]).await;
    for _ in 0..6 {
        assert!(get(door, "/api/health").await.starts_with("Asia"));
        let post = Request::post(format!("http://{door}/api/rooms"));
        let answer = text(ask(post, "general").await).await;
        assert_eq!(answer, "Asia /api/rooms for 127.0.0.1: general");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_question_is_asked_again_when_its_answer_is_lost_and_nothing_else_is() {
    let tasks = TaskGroup::new("test");
    let (dying, first) = listener().await;
    tasks.spawn("dying", async move {
        loop {
            // Takes the request, and dies of it.
            let (mut stream, _) = dying.accept().await.unwrap();
            let _read = stream.read(&mut [0; 1024]).await.unwrap();
        }
    });
    let (proxy, door) = door([first, service(&tasks, "Asia").await]).await;
    for _ in 0..4 {
        assert!(get(door, "/api/health").await.starts_with("Asia"));
    }
    let post = || ask(Request::post(format!("http://{door}/api/rooms")), "x");
    let mut statuses = [post().await.status(), post().await.status()];
    statuses.sort_unstable();
    assert_eq!(statuses.map(|status| status.as_u16()), [200, 502]);
    proxy.stop().await;
}

#[tokio::test]
async fn without_any_instance_it_says_so() {
    let (proxy, door) = door([nobody().await]).await;
    let answer = ask(Request::get(format!("http://{door}/api/health")), "").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    proxy.stop().await;
}

#[tokio::test]
async fn sockets_go_to_the_least_busy_and_end_with_the_proxy() {
    let tasks = TaskGroup::new("test");
    let instances = [service(&tasks, "Asia").await, service(&tasks, "Europe").await];
    let (proxy, door) = door(instances).await;
    let mut sockets = Vec::new();
    let mut names = Vec::new();
    for _ in 0..4 {
        let (mut socket, _) = connect_async(format!("ws://{door}/ws/chat")).await.unwrap();
        socket.send(Frame::text("hi")).await.unwrap();
        names.push(socket.next().await.unwrap().unwrap().into_text().unwrap().to_string());
        sockets.push(socket);
    }
    names.sort_unstable();
    assert_eq!(names, ["Asia: hi", "Asia: hi", "Europe: hi", "Europe: hi"]);
    proxy.stop().await;
    for mut socket in sockets {
        assert!(!matches!(socket.next().await, Some(Ok(Frame::Text(_)))));
    }
}

#[tokio::test]
async fn requests_that_follow_on_one_connection_are_served() {
    let tasks = TaskGroup::new("test");
    let (proxy, door) = door([service(&tasks, "Asia").await]).await;
    let mut stream = tokio::net::TcpStream::connect(door).await.unwrap();
    let two = "GET /api/a HTTP/1.1\r\nhost: x\r\n\r\nGET /api/b HTTP/1.1\r\nhost: x\r\n\
               connection: close\r\n\r\n";
    stream.write_all(two.as_bytes()).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert!(said.contains("Asia /api/a ") && said.contains("Asia /api/b "), "{said}");
    proxy.stop().await;
}

#[tokio::test]
async fn localhost_is_both() {
    let listeners = listen_locally(0).await.unwrap();
    let port = listeners[0].local_addr().unwrap().port();
    assert!(listeners.iter().all(|listener| listener.local_addr().unwrap().port() == port));
    assert!(listen_locally(port).await.is_err(), "taken");
}
