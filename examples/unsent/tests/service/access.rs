//! Who may ask for what, where there are accounts.

use common::auth::{Auth, NewUser, Settings};
use common::bus::Bus;
use common::db::Database;
use common::kv::Stores;
use reqwest::header::AUTHORIZATION;
use serde_json::json;
use unsent::producer::Access;

use crate::harness::Service;

const SERVICE_TOKEN: &str = "the token that services have";

async fn auth() -> Auth {
    let database = Database::in_memory().await.unwrap();
    database.migrate(Auth::MIGRATIONS).await.unwrap();
    let auth = Auth::new(settings(), database, Bus::memory());
    for username in ["alice", "bob"] {
        let (username, password) = (username.to_owned(), "correct horse".to_owned());
        auth.signup(NewUser { username, password, ..NewUser::default() }).await.unwrap();
    }
    auth
}

fn settings() -> Settings {
    Settings::dev("0123456789abcdef0123456789abcdef")
}

async fn token_of(auth: &Auth, username: &str) -> String {
    auth.login(username, "correct horse").await.unwrap().access
}

/// The statuses of all requests about bob's messages from alice: two reads, two acknowledgements,
/// the stream of changes and the figures.
async fn statuses(service: &Service, token: Option<&str>) -> [u16; 6] {
    let unsent = service.url("/users/bob/unsent");
    let (of_alice, live) = (format!("{unsent}/alice"), service.url("/live?touser=bob"));
    let ack = service.http.post(format!("{of_alice}/ack")).json(&json!({"upto_offset": -1}));
    let requests = [
        service.http.get(&unsent),
        service.http.get(&of_alice),
        service.http.delete(&of_alice),
        ack,
        service.http.get(live),
        service.http.get(service.url("/stats")),
    ];
    let mut statuses = [0; 6];
    for (status, request) in statuses.iter_mut().zip(requests) {
        let request = match token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        *status = request.send().await.unwrap().status().as_u16();
    }
    statuses
}

#[tokio::test]
async fn what_was_written_to_somebody_is_theirs_alone() {
    let access = Access::guarded(&settings(), SERVICE_TOKEN);
    let service = Service::start_with(Stores::memory(), access).await;
    let consumer = service.consumer("one").await;
    let auth = auth().await;
    let (alice, bob) = (token_of(&auth, "alice").await, token_of(&auth, "bob").await);
    assert_eq!(statuses(&service, None).await, [401; 6]);
    assert_eq!(statuses(&service, Some("made up")).await, [401; 6]);
    assert_eq!(statuses(&service, Some(&alice)).await, [403, 403, 403, 403, 403, 200]);
    assert_eq!(statuses(&service, Some(&bob)).await, [200, 200, 202, 202, 200, 200]);
    assert_eq!(statuses(&service, Some(SERVICE_TOKEN)).await, [200, 200, 202, 202, 200, 200]);

    let live = async |query: &str| {
        let answer = service.http.get(service.url(&format!("/live?{query}"))).send().await;
        answer.unwrap().status().as_u16()
    };
    let ticket = auth.ticket(&auth.verify(&bob).unwrap()).await.unwrap();
    assert_eq!(live(&format!("touser=bob&ticket={ticket}")).await, 200);
    assert_eq!(live(&format!("touser=alice&ticket={ticket}")).await, 403);
    // An access token does not belong into an address.
    assert_eq!(live(&format!("touser=bob&ticket={bob}")).await, 401);
    consumer.stop().await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn people_write_in_their_own_names_and_services_in_all() {
    let access = Access::guarded(&settings(), SERVICE_TOKEN);
    let service = Service::start_with(Stores::memory(), access).await;
    let auth = auth().await;
    let alice = token_of(&auth, "alice").await;
    let post = async |token: &str, fromuser: &str| {
        let message = json!({"touser": "bob", "fromuser": fromuser, "message": "hi"});
        let mut found = Vec::new();
        for (path, body) in [("/messages", message.clone()), ("/messages/batch", json!([message]))]
        {
            let request = service.http.post(service.url(path)).json(&body);
            let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            found.push(request.send().await.unwrap().status().as_u16());
        }
        found
    };
    assert_eq!(post(&alice, "alice").await, [202, 202]);
    assert_eq!(post(&alice, "carol").await, [403, 403]);
    assert_eq!(post(SERVICE_TOKEN, "carol").await, [202, 202]);
    assert_eq!(post("made up", "carol").await, [401, 401]);
    service.stop().await;
}

/// It was: whoever had an account could fill the stores, a thousand messages with each request.
#[tokio::test]
async fn people_write_a_batch_at_once_and_no_more_and_services_what_they_like() {
    let access = Access::guarded(&settings(), SERVICE_TOKEN);
    let service = Service::start_with(Stores::memory(), access).await;
    let auth = auth().await;
    let alice = token_of(&auth, "alice").await;
    let message = json!({"touser": "bob", "fromuser": "alice", "message": "hi"});
    let batch = json!(vec![message; 1_000]);
    let post = async |token: &str| {
        let request = service.http.post(service.url("/messages/batch")).json(&batch);
        let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
    };
    assert_eq!(post(&alice).await, (202, false));
    assert_eq!(post(&alice).await, (429, true));
    for _ in 0..2 {
        assert_eq!(post(SERVICE_TOKEN).await, (202, false));
    }
    service.stop().await;
}
