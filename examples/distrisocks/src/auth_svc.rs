//! `auth-svc`: owns users. The accounts are those of all pages; the shapes are the original's.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{Extension, FromRef, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_extra::extract::cookie::{Cookie, CookieJar};
use common::auth::{Auth, AuthError, Identity, NewUser, Session, User, UserKey, refresh_cookie};
use common::config::Config;
use common::db::Database;
use common::http::{self, ClientIp};
use common::patience::Patience;
use common::service::Running;
use common::telemetry::{Component, Telemetry};
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, OffsetReset};
use klamm_utils::task::TaskGroup;
use prometheus_client::metrics::counter::Counter;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::wire::{STATUS_TOPIC, done, refused};

/// The group by which it follows what becomes of messages.
const GROUP: &str = "auth-svc";
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// Users of one answer, at most.
const PAGE: u32 = 100;

/// What the service is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The brokers.
    pub kafka: String,
    /// Whom to believe, and how much to read.
    pub http: http::Settings,
}

impl Settings {
    /// Settings by their names.
    pub fn from_config(config: &mut Config) -> Self {
        let port: u16 = config.value("PORT", 3001);
        Self {
            listen: config.value("LISTEN", SocketAddr::from(([127, 0, 0, 1], port))),
            kafka: crate::config::kafka(config),
            http: http::Settings::read(config),
        }
    }
}

#[derive(Clone)]
struct App {
    auth: Auth,
}

impl FromRef<App> for Auth {
    fn from_ref(app: &App) -> Self {
        app.auth.clone()
    }
}

/// Starts the service. It listens at once; `auth` is on this database.
pub async fn start(settings: Settings, auth: Auth, database: Database) -> anyhow::Result<Running> {
    let tasks = TaskGroup::new("auth-svc");
    let telemetry = Telemetry::new();
    tasks.spawn("sessions", hear_endings(auth.clone(), tasks.clone()));
    let router = routes(App { auth }).merge(telemetry.routes());
    let router = http::guard(router, &settings.http);
    let (ready, stop) = (telemetry.needs("database"), tasks.clone());
    let running = Running::serve(settings.listen, router, tasks.clone()).await?;
    tasks.spawn("migrate", async move {
        if database.migrate_patiently(&stop, Auth::MIGRATIONS).await {
            ready.well();
        }
    });
    tasks.spawn("statuses", follow(settings.kafka, telemetry, tasks.clone()));
    Ok(running)
}

fn routes(app: App) -> Router {
    Router::new()
        .route("/", get(async || "yo"))
        .route("/register", post(register))
        .route("/login", post(login))
        .route("/refreshToken", post(refresh))
        .route("/logout", post(logout))
        .route("/users", get(users))
        .route("/users/{id}", get(user))
        .with_state(app)
}

/// Hears which sessions ended, so that their tokens are refused.
async fn hear_endings(auth: Auth, tasks: TaskGroup) {
    let mut endings = auth.endings();
    loop {
        tokio::select! {
            _ = endings.next() => {}
            () = tasks.stopping() => return,
        }
    }
}

/// Follows what pods tell of messages, and counts it.
async fn follow(kafka: String, telemetry: Telemetry, tasks: TaskGroup) {
    let events = Counter::<u64>::default();
    let help = "Statuses that pods told of";
    telemetry.register(|registry| registry.register("message_status_events", help, events.clone()));
    let seen = telemetry.uses("kafka");
    let mut patience = Patience::new(&tasks, "follow statuses");
    loop {
        let error = tokio::select! {
            error = count(&kafka, &events, &seen) => error,
            () = tasks.stopping() => return,
        };
        seen.away(&error);
        if patience.after(&error).await.is_none() {
            return;
        }
    }
}

