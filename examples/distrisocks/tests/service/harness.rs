//! What the tests share.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::auth::{self, Auth, NewUser, Quotas};
use common::bus::Bus;
use common::db::Database;
use common::kv::Kv;
use common::registry::{Mode as RegistryMode, Registry};
use common::service::Running;
use distrisocks::pod::{self, Backends, DeliveredOn, Mode, Settings};
use futures_util::{SinkExt as _, StreamExt as _};
use klamm_broker::Broker;
use klamm_client::{ClientConfig, Kafka};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// So long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) backends: Backends,
    pub(crate) pods: Vec<Running>,
    pub(crate) http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl World {
    /// A broker, a database, and as many pods.
    pub(crate) async fn start(pods: usize) -> Self {
        // Of several tests in a process one is first.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let broker = Broker::builder().ephemeral();
        let broker = broker.set("group.initial.rebalance.delay.ms", "0").start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let database = Database::sqlite(&folder.path().join("dm.sqlite")).await.unwrap();
        database.migrate(Auth::MIGRATIONS).await.unwrap();
        let settings = auth::Settings { quotas: Quotas::NONE, ..auth::Settings::dev("secret") };
        let auth = Auth::new(settings, database.clone(), Bus::memory());
        let registry = Registry::new(Kv::memory(), RegistryMode::Multi);
        let registry = registry.with_lease(Duration::from_secs(3));
        let backends = Backends { database, registry, auth };
        let http = reqwest::Client::new();
        let mut world = Self { broker, backends, pods: Vec::new(), http, _folder: folder };
        for n in 1..=pods {
            let pod = world.pod(&format!("pod-{n}")).await;
            world.pods.push(pod);
        }
        world
    }

    pub(crate) fn settings(&self, pod_id: &str) -> Settings {
        Settings {
            listen: LOOPBACK,
            pod_id: pod_id.into(),
            kafka: self.broker.bootstrap(),
            worker_count: 2,
            mode: Mode::PodId,
            topic_prefix: "pod.".into(),
            delivered_on: DeliveredOn::ClientAck,
            messages_per_second: 0,
            sockets_per_user: 5,
            ping_every: Duration::from_secs(25),
            again_after: Duration::from_secs(30),
            dev_mode: true,
            http: common::http::Settings::default(),
        }
    }

    /// Starts a pod and waits until it is ready.
    pub(crate) async fn pod(&self, pod_id: &str) -> Running {
        self.pod_with(self.settings(pod_id)).await
    }

    /// The same, with settings of its own.
    pub(crate) async fn pod_with(&self, settings: Settings) -> Running {
        let pod_id = &settings.pod_id.clone();
        let pod = pod::start(settings, self.backends.clone()).await.unwrap();
        let ready = format!("http://{}/readyz", pod.address());
        until("the pod is ready", async || {
            self.http.get(&ready).send().await.unwrap().status() == 200
        })
        .await;
        until("the pod lives", async || {
            self.backends.registry.pods().await.unwrap().living.contains(pod_id)
        })
        .await;
        pod
    }

    pub(crate) async fn kafka(&self) -> Kafka {
        Kafka::connect(ClientConfig::new(&self.broker.bootstrap())).await.unwrap()
    }

    /// An access token of a user, who is made if need be.
    pub(crate) async fn token(&self, user: &str) -> String {
        let new =
            NewUser { username: user.into(), password: PASSWORD.into(), ..NewUser::default() };
        // Who exists already is not made again.
        let _ = self.backends.auth.signup(new).await;
        self.backends.auth.login(user, PASSWORD).await.unwrap().access
    }

    /// A user's socket at a pod.
    pub(crate) async fn connect(&self, user: &str, pod: usize) -> Client {
        let token = self.token(user).await;
        let socket = open(self.pods[pod].address(), Some(&token), &[]).await.unwrap();
        let mut client = Client { user: user.into(), socket };
        let hello = client.next().await;
        assert_eq!(hello["type"], "hello", "{hello}");
        client
    }

    pub(crate) async fn get(&self, pod: usize, user: &str, path: &str) -> Value {
        let url = format!("http://{}{path}", self.pods[pod].address());
        let token = self.token(user).await;
        let answer = self.http.get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let reply: Value = answer.json().await.unwrap();
        assert_eq!(reply["success"], true);
        reply["data"].clone()
    }

    pub(crate) async fn stop(self) {
        for pod in self.pods {
            pod.stop().await.unwrap();
        }
        self.broker.stop().await;
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a socket as a program does, or a page.
pub(crate) async fn open(
    address: SocketAddr,
    token: Option<&str>,
    headers: &[(&'static str, &str)],
) -> Result<Socket, tungstenite::Error> {
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    let bearer = token.map(|token| ("authorization", format!("Bearer {token}")));
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
    for (name, value) in headers.chain(bearer) {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

pub(crate) struct Client {
    user: String,
    pub(crate) socket: Socket,
}

impl Client {
    pub(crate) async fn send(&mut self, frame: Value) {
        self.socket.send(Message::Text(frame.to_string().into())).await.unwrap();
    }

    /// Writes to somebody, with the text as the client's own id.
    pub(crate) async fn write(&mut self, to: &str, text: &str) {
        let from = self.user.clone();
        let frame = json!({"payload": text, "sender_id": from, "reciever_id": to,
            "client_msg_id": text});
        self.send(frame).await;
    }

    /// The next frame, whatever it is.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match frame.expect("a frame comes").expect("the socket is open").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The next message, past what is said of others.
    pub(crate) async fn message(&mut self) -> Value {
        loop {
            let frame = self.next().await;
            if frame["message"].is_string() && frame["type"].is_null() {
                return frame;
            }
        }
    }

    /// The next message, which is acknowledged; gives its text.
    pub(crate) async fn read(&mut self) -> String {
        let message = self.message().await;
        self.send(json!({"type": "ack", "message_id": message["message_id"]})).await;
        message["message"].as_str().unwrap().into()
    }

    /// Waits until a message of this id has this status.
    pub(crate) async fn status(&mut self, status: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == "status" && frame["status"] == status {
                return frame;
            }
        }
    }

    pub(crate) async fn close(mut self) {
        self.socket.close(None).await.unwrap();
    }
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let held = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(held.await.is_ok(), "in vain waited until {what}");
}
