//! `klamm config`, and the commands that look at what a broker keeps.
#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod common;

use common::Server;
use serde_json::{Value, json};

/// The settings of the first resource that `klamm config get` shows.
#[track_caller]
fn get(server: &Server, args: &[&str]) -> Vec<Value> {
    let args = [&["config", "get"], args, &["-o", "json"]].concat();
    server.run(&args).exits(0).json()[0]["configs"].as_array().unwrap().clone()
}

#[test]
fn settings_of_a_topic_are_set_shown_and_unset() {
    let server = Server::start();
    server.run(&["topic", "create", "orders"]).exits(0);
    let set = ["config", "set", "topic", "orders", "retention.ms=5000", "-o", "json"];
    let planned = server.run(&[&set[..], &["--dry-run"]].concat()).exits(0).json();
    assert_eq!(planned, json!([{"topic": "orders", "status": "valid"}]));
    assert_eq!(get(&server, &["topic", "orders"]), [] as [Value; 0]);
    let done = server.run(&set).exits(0).json();
    assert_eq!(done, json!([{"topic": "orders", "status": "set"}]));
    let expected = json!({
        "name": "retention.ms", "value": "5000", "source": "topic", "read_only": false,
        "sensitive": false,
    });
    assert_eq!(get(&server, &["topic", "orders"]), [expected]);
    let text = server.run(&["config", "get", "topic", "orders"]).exits(0).text();
    assert_eq!(text, "SETTING       VALUE  SOURCE\nretention.ms  5000   topic\n");
    assert!(get(&server, &["topic", "orders", "--all"]).len() > 10);
    let chosen = get(&server, &["topic", "orders", "segment.bytes"]);
    assert_eq!((chosen.len(), &chosen[0]["source"]), (1, &"default".into()));

    let explained = ["config", "get", "topic", "orders", "retention.ms", "--explain"];
    let text = server.run(&explained).exits(0).text();
    assert!(text.starts_with("retention.ms = 5000 (topic)\n  "), "{text}");
    let policy = ["config", "set", "topic", "orders", "--append", "cleanup.policy=compact"];
    server.run(&policy).exits(0);
    assert_eq!(get(&server, &["topic", "orders", "cleanup.policy"])[0]["value"], "delete,compact");
    server.run(&["config", "unset", "topic", "orders", "retention.ms", "cleanup.policy"]).exits(0);
    assert_eq!(get(&server, &["topic", "orders"]), [] as [Value; 0]);
}

#[test]
fn brokers_groups_and_client_metrics_have_settings_too() {
    let server = Server::start();
    let check = |resource: &[&str], key: &str, value: &str, source: &str| {
        let pair = format!("{key}={value}");
        server.run(&[&["config", "set"], resource, &[&*pair]].concat()).exits(0);
        let entry = &get(&server, &[resource, &[key]].concat())[0];
        assert_eq!((&entry["value"], &entry["source"]), (&value.into(), &source.into()));
        server.run(&[&["config", "unset"], resource, &[key]].concat()).exits(0);
        let args = [&["config", "get"], resource, &["-o", "json"]].concat();
        let shown = server.run(&args).exits(0).text();
        assert!(!shown.contains(key), "{shown}");
    };
    check(&["broker", "1"], "log.retention.ms", "700000", "broker");
    check(&["cluster"], "log.retention.ms", "800000", "all-brokers");
    check(&["group", "billing"], "consumer.session.timeout.ms", "50000", "group");
    check(&["client-metrics", "clicks"], "interval.ms", "5000", "client-metrics");

    server
        .run(&["config", "set", "group", "billing", "consumer.session.timeout.ms=50000"])
        .exits(0);
    let groups = server.run(&["config", "get", "group", "-o", "name"]).exits(0).text();
    assert_eq!(groups, "billing\n");
    let brokers = server.run(&["config", "get", "broker", "-o", "jsonl"]).exits(0).jsonl();
    assert_eq!((&brokers[0]["resource"], &brokers[0]["name"]), (&"broker".into(), &"1".into()));
}