async fn count(kafka: &str, events: &Counter, seen: &Component) -> klamm_client::Error {
    let consumer = async {
        let kafka = Kafka::connect(ClientConfig::new(kafka).client_id(GROUP)).await?;
        let consumer = kafka.consumer().group(GROUP).subscribe([STATUS_TOPIC]);
        consumer.auto_offset_reset(OffsetReset::Earliest).build().await
    };
    let mut consumer = match consumer.await {
        Ok(consumer) => consumer,
        Err(error) => return error,
    };
    seen.well();
    loop {
        match consumer.next_batch().await {
            Ok(batch) => events.inc_by(batch.records().len() as u64),
            Err(error) => {
                let _ = consumer.close(LEAVE_WITHIN).await;
                return error;
            }
        };
    }
}

/// A refusal in the original's generic reply.
struct Refusal(AuthError);

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0.status(), refused(self.0.to_string())).into_response()
    }
}

type Answer = Result<Response, Refusal>;

#[derive(Deserialize)]
struct Registration {
    username: String,
    password: String,
    #[serde(default)]
    name: String,
    email: Option<String>,
}

async fn register(
    State(app): State<App>,
    Extension(ClientIp(from)): Extension<ClientIp>,
    Json(Registration { username, password, name, email }): Json<Registration>,
) -> Answer {
    let new = NewUser { username, password, name, email };
    let user = app.auth.signup_from(from, new).await?;
    Ok((StatusCode::CREATED, done("registered", user)).into_response())
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

async fn login(
    State(app): State<App>,
    Extension(ClientIp(from)): Extension<ClientIp>,
    Json(Credentials { username, password }): Json<Credentials>,
) -> Answer {
    let session = app.auth.login_from(from, &username, &password).await?;
    Ok(begun(&app.auth, &session, "logged in"))
}

async fn refresh(State(app): State<App>, jar: CookieJar) -> Answer {
    let token = jar.get("refresh").map(Cookie::value).ok_or(AuthError::NotLoggedIn)?;
    let session = app.auth.refresh(token).await?;
    Ok(begun(&app.auth, &session, "refreshed"))
}

async fn logout(State(app): State<App>, jar: CookieJar) -> Answer {
    if let Some(token) = jar.get("refresh") {
        app.auth.logout(token.value()).await?;
    }
    let jar = CookieJar::new().add(refresh_cookie(&app.auth, None));
    Ok((jar, done("logged out", ())).into_response())
}

fn begun(auth: &Auth, session: &Session, message: &str) -> Response {
    let jar = CookieJar::new().add(refresh_cookie(auth, Some(&session.refresh)));
    let data = json!({
        "token": session.access,
        "expires_in": session.expires_in,
        "user": session.user,
    });
    (jar, done(message, data)).into_response()
}

#[derive(Deserialize)]
struct LookUp {
    username: Option<String>,
    email: Option<String>,
    name: Option<String>,
    /// Users behind this name, where none is looked for.
    #[serde(default)]
    after: String,
}

async fn users(State(app): State<App>, who: Identity, Query(by): Query<LookUp>) -> Answer {
    let LookUp { username, email, name, after } = by;
    let key = match (&username, &email, &name) {
        (Some(username), ..) => UserKey::Username(username),
        (_, Some(email), _) => UserKey::Email(email),
        (_, _, Some(name)) => UserKey::Name(name),
        _ => {
            let all = app.auth.users(&after, PAGE).await?;
            let all: Vec<_> = all.into_iter().map(|user| shown(user, &who)).collect();
            return Ok(done("", all).into_response());
        }
    };
    found(app.auth.user(key).await?, &who)
}

async fn user(State(app): State<App>, who: Identity, Path(id): Path<Uuid>) -> Answer {
    found(app.auth.user(UserKey::Id(id)).await?, &who)
}

fn found(user: Option<User>, to: &Identity) -> Answer {
    match user {
        Some(user) => Ok(done("", shown(user, to)).into_response()),
        None => Ok((StatusCode::NOT_FOUND, refused("no such user")).into_response()),
    }
}

/// A user as another may see it: addresses are for their owners.
fn shown(mut user: User, to: &Identity) -> Value {
    if user.user_id != to.user_id {
        user.email = None;
    }
    json!(user)
}
