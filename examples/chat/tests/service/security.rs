//! What must not work.

use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::set::{Set, client};

/// The status that a handshake is refused with.
async fn refused(url: &str, origin: Option<&'static str>, bearer: Option<&str>) -> u16 {
    let mut request = url.into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", HeaderValue::from_static(origin));
    }
    if let Some(bearer) = bearer {
        let value = HeaderValue::from_str(&format!("Bearer {bearer}")).unwrap();
        request.headers_mut().insert("authorization", value);
    }
    match connect_async(request).await {
        Ok(_) => 101,
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => answer.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_pages_open_sockets_and_each_ticket_opens_one() {
    let set = Set::start().await;
    let token = set.token(0, "alice").await;
    let ws = |path: &str| set.url(1, path).replacen("http", "ws", 1);
    assert_eq!(refused(&ws("/ws/chat"), None, None).await, 401);
    assert_eq!(refused(&ws("/ws/chat"), None, Some("forged")).await, 401);
    assert_eq!(refused(&ws("/ws/chat"), None, Some(&token)).await, 101);
    let evil = Some("http://evil.example");
    assert_eq!(refused(&ws("/ws/chat"), evil, Some(&token)).await, 403);
    let ours = Some("http://localhost:8080");
    assert_eq!(refused(&ws("/ws/chat"), ours, Some(&token)).await, 101);
    // A token in the address would be found in logs.
    assert_eq!(refused(&ws(&format!("/ws/chat?token={token}")), None, None).await, 401);
    let ticket = set.post(0, "/api/ws-ticket", &token, json!({})).await.body;
    let url = ws(&format!("/ws/chat?ticket={}", ticket["ticket"].as_str().unwrap()));
    assert_eq!(refused(&url, ours, None).await, 101);
    assert_eq!(refused(&url, ours, None).await, 401);
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_originals_token_in_the_address_works_if_it_is_allowed() {
    let set = Set::start_with(|settings| settings.compat_token_in_query = true).await;
    let token = set.token(0, "alice").await;
    let url = set.url(0, &format!("/ws/chat?token={token}")).replacen("http", "ws", 1);
    assert_eq!(refused(&url, None, None).await, 101);
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_refresh_token_ends_the_session_everywhere() {
    let set = Set::start_with(|settings| {
        settings.auth.refresh_leeway = std::time::Duration::ZERO;
        settings.compat_token_in_query = true;
    })
    .await;
    let mut other = set.page(1, "alice").await;
    let credentials = json!({"username": "alice", "password": "correct horse"});
    let session = set.post(0, "/api/auth/login", "", credentials).await;
    let token = session.body["token"].as_str().unwrap();
    let mut page = set.page_of(1, token).await;
    assert!(session.cookie.contains("HttpOnly") && session.cookie.contains("SameSite=Strict"));
    let refresh = async |cookie: &str| {
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let request = client().post(set.url(0, "/api/auth/refresh"));
        let answer = request.header("cookie", cookie).send().await.unwrap();
        let cookie = answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().into());
        (answer.status().as_u16(), cookie.unwrap_or(String::new()))
    };
    let (status, next) = refresh(&session.cookie).await;
    assert_eq!(status, 200);
    let (status, last) = refresh(&next).await;
    assert_eq!(status, 200);
    assert_eq!(refresh(&session.cookie).await.0, 401);
    assert_eq!(refresh(&last).await.0, 401);
    assert_eq!(page.closed().await, Some(4401));
    // The access token would be good for minutes still: it opens and tells nothing any more.
    assert_eq!(set.post(0, "/api/ws-ticket", token, json!({})).await.status, 401);
    let ws = |path: &str| set.url(1, path).replacen("http", "ws", 1);
    assert_eq!(refused(&ws("/ws/chat"), None, Some(token)).await, 401);
    assert_eq!(refused(&ws(&format!("/ws/chat?token={token}")), None, None).await, 401);
    for server in 0..2 {
        assert_eq!(set.get(server, "/api/rooms", token).await.status, 401);
    }
    // Another session of the same user is none of this one's business.
    other.say(json!({"type": "ping"})).await;
    other.hear("pong").await;
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_logs_out_has_no_open_pages_left() {
    let set = Set::start().await;
    set.token(0, "alice").await;
    let credentials = json!({"username": "alice", "password": "correct horse"});
    let session = set.post(0, "/api/auth/login", "", credentials).await;
    let mut page = set.page_of(1, session.body["token"].as_str().unwrap()).await;
    let cookie = session.cookie.split(';').next().unwrap().to_owned();
    let request = client().post(set.url(0, "/api/auth/logout")).header("cookie", cookie);
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(page.closed().await, Some(4401));
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_not_understood_is_refused() {
    let set = Set::start().await;
    let mut page = set.page(0, "alice").await;
    page.say_raw("not json".into()).await;
    assert_eq!(page.next().await["error"], true);
    page.say(json!({"type": "join_room", "room": "../etc"})).await;
    let refused = page.hear("join_room").await;
    assert_eq!((&refused["success"], &refused["error"]), (&json!(false), &json!(true)));
    page.say_raw("x".repeat(17 * 1024)).await;
    page.closed().await;
    let large = json!({"username": "x".repeat(17 * 1024), "password": "correct horse"});
    assert!(set.post(0, "/api/auth/signup", "", large).await.status >= 400);
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_too_much_is_told_to_wait() {
    let set = Set::start_with(|settings| {
        settings.auth.quotas.logins_per_minute_of_user = 5;
        (settings.messages_per_second, settings.messages_burst) = (1, 2);
    })
    .await;
    let mut page = set.page(0, "alice").await;
    page.join("a").await;
    for number in 0..3 {
        page.send("a", &number.to_string(), "hi").await;
    }
    assert!(page.hear("slow_down").await["retry_ms"].as_u64().unwrap() <= 1_000);
    let failed = page.hear("message_failed").await;
    assert_eq!((&failed["code"], &failed["retryable"]), (&json!("rate_limited"), &json!(true)));
    for _ in 0..10 {
        page.say(json!({"type": "join_room", "room": "a"})).await;
    }
    while page.hear("join_room").await["success"] == true {}
    let wrong = json!({"username": "alice", "password": "wrong horse"});
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(set.post(0, "/api/auth/login", "", wrong.clone()).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429]);
    let last = set.post(0, "/api/auth/login", "", wrong).await;
    assert!(last.retry_after.is_some());
    assert!(last.body["message"].as_str().unwrap().starts_with("Too many attempts"));
    set.stop().await;
}

/// Its handshake was refused, of which a browser does not say why: the page tried again for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_too_many_is_told_so_when_it_is_closed() {
    let set = Set::start_with(|settings| settings.sockets_per_user = 2).await;
    let first = set.page(0, "alice").await;
    let _second = set.page_of(0, &first.token).await;
    let mut third = set.handshake(0, &first.token).await;
    assert_eq!(third.closed().await, Some(4409));
    set.stop().await;
}

/// One account could have 100,000 rooms within an hour, and its instance told all of them to the
/// others every few seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_fifty_rooms_and_hears_of_each_that_it_asks_for() {
    let set = Set::start().await;
    let mut page = set.page(0, "alice").await;
    for number in 0..50 {
        assert_eq!(page.join(&format!("room {number}")).await["success"], true);
    }
    let refused = page.join("room 50").await;
    assert_eq!((&refused["success"], &refused["error"]), (&json!(false), &json!(true)));
    assert_eq!(page.join("room 7").await["success"], true, "it has that one already");
    let seen = |number| json!({"room": format!("room {number}"), "offset": -1, "epoch": "none"});
    let rooms: Vec<_> = (0..60).map(seen).collect();
    page.say(json!({"type": "resume", "rooms": rooms})).await;
    let mut told = std::collections::HashSet::new();
    while told.len() < 60 {
        told.insert(page.hear("resync").await["room"].to_string());
    }
    page.say(json!({"type": "leave_room", "room": "room 7"})).await;
    assert_eq!(page.join("room 50").await["success"], true);
    set.stop().await;
}

/// The page was told that it had joined; the room was in nobody's list.
#[tokio::test(flavor = "multi_thread")]
async fn who_makes_too_many_rooms_is_told_and_has_not_joined() {
    let set = Set::start_with(|settings| settings.rooms_per_hour = 1).await;
    let mut page = set.page(0, "alice").await;
    assert_eq!(page.join("a").await["success"], true);
    let refused = page.join("b").await;
    assert_eq!(refused["success"], false);
    assert!(refused["message"].as_str().unwrap().contains("many rooms"), "{refused}");
    page.send("b", "0", "hi").await;
    assert_eq!(page.hear("message_failed").await["code"], "not_joined");
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ending_session_is_warned_renewed_or_closed() {
    let set = Set::start_with(|settings| {
        settings.auth.access_lifetime = std::time::Duration::from_secs(61);
    })
    .await;
    let mut page = set.page(0, "alice").await;
    page.hear("auth_expiring").await;
    // The token of another session is no good: it may outlive this one.
    for token in [&*set.token(0, "alice").await, "forged"] {
        page.say(json!({"type": "auth", "token": token})).await;
        while page.next().await["code"] != "not_logged_in" {}
    }
    page.say(json!({"type": "auth", "token": page.token})).await;
    page.say(json!({"type": "ping"})).await;
    page.hear("pong").await;
    set.stop().await;
}
