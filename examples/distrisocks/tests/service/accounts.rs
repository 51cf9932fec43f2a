//! `auth-svc`, in the shapes of the original.

use distrisocks::auth_svc::{self, Settings};
use serde_json::{Value, json};

use crate::harness::{LOOPBACK, PASSWORD, World};

#[tokio::test]
async fn users_register_log_in_and_are_found() {
    let world = World::start(1).await;
    let settings = Settings {
        listen: LOOPBACK,
        kafka: world.broker.bootstrap(),
        http: common::http::Settings::default(),
    };
    let (auth, database) = (world.backends.auth.clone(), world.backends.database.clone());
    let service = auth_svc::start(settings, auth, database).await.unwrap();
    let url = |path: &str| format!("http://{}{path}", service.address());
    let post = async |path: &str, cookie: &str, body: Value| {
        let request = world.http.post(url(path)).header("cookie", cookie).json(&body);
        let answer = request.send().await.unwrap();
        let cookie = answer.headers().get("set-cookie").map(|c| c.to_str().unwrap().to_owned());
        (
            answer.status().as_u16(),
            cookie.unwrap_or_default(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    assert_eq!(world.http.get(url("/")).send().await.unwrap().text().await.unwrap(), "yo");

    let new = json!({"username": "alice", "password": PASSWORD, "email": "alice@example.org"});
    let (status, _, reply) = post("/register", "", new.clone()).await;
    assert_eq!((status, &reply["success"]), (201, &json!(true)));
    let id = reply["data"]["user_id"].as_str().unwrap().to_owned();
    assert_eq!(post("/register", "", new).await.0, 409);
    let wrong = json!({"username": "alice", "password": "wrong horse"});
    let (status, _, reply) = post("/login", "", wrong).await;
    assert_eq!((status, &reply["success"]), (401, &json!(false)));
    let right = json!({"username": "alice", "password": PASSWORD});
    let (status, cookie, reply) = post("/login", "", right).await;
    assert_eq!(status, 200);
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let token = reply["data"]["token"].as_str().unwrap().to_owned();

    let find = async |path: &str, token: &str| {
        let answer = world.http.get(url(path)).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["data"].clone())
    };
    let by = [format!("/users/{id}"), "/users?username=alice".into(), "/users?name=alice".into()];
    for path in by.iter().chain([&"/users?email=alice@example.org".to_owned()]) {
        let (status, user) = find(path, &token).await;
        assert_eq!((status, &user["username"]), (200, &json!("alice")), "{path}");
        assert_eq!(user["email"], "alice@example.org");
        assert!(user["password_hash"].is_null());
    }
    let bob = world.token("bob").await;
    assert!(find(&by[0], &bob).await.1["email"].is_null(), "addresses are for their owners");
    assert_eq!(find("/users?username=nobody", &bob).await.0, 404);
    assert_eq!(find("/users", "rubbish").await.0, 401);
    assert_eq!(find("/users", &bob).await.1.as_array().unwrap().len(), 2);

    let cookie = cookie.split(';').next().unwrap().to_owned();
    let (status, renewed, _) = post("/refreshToken", &cookie, json!({})).await;
    assert_eq!(status, 200);
    let renewed = renewed.split(';').next().unwrap().to_owned();
    assert_eq!(post("/logout", &renewed, json!({})).await.0, 200);
    assert_eq!(post("/refreshToken", &renewed, json!({})).await.0, 401);
    service.stop().await.unwrap();
    world.stop().await;
}