#[test]
fn what_is_wrong_with_a_setting_is_said() {
    let server = Server::start();
    server.run(&["topic", "create", "orders"]).exits(0);
    let check = |args: &[&str], code: i32, words: &str| {
        let ran = server.run(&[&["config"], args].concat()).exits(code);
        assert!(ran.stderr.contains(words), "{ran:?}");
    };
    check(&["get", "topic", "nope"], 4, "nope: UNKNOWN_TOPIC_OR_PARTITION");
    check(&["get", "topic", "orders", "nope"], 4, "topic orders has no setting `nope`");
    check(&["get", "broker", "orders"], 2, "`orders` is no broker");
    // It was looked for in silence until the time was over.
    let none = "error: the cluster has no broker 7; it has 1\n";
    check(&["get", "broker", "7"], 4, none);
    check(&["set", "broker", "7", "log.retention.ms=5000"], 4, none);
    check(&["unset", "broker", "7", "log.retention.ms"], 4, none);
    check(&["set", "topic"], 2, "NAME KEY=VALUE");
    check(&["set", "topic", "orders"], 2, "nothing to set");
    check(&["set", "topic", "orders", "retention.ms"], 2, "`retention.ms`: expected KEY=VALUE");
    check(&["set", "topic", "orders", "nope=1"], 1, "INVALID_CONFIG");
    check(&["set", "broker", "1", "node.id=5"], 1, "broker 1: INVALID_REQUEST");
    check(&["unset", "cluster"], 2, "NAME KEY");
}

#[test]
fn a_topic_is_trimmed() {
    let server = Server::start();
    server.run(&["topic", "create", "orders", "-p", "2"]).exits(0);
    server.run_with(&["produce", "orders", "-p", "1"], b"a\nb\nc\nd\n").exits(0);
    let trim = |args: &[&str]| {
        server.run(&[&["topic", "trim", "orders", "-o", "jsonl"], args].concat()).exits(0).jsonl()
    };
    let row = |partition: i32, old: i64, start: i64, status: &str| {
        json!({
            "topic": "orders", "partition": partition, "old_start_offset": old,
            "start_offset": start, "status": status,
        })
    };
    let planned = trim(&["--before", "3", "--dry-run"]);
    assert_eq!(planned, [row(0, 0, 0, "planned"), row(1, 0, 3, "planned")]);
    assert_eq!(trim(&["--before", "3"]), [row(0, 0, 0, "trimmed"), row(1, 0, 3, "trimmed")]);
    assert_eq!(server.run(&["consume", "orders"]).exits(0).text(), "d\n");
    let table = server.run(&["topic", "trim", "orders:1", "--before", "end"]).exits(0).text();
    let expected = "TOPIC   PARTITION  OLD-START  START  STATUS\n\
                    orders  1          3          4      trimmed\n";
    assert_eq!(table, expected);
    server.run(&["topic", "trim", "orders", "--before", "soon"]).exits(2);
    server.run(&["topic", "trim", "nope", "--before", "end"]).exits(4);
}

#[test]
fn folders_and_their_logs_are_shown() {
    let server = Server::start();
    server.run(&["topic", "create", "orders"]).exits(0);
    server.run_with(&["produce", "orders"], b"a\n").exits(0);
    let shown = server.run(&["cluster", "log-dirs", "-o", "json"]).exits(0).json();
    let [dir] = &shown.as_array().unwrap()[..] else { panic!("{shown}") };
    let data = server.data_dir().canonicalize().unwrap();
    assert_eq!(dir["directory"], data.to_str().unwrap());
    let logs = dir["logs"].as_array().unwrap();
    let orders = logs.iter().find(|log| log["topic"] == "orders").unwrap();
    assert!(orders["bytes"].as_i64().unwrap() > 0, "{orders}");
    assert!(dir["free_bytes"].as_i64() <= dir["total_bytes"].as_i64(), "{dir}");
    let listed = server.run(&["cluster", "log-dirs", "-p", "--topic", "orders"]).exits(0).text();
    let head = format!("\n\nbroker 1, {}\nTOPIC   PARTITION  BYTES\norders  0 ", data.display());
    assert!(listed.contains(&head), "{listed}");
    // A broker that is not there may come: it is looked for that long.
    let soon = ["-X", "default.api.timeout.ms=200"];
    server.run(&[&["cluster", "log-dirs", "--broker", "7"], &soon[..]].concat()).exits(3);
}
