//! A member against servers that the tests play.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;

use super::*;

#[tokio::test]
async fn a_member_whom_nobody_lets_in_again_ends_with_the_run() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut member = member_of(listener.local_addr().unwrap()).await;
    let room = member.plan.room(0);
    let (over, is_over) = tokio::sync::oneshot::channel();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let joined = json!({"type": "join_room", "room": room, "success": true});
        // It asks to join, and then for what it missed.
        socket.next().await.unwrap().unwrap();
        socket.send(Message::text(joined.to_string())).await.unwrap();
        socket.next().await.unwrap().unwrap();
        drop(socket);
        // The next one is taken, and never answered.
        let silent = listener.accept().await.unwrap();
        over.send(()).unwrap();
        silent
    };
    let load = async {
        let socket = member.join().await.unwrap();
        let over = async { is_over.await.unwrap() };
        member.take_part(socket, clock::now(), over).await.unwrap()
    };
    let (tally, _silent) = tokio::join!(load, server);
    assert_eq!(tally.heard, 0);
}

#[tokio::test]
async fn who_has_much_to_say_hears_the_answers_meanwhile() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut member = member_of(listener.local_addr().unwrap()).await;
    let room = member.plan.room(0);
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let joined = json!({"type": "join_room", "room": room, "success": true});
        socket.next().await.unwrap().unwrap();
        // With what is said in the same breath: it is there when the member has joined.
        socket.feed(Message::text(joined.to_string())).await.unwrap();
        for offset in 0..5 {
            let frame = format!(r#"{{"content":"r 0 {offset}","offset":{offset}}}"#);
            socket.feed(Message::text(frame)).await.unwrap();
        }
        socket.flush().await.unwrap();
        socket
    };
    let (socket, _server) = tokio::join!(member.join(), server);
    member.start = clock::now() - Duration::from_secs(1);
    assert!(member.turn(&mut socket.unwrap(), &mut Alarm::new()).await.unwrap());
    assert_eq!((member.sent, member.tally.heard), (1, 5));
}

#[tokio::test]
async fn every_frame_is_heard_however_many_come_at_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut member = member_of(listener.local_addr().unwrap()).await;
    let room = member.plan.room(0);
    let (over, is_over) = tokio::sync::oneshot::channel();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let joined = json!({"type": "join_room", "room": room, "success": true});
        socket.next().await.unwrap().unwrap();
        socket.send(Message::text(joined.to_string())).await.unwrap();
        socket.next().await.unwrap().unwrap();
        for offset in 0..5 * HEARD_AT_ONCE {
            let frame = format!(r#"{{"content":"r 0 {offset}","offset":{offset}}}"#);
            socket.feed(Message::text(frame)).await.unwrap();
        }
        socket.close(None).await.unwrap();
        let next = listener.accept().await.unwrap();
        over.send(()).unwrap();
        (socket, next)
    };
    let load = async {
        let socket = member.join().await.unwrap();
        let over = async { is_over.await.unwrap() };
        member.take_part(socket, clock::now(), over).await.unwrap()
    };
    let (tally, _sockets) = tokio::join!(load, server);
    assert_eq!(tally.heard, 5 * HEARD_AT_ONCE as u64);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut member = member_of(listener.local_addr().unwrap()).await;
    tokio::time::pause();
    let error = member.join().await.unwrap_err();
    assert_eq!(error.to_string(), "the room did not open within 30s");
}

#[tokio::test]
async fn who_has_an_account_loads_what_the_server_cannot_tell() {
    async fn history(asked: axum::http::Request<axum::body::Body>) -> String {
        assert_eq!(asked.headers()["authorization"], "Bearer t");
        let uri = asked.uri().to_string();
        let (room, after) = uri.split_once("/messages?after=").unwrap();
        assert_eq!(room, "/api/rooms/sim%20r%200");
        let after: i64 = after.strip_suffix("&limit=200").unwrap().parse().unwrap();
        let said = |offset: i64| {
            let content = if offset == 300 { "r 0 0".into() } else { format!("{offset}") };
            json!({"content": content, "offset": offset})
        };
        let messages: Vec<_> = (after + 1..=300).take(200).map(said).collect();
        json!({"messages": messages, "delayed": false}).to_string()
    }
    let pages = axum::Router::new()
        .route("/api/auth/signup", axum::routing::post("{}"))
        .route("/api/auth/login", axum::routing::post(r#"{"token":"t"}"#))
        .route("/api/rooms/{room}/messages", axum::routing::get(history));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut member = member_of(listener.local_addr().unwrap()).await;
    let load = async {
        member.sign_up().await.unwrap();
        let account = member.account.clone().unwrap();
        assert!(member.load_history(&account).await.unwrap());
    };
    tokio::select! {
        served = axum::serve(listener, pages) => served.unwrap(),
        () = load => {}
    }
    assert_eq!((member.followed, member.tally.heard), (Some(300), 1));
}

async fn member_of(place: SocketAddr) -> Member {
    let time = Duration::from_secs(3600);
    let plan = Plan { run: "r".into(), rooms: 1, senders: 1, rate: 1.0, time };
    let world = Arc::new(World::of_tests(place).await);
    Member::new(0, (world, Arc::new(plan), Arc::default()), vec![place])
}
