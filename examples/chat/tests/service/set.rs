//! What the tests run on, and a page that they look through.

use chat::server::{self, Backends, Settings};
use chat::{llm, persister};
use common::bus::Bus;
use common::db::Database;
use common::service::Running;
use futures_util::{SinkExt as _, StreamExt as _};
use klamm_broker::Broker;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Everything, in one process.
pub(crate) struct Set {
    pub(crate) broker: Option<Broker>,
    pub(crate) kafka: String,
    pub(crate) database: Database,
    pub(crate) bus: Bus,
    pub(crate) servers: Vec<Running>,
    pub(crate) persister: Option<Running>,
    pub(crate) llm: Option<Running>,
    _folder: tempfile::TempDir,
}

/// Answers of a server.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) cookie: String,
    pub(crate) retry_after: Option<String>,
}

impl Set {
    /// Two servers, Asia and Europe, and what they need.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl Fn(&mut Settings)) -> Self {
        let broker = Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0");
        let broker = broker.start().await.unwrap();
        let kafka = broker.bootstrap();
        let folder = tempfile::tempdir().unwrap();
        let database = Database::sqlite(&folder.path().join("chat.sqlite")).await.unwrap();
        let mut set = Self {
            broker: Some(broker),
            kafka,
            database,
            bus: Bus::memory(),
            servers: Vec::new(),
            persister: None,
            llm: None,
            _folder: folder,
        };
        for name in ["Asia", "Europe"] {
            set.start_server(name, &change).await;
        }
        set.start_persister().await;
        set.ready().await;
        set
    }

    pub(crate) async fn start_server(&mut self, name: &str, change: &impl Fn(&mut Settings)) {
        let mut settings = Settings::dev(name, &self.kafka);
        settings.auth.quotas = common::auth::Quotas::NONE;
        settings.messages_per_second = 0;
        settings.rooms_per_hour = 0;
        change(&mut settings);
        let backends = Backends { database: self.database.clone(), bus: self.bus.clone() };
        self.servers.push(server::start(settings, backends).await.unwrap());
    }

    pub(crate) async fn start_persister(&mut self) {
        let settings = persister::Settings::dev(&self.kafka);
        self.persister = Some(persister::start(settings, self.database.clone()).await.unwrap());
    }

    pub(crate) async fn start_llm(&mut self, change: impl FnOnce(&mut llm::Settings)) {
        let mut settings = llm::Settings::dev(&self.kafka);
        settings.builtin_pause = std::time::Duration::ZERO;
        change(&mut settings);
        self.llm = Some(llm::start(settings, self.bus.clone()).await.unwrap());
    }

    /// Waits until every server has all that it needs.
    pub(crate) async fn ready(&self) {
        for server in 0..self.servers.len() {
            while self.get(server, "/readyz", "").await.status != 200 {
                tokio::task::yield_now().await;
            }
        }
    }

    pub(crate) async fn stop(mut self) {
        for running in self.llm.take().into_iter().chain(self.persister.take()) {
            running.stop().await.unwrap();
        }
        for running in self.servers.drain(..) {
            running.stop().await.unwrap();
        }
        if let Some(broker) = self.broker.take() {
            broker.stop().await;
        }
    }

    pub(crate) fn url(&self, server: usize, path: &str) -> String {
        format!("http://{}{path}", self.servers[server].address())
    }

    pub(crate) async fn get(&self, server: usize, path: &str, token: &str) -> Answer {
        let request = client().get(self.url(server, path)).bearer_auth(token);
        answer(request).await
    }

    /// What a server counts.
    pub(crate) async fn metrics(&self, server: usize) -> String {
        self.get(server, "/metrics", "").await.body.as_str().unwrap().to_owned()
    }

    pub(crate) async fn post(&self, server: usize, path: &str, token: &str, body: Value) -> Answer {
        let request = client().post(self.url(server, path));
        answer(request.bearer_auth(token).json(&body)).await
    }

    pub(crate) async fn put(&self, server: usize, path: &str, token: &str, body: Value) -> Answer {
        let request = client().put(self.url(server, path));
        answer(request.bearer_auth(token).json(&body)).await
    }

    /// Makes an account, if there is none, and logs in.
    pub(crate) async fn token(&self, server: usize, name: &str) -> String {
        let credentials = json!({"username": name, "password": "correct horse"});
        self.post(server, "/api/auth/signup", "", credentials.clone()).await;
        let session = self.post(server, "/api/auth/login", "", credentials).await;
        assert_eq!(session.status, 200, "{}", session.body);
        session.body["token"].as_str().unwrap().to_owned()
    }

    /// Opens a page of this user at this server.
    pub(crate) async fn page(&self, server: usize, name: &str) -> Page {
        let token = self.token(server, name).await;
        self.page_of(server, &token).await
    }

    /// Opens a page of whoever holds this token.
    pub(crate) async fn page_of(&self, server: usize, token: &str) -> Page {
        let mut page = self.handshake(server, token).await;
        let hello = page.hear("hello").await;
        page.epoch = hello["epoch"].as_str().unwrap().to_owned();
        page.server = hello["server"].as_str().unwrap().to_owned();
        page
    }

    /// The same, which has heard nothing yet.
    pub(crate) async fn handshake(&self, server: usize, token: &str) -> Page {
        let ticket = self.post(server, "/api/ws-ticket", token, json!({})).await;
        let ticket = ticket.body["ticket"].as_str().unwrap().to_owned();
        let address = self.servers[server].address();
        let url = format!("ws://{address}/ws/chat?ticket={ticket}");
        let (socket, _) = connect_async(url.into_client_request().unwrap()).await.unwrap();
        let token = token.to_owned();
        Page { socket, token, epoch: String::new(), server: String::new() }
    }

    /// How many rows the database has of a room.
    pub(crate) async fn rows(&self, room: &str) -> Vec<(String, i64)> {
        let select = "SELECT content, off FROM messages WHERE room = $1 ORDER BY off";
        common::on!(&self.database, pool => {
            sqlx::query_as(select).bind(room).fetch_all(pool).await.unwrap()
        })
    }

    /// Waits until the database has so many rows of a room.
    pub(crate) async fn wait_for_rows(&self, room: &str, count: usize) -> Vec<(String, i64)> {
        loop {
            let rows = self.rows(room).await;
            if rows.len() >= count {
                return rows;
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let header =
        |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let cookie = header("set-cookie").unwrap_or_default();
    let (status, retry_after) = (answer.status().as_u16(), header("retry-after"));
    let body = answer.text().await.unwrap();
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    Answer { status, body, cookie, retry_after }
}

/// An HTTP client.
pub(crate) fn client() -> reqwest::Client {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// An open page.
pub(crate) struct Page {
    socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    pub(crate) token: String,
    pub(crate) epoch: String,
    pub(crate) server: String,
}

impl Page {
    pub(crate) async fn say(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub(crate) async fn say_raw(&mut self, text: String) {
        // The server may have closed already.
        let _ = self.socket.send(Message::text(text)).await;
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.socket.next().await.expect("the socket ended").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(close) => panic!("closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// The next frame of this kind; others are passed over.
    pub(crate) async fn hear(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// That somebody came to a room or left it.
    pub(crate) async fn hears_of(&mut self, kind: &str, name: &str) -> Value {
        loop {
            let frame = self.hear(kind).await;
            if frame["name"] == name {
                return frame;
            }
        }
    }

    /// Waits until what is fleeting gets from this page to the other one: that an instance listens
    /// takes effect soon, not at once.
    pub(crate) async fn reaches(&mut self, other: &mut Self, room: &str) {
        loop {
            self.say(json!({"type": "read", "room": room, "offset": -1})).await;
            let wait = std::time::Duration::from_millis(50);
            if tokio::time::timeout(wait, other.hear("read")).await.is_ok() {
                return;
            }
        }
    }

    /// The close code; frames before it are passed over. None if there is none.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Close(close))) => return close.map(|close| close.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Closes it.
    pub(crate) async fn go(mut self) {
        self.socket.close(None).await.unwrap();
    }

    pub(crate) async fn join(&mut self, room: &str) -> Value {
        self.say(json!({"type": "join_room", "room": room})).await;
        self.hear("join_room").await
    }

    pub(crate) async fn send(&mut self, room: &str, id: &str, content: &str) {
        let frame = json!({
            "type": "chat_message", "room": room, "content": content, "client_msg_id": id,
        });
        self.say(frame).await;
    }

    pub(crate) async fn hears(&mut self, content: &str) -> Value {
        let message = self.hear("chat_message").await;
        assert_eq!(message["content"], content);
        message
    }
}
