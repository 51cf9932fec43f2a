//! Somebody who has signed up, and does over HTTP what a page does.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::http::Uri;
use hyper::StatusCode;
use klamm_utils::clock;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::http::Client;

/// Whose sockets nobody else opens.
const PASSWORD: &str = "correct horse battery";
/// For how long somebody who is told to come back later does.
const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How many messages a server gives at once, at most.
const PAGE: usize = 200;

/// Somebody who is logged in.
#[derive(Debug)]
pub(crate) struct Account {
    http: Client,
    /// Where the pages are.
    url: String,
    token: String,
}

/// What a room's history has behind an offset.
#[derive(Debug, Deserialize)]
pub(crate) struct History {
    pub(crate) messages: Vec<Said>,
    /// Whether there is more that cannot be told yet.
    pub(crate) delayed: bool,
}

/// A message of the history.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    pub(crate) content: String,
    pub(crate) offset: i64,
}

impl History {
    /// Whether there is nothing behind it.
    pub(crate) fn is_last(&self) -> bool {
        self.messages.len() < PAGE
    }
}

impl Account {
    /// Signs up and logs in, at the pages of `url`.
    pub(crate) async fn sign_up(http: Client, url: &str, username: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Session {
            token: String,
        }
        let body = json!({"username": username, "password": PASSWORD}).to_string();
        let signup = format!("{url}/api/auth/signup");
        let (tries, (status, text)) = patiently(&http, &signup, &body).await?;
        // Who was told to come back may have an account by then: the password opens it.
        let has_one = status.is_success() || (tries > 1 && status == StatusCode::CONFLICT);
        ensure!(has_one, "{username} cannot sign up: {status} {text}");
        let (_, answer) = patiently(&http, &format!("{url}/api/auth/login"), &body).await?;
        let Session { token } =
            read(answer).with_context(|| format!("{username} cannot log in"))?;
        Ok(Self { http, url: url.to_owned(), token })
    }

    /// A ticket for a socket.
    pub(crate) async fn ticket(&self) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        struct Given {
            ticket: String,
        }
        let url = format!("{}/api/ws-ticket", self.url);
        let Given { ticket } = read(self.http.post_as(&self.token, &url).await?)?;
        Ok(ticket)
    }

    /// What was said in a room behind this offset.
    pub(crate) async fn history(&self, room: &str, after: i64) -> anyhow::Result<History> {
        let room = room.replace(' ', "%20");
        let path = format!("/api/rooms/{room}/messages?after={after}&limit={PAGE}");
        let url: Uri = format!("{}{path}", self.url).parse()?;
        read(self.http.get_as(&self.token, &url.to_string()).await?)
    }
}

/// Posts again for as long as it is told to come back later. Tells how often it posted.
async fn patiently(
    http: &Client,
    url: &str,
    body: &str,
) -> anyhow::Result<(usize, (StatusCode, String))> {
    const BUSY: [StatusCode; 4] = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let begun = clock::now();
    let mut tries = 1;
    loop {
        let answer = http.post(url, body.to_owned()).await?;
        if !BUSY.contains(&answer.0) || begun.elapsed() > PATIENCE {
            return Ok((tries, answer));
        }
        tokio::time::sleep(AGAIN_AFTER).await;
        tries += 1;
    }
}

fn read<T: DeserializeOwned>((status, text): (StatusCode, String)) -> anyhow::Result<T> {
    ensure!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).with_context(|| text)
}
