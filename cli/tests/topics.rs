//! `klamm topic`, and how failures are told.

mod common;

use std::io::Read as _;

use common::{Ran, Server, klamm, run, terminal};
use serde_json::{Value, json};

#[test]
fn topics_live_and_die() {
    let server = Server::start();
    let created = server.run(&["topic", "create", "orders", "bills", "-p", "3", "-o", "json"]);
    let mut created = created.exits(0).json();
    created.as_array_mut().unwrap().sort_by_key(|row| row["topic"].to_string());
    let expected = ["bills", "orders"].map(|topic| json!({"topic": topic, "status": "created"}));
    assert_eq!(created, json!(expected));

    server.run(&["topic", "alter", "orders", "-p", "4", "-c", "retention.ms=5000"]).exits(0);
    let listed = server.run(&["topic", "list", "-o", "jsonl"]).exits(0).jsonl();
    let expected = [("bills", 3), ("orders", 4)].map(|(topic, partitions)| {
        json!({"topic": topic, "partitions": partitions, "replicas": 1, "internal": false})
    });
    assert_eq!(listed, expected);
    assert_eq!(server.run(&["topic", "list", "-o", "name"]).exits(0).text(), "bills\norders\n");
    let table = server.run(&["topic", "list"]).exits(0).text();
    assert_eq!(
        table,
        "TOPIC   PARTITIONS  REPLICAS\nbills   3           1\norders  4           1\n"
    );

    server.run(&["topic", "delete", "orders", "bills"]).exits(0);
    assert_eq!(server.run(&["topic", "list", "-o", "json"]).exits(0).json(), json!([]));
}

#[test]
fn a_topic_is_described() {
    let server = Server::start();
    server.run(&["topic", "create", "orders", "-p", "2", "-c", "retention.ms=5000"]).exits(0);
    server.run_with(&["produce", "orders", "-p", "1"], b"a\nb\n").exits(0);
    let described = server.run(&["topic", "describe", "orders", "-o", "json"]).exits(0).json();
    let topic = &described[0];
    assert_eq!((&topic["topic"], &topic["internal"]), (&json!("orders"), &json!(false)));
    assert_eq!(topic["id"].as_str().unwrap().len(), 22);
    let expected = json!({
        "partition": 1, "leader": 1, "leader_epoch": 0, "replicas": [1], "in_sync": [1],
        "log_start_offset": 0, "high_watermark": 2,
    });
    assert_eq!(topic["partitions"][1], expected);
    let configs = topic["configs"].as_array().unwrap();
    let retention = configs.iter().find(|config| config["name"] == "retention.ms").unwrap();
    let expected = json!({
        "name": "retention.ms", "value": "5000", "source": "topic", "read_only": false,
        "sensitive": false,
    });
    assert_eq!(retention, &expected);

    let text = server.run(&["topic", "describe", "orders"]).exits(0).text();
    assert!(text.starts_with("topic orders, id "), "{text}");
    assert!(text.contains("\nSETTING       VALUE  SOURCE\nretention.ms  5000   topic\n"), "{text}");
    let partitions = server.run(&["topic", "describe", "orders", "-p"]).exits(0).text();
    assert!(partitions.starts_with("PARTITION") && !partitions.contains("SETTING"), "{partitions}");
    let configs = server.run(&["topic", "describe", "orders", "-c"]).exits(0).text();
    assert!(configs.starts_with("SETTING") && configs.contains("default"), "{configs}");
}

#[test]
fn settings_are_set_and_unset() {
    let server = Server::start();
    server.run(&["topic", "create", "orders", "-c", "retention.ms=5000"]).exits(0);
    let retention = || -> Value {
        let described = server.run(&["topic", "describe", "orders", "-o", "json"]).exits(0).json();
        let configs = described[0]["configs"].as_array().unwrap().clone();
        let config = configs.into_iter().find(|config| config["name"] == "retention.ms").unwrap();
        config["value"].clone()
    };
    assert_eq!(retention(), "5000");
    server.run(&["topic", "alter", "orders", "-c", "retention.ms=6000"]).exits(0);
    assert_eq!(retention(), "6000");
    server.run(&["topic", "alter", "orders", "--unset", "retention.ms"]).exits(0);
    assert_eq!(retention(), "604800000");
    server.run(&["topic", "alter", "orders"]).exits(2);
}

#[test]
fn some_of_several_is_another_code_than_all() {
    let server = Server::start();
    server.run(&["topic", "create", "orders"]).exits(0);
    let failed = server.run(&["topic", "create", "orders", "-o", "json"]).exits(1);
    assert_eq!(failed.json()[0]["error"]["code"], "TOPIC_ALREADY_EXISTS");
    assert_eq!(failed.error()["code"], "TOPIC_ALREADY_EXISTS");
    server.run(&["topic", "create", "orders", "--if-not-exists"]).exits(0);
    let partly = server.run(&["topic", "create", "orders", "bills"]).exits(6);
    assert!(partly.stderr.starts_with("error: orders: TOPIC_ALREADY_EXISTS"), "{partly:?}");
    server.run(&["topic", "delete", "nope"]).exits(4);
    server.run(&["topic", "describe", "nope", "bills"]).exits(6);
    server.run(&["topic", "create", "dry", "--dry-run"]).exits(0);
    server.run(&["topic", "describe", "dry"]).exits(4);
}

