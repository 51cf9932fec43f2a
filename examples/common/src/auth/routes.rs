//! `/signup`, `/login`, `/refresh`, `/logout`, `/logout-all` and `/me`, in the shapes of the
//! original: `{"error": bool, "message": ..., "token"?: ...}`.

use std::time::Duration;

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, FromRef, FromRequestParts, Json, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use serde::Deserialize;
use serde_json::json;

use super::{Auth, AuthError, Identity, NewUser, Session, UserKey};
use crate::http::ClientIp;

/// The name of the cookie that holds the refresh token.
const COOKIE: &str = "refresh";

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
    #[serde(default)]
    name: String,
    email: Option<String>,
}

/// The routes, to be nested under `/api/auth`.
pub fn routes(auth: Auth) -> Router {
    Router::new()
        .route("/signup", post(signup))
        .route("/login", post(login))
        .route("/refresh", post(refresh))
        .route("/logout", post(logout))
        .route("/logout-all", post(logout_all))
        .route("/me", get(me))
        .with_state(auth)
}

impl AuthError {
    /// The HTTP status that says so.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::WrongPassword | Self::NotLoggedIn | Self::Replayed => StatusCode::UNAUTHORIZED,
            Self::Taken | Self::EmailTaken | Self::Refreshing => StatusCode::CONFLICT,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// An [`AuthError`] in the shape of the original.
#[derive(Debug)]
pub struct AuthRejection(pub AuthError);

impl From<AuthError> for AuthRejection {
    fn from(error: AuthError) -> Self {
        Self(error)
    }
}

impl IntoResponse for AuthRejection {
    fn into_response(self) -> Response {
        if let AuthError::Database(error) = &self.0 {
            tracing::warn!(%error, "accounts cannot be read");
        }
        let body = Json(json!({"error": true, "message": self.0.to_string()}));
        match self.0 {
            AuthError::TooMany(wait) => {
                let seconds = wait.max(Duration::from_secs(1)).as_secs().to_string();
                (self.0.status(), [(header::RETRY_AFTER, seconds)], body).into_response()
            }
            error => (error.status(), body).into_response(),
        }
    }
}

/// Whoever holds the access token of `Authorization: Bearer`.
impl<S: Send + Sync> FromRequestParts<S> for Identity
where
    Auth: FromRef<S>,
{
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or(AuthRejection(AuthError::NotLoggedIn))?;
        Ok(Auth::from_ref(state).verify(token)?)
    }
}

/// The refresh token as a cookie, or one that takes it away.
#[must_use]
pub fn refresh_cookie(auth: &Auth, token: Option<&str>) -> Cookie<'static> {
    let mut cookie = Cookie::build((COOKIE, token.unwrap_or_default().to_owned()))
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(auth.0.settings.secure_cookies)
        .path("/")
        .build();
    let age = if token.is_some() { auth.0.settings.refresh_lifetime } else { Duration::ZERO };
    // An age that is too long for a cookie leaves it for the session of the browser.
    if let Ok(age) = age.try_into() {
        cookie.set_max_age(Some(age));
    }
    cookie
}

type Reply = Result<Response, AuthRejection>;

async fn signup(
    State(auth): State<Auth>,
    Extension(ClientIp(from)): Extension<ClientIp>,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Reply {
    let new = readable(body)?;
    let Credentials { username, password, name, email } = new;
    auth.signup_from(from, NewUser { username, password, name, email }).await?;
    let body = json!({"error": false, "message": "Signup success"});
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn login(
    State(auth): State<Auth>,
    Extension(ClientIp(from)): Extension<ClientIp>,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Reply {
    let credentials = readable(body)?;
    let Credentials { username, password, .. } = credentials;
    let session = auth.login_from(from, &username, &password).await?;
    Ok(begun(&auth, &session, "Login success"))
}

async fn refresh(State(auth): State<Auth>, jar: CookieJar) -> Reply {
    let token = jar.get(COOKIE).map(Cookie::value).ok_or(AuthError::NotLoggedIn)?;
    match auth.refresh(token).await {
        Ok(session) => Ok(begun(&auth, &session, "Refresh success")),
        // The other request's answer brings the cookie to go on with: this one leaves it alone.
        Err(error @ (AuthError::Refreshing | AuthError::Database(_))) => Err(error.into()),
        Err(error) => Ok((ended(&auth), AuthRejection(error)).into_response()),
    }
}

async fn logout(State(auth): State<Auth>, jar: CookieJar) -> Reply {
    if let Some(token) = jar.get(COOKIE) {
        auth.logout(token.value()).await?;
    }
    let body = Json(json!({"error": false, "message": "Logout success"}));
    Ok((ended(&auth), body).into_response())
}

async fn logout_all(State(auth): State<Auth>, identity: Identity) -> Reply {
    auth.logout_everywhere(identity.user_id).await?;
    let body = Json(json!({"error": false, "message": "Logged out everywhere"}));
    Ok((ended(&auth), body).into_response())
}

async fn me(State(auth): State<Auth>, identity: Identity) -> Reply {
    let user = auth.user(UserKey::Id(identity.user_id)).await?.ok_or(AuthError::NotLoggedIn)?;
    Ok(Json(user).into_response())
}

fn begun(auth: &Auth, session: &Session, message: &str) -> Response {
    let jar = CookieJar::new().add(refresh_cookie(auth, Some(&session.refresh)));
    let body = json!({
        "error": false,
        "message": message,
        "token": session.access,
        "expires_in": session.expires_in,
        "userID": session.user.user_id,
        "username": session.user.username,
    });
    (jar, Json(body)).into_response()
}

fn ended(auth: &Auth) -> CookieJar {
    CookieJar::new().add(refresh_cookie(auth, None))
}

fn readable(body: Result<Json<Credentials>, JsonRejection>) -> Result<Credentials, AuthRejection> {
    match body {
        Ok(Json(credentials)) => Ok(credentials),
        Err(_) => Err(AuthRejection(AuthError::Invalid("username and password are missing"))),
    }
}
