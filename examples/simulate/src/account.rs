//! Somebody who has signed up, and does over HTTP what a page does.

use anyhow::{Context as _, ensure};
use axum::http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::http::Client;

/// Whose sockets nobody else opens.
const PASSWORD: &str = "correct horse battery";
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
        let answer = http.post(&format!("{url}/api/auth/signup"), body.clone()).await?;
        ensure!(answer.0.is_success(), "{username} cannot sign up: {} {}", answer.0, answer.1);
        let answer = http.post(&format!("{url}/api/auth/login"), body).await?;
        let Session { token } = read(answer).context("nobody is logged in")?;
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

fn read<T: DeserializeOwned>((status, text): (hyper::StatusCode, String)) -> anyhow::Result<T> {
    ensure!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).with_context(|| text)
}