#[test]
fn nobody_there_is_a_code_of_its_own() {
    // Port 1 is reserved, and nobody listens there.
    let error = run(&["topic", "list", "-b", "127.0.0.1:1", "-o", "json"]).exits(3).error();
    assert_eq!(error["exit_code"], 3);
    assert!(error["message"].as_str().unwrap().contains("127.0.0.1:1"), "{error}");
}

#[test]
fn wrong_usage_is_named() {
    run(&[]).exits(2);
    run(&["topic", "create"]).exits(2);
    run(&["topic", "create", "orders", "-c", "novalue"]).exits(2);
    let slip = run(&["topic", "list", "-X", "linger.msec=1"]).exits(2);
    assert_eq!(
        slip.stderr,
        "error: there is no setting `linger.msec`; did you mean `linger.ms`?\n"
    );
    assert!(run(&["--help"]).exits(0).text().contains("Exit codes: 0 done"));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(run(&["completions", shell]).exits(0).text().contains("consume"), "{shell}");
    }
}

/// It waited for the answer, and then deleted and said that it was interrupted.
#[test]
fn who_is_asked_may_interrupt() {
    let server = Server::start();
    server.run(&["topic", "create", "orders"]).exits(0);
    let (mut user, ours) = terminal();
    let mut command = klamm(&server.args(&["topic", "delete", "orders"]));
    let command = command.stdin(ours.try_clone().unwrap()).stderr(ours);
    let mut child = command.spawn().unwrap();
    let (mut asked, mut byte) = (Vec::new(), [0]);
    while !asked.ends_with(b"[y/N] ") {
        user.read_exact(&mut byte).unwrap();
        asked.extend(byte);
    }
    common::send("-TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(server.run(&["topic", "list", "-o", "name"]).exits(0).text(), "orders\n");
}

/// It deleted without a question.
#[test]
fn who_sits_at_a_terminal_and_cannot_be_asked_must_say_yes() {
    let server = Server::start();
    server.run(&["topic", "create", "orders"]).exits(0);
    let delete = |args: &[&str]| {
        let (_user, ours) = terminal();
        let args = [&["topic", "delete", "orders"], args].concat();
        Ran::of(klamm(&server.args(&args)).stdin(ours).output().unwrap())
    };
    let refused = delete(&[]).exits(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(server.run(&["topic", "list", "-o", "name"]).exits(0).text(), "orders\n");
    delete(&["--yes"]).exits(0);
    assert_eq!(server.run(&["topic", "list", "-o", "name"]).exits(0).text(), "");
}

/// It said that it had failed, and no word of the settings.
#[test]
fn what_was_altered_is_told_where_the_rest_fails() {
    let server = Server::start();
    server.run(&["topic", "create", "orders", "-p", "2"]).exits(0);
    let invalid = "INVALID_PARTITIONS";
    let fewer = ["topic", "alter", "orders", "-p", "1", "-c", "retention.ms=5000"];
    let ran = server.run(&[&fewer[..], &["-o", "json"]].concat()).exits(1);
    let row = &ran.json()[0];
    assert_eq!((&row["status"], &row["error"]["code"]), (&"set".into(), &invalid.into()));
    assert_eq!(ran.error()["code"], invalid);
    let ran = server.run(&fewer).exits(1);
    assert_eq!(ran.text(), "TOPIC   STATUS\norders  set: INVALID_PARTITIONS\n");
    assert!(ran.stderr.starts_with("note: the settings of orders are changed\n"), "{ran:?}");
    let ran = server.run(&["topic", "alter", "orders", "-p", "1"]).exits(1);
    assert_eq!(ran.text(), "TOPIC   STATUS\norders  failed: INVALID_PARTITIONS\n");

    // What fails at its settings is left as it is.
    let neither = ["topic", "alter", "orders", "-p", "4", "-c", "retention.ms=soon"];
    let ran = server.run(&neither).exits(1);
    assert_eq!(ran.text(), "TOPIC   STATUS\norders  failed: INVALID_CONFIG\n");
    let listed = server.run(&["topic", "list", "-o", "json"]).exits(0).json();
    assert_eq!(listed[0]["partitions"], 2);
}

/// The broker refused it for that, and it said `altered`.
#[test]
fn a_topic_that_is_named_twice_is_altered_once() {
    let server = Server::start();
    server.run(&["topic", "create", "orders", "bills"]).exits(0);
    let args = ["topic", "alter", "orders", "bills", "orders", "-p", "3", "-o", "json"];
    let expected = ["orders", "bills"].map(|topic| json!({"topic": topic, "status": "altered"}));
    assert_eq!(server.run(&args).exits(0).json(), json!(expected));
    let listed = server.run(&["topic", "list", "-o", "jsonl"]).exits(0).jsonl();
    assert!(listed.iter().all(|topic| topic["partitions"] == 3), "{listed:?}");
}
