//! `klamm produce`, `klamm consume` and `klamm bench`.
#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod common;

use std::io::Write as _;
use std::process::{Child, Stdio};

use common::{Ran, Server, klamm, line, signal_to_the_end, told, unread};
use serde_json::json;

/// Lines of all kinds: empty, ending in CR, not UTF-8, long, and one without a line feed.
fn awkward() -> Vec<u8> {
    let mut bytes = b"first\n\n\nwith cr\r\n\xff\xfe\x00\n\ttab \n".to_vec();
    bytes.extend(vec![b'x'; 300_000]);
    bytes.extend_from_slice(b"\nlast");
    bytes
}

#[test]
fn bytes_come_back_as_they_were() {
    let server = Server::start();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        server.run_with(&["produce", codec, "-z", codec], &awkward()).exits(0);
        let read = server.run(&["consume", codec]).exits(0).stdout;
        assert!(read == [awkward(), b"\n".to_vec()].concat(), "{codec}");
    }
}

#[test]
fn a_million_bytes_of_lines_keep_their_order() {
    let server = Server::start();
    let lines: String = (0..150_000).map(|number| format!("{number}\n")).collect();
    let sent = server.run_with(&["produce", "numbers", "-o", "json"], lines.as_bytes()).exits(0);
    let sent = sent.json();
    assert_eq!((&sent["records"], &sent["failed"]), (&150_000.into(), &0.into()));
    assert_eq!(sent["bytes"], lines.len() - 150_000);
    assert!(server.run(&["consume", "numbers"]).exits(0).text() == lines);
}

#[test]
fn keys_headers_and_tombstones_are_seen() {
    let server = Server::start();
    let args = ["produce", "orders", "-K", ":", "-Z", "-H", "source=cli", "-H", "n=1"];
    server.run_with(&args, b"k1:v1\nk2:\nnone\n\xff:\xfe\n").exits(0);
    let records = server.run(&["consume", "orders", "-f", "json"]).exits(0).jsonl();
    let told: Vec<_> = records.iter().map(|it| (&it["key"], &it["value"])).collect();
    let (key, value) = (json!({"base64": "/w=="}), json!({"base64": "/g=="}));
    let null = json!(null);
    let expected = [
        (&json!("k1"), &json!("v1")),
        (&json!("k2"), &null),
        (&null, &json!("none")),
        (&key, &value),
    ];
    assert_eq!(told, expected);
    let first = &records[0];
    assert_eq!((&first["topic"], &first["partition"]), (&json!("orders"), &json!(0)));
    assert_eq!(first["offset"], 0);
    let headers = json!([{"key": "source", "value": "cli"}, {"key": "n", "value": "1"}]);
    assert_eq!(first["headers"], headers);
    let time = first["timestamp"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");

    let shown = server.run(&["consume", "orders", "-n", "2", "-f", "%i %k=%v{hex} %h{%k:%v;}\\n"]);
    assert_eq!(shown.exits(0).text(), "1 k1=7631 source:cli;n:1;\n2 k2= source:cli;n:1;\n");
}

#[test]
fn places_are_found() {
    let server = Server::start();
    server.run(&["topic", "create", "orders", "-p", "2"]).exits(0);
    server.run_with(&["produce", "orders", "-p", "0"], b"0\n1\n2\n3\n4\n").exits(0);
    server.run_with(&["produce", "orders", "-p", "1"], b"a\nb\n").exits(0);
    let check = |args: &[&str], expected: &str| {
        let read = server.run(&[&["consume", "orders"], args].concat()).exits(0);
        assert_eq!(read.text(), expected, "{args:?}");
    };
    check(&["-p", "0"], "0\n1\n2\n3\n4\n");
    check(&["-p", "0", "-o", "3"], "3\n4\n");
    check(&["-p", "0", "-o", "-2"], "3\n4\n");
    check(&["-p", "0", "-o", "+1..3"], "1\n2\n");
    check(&["-p", "0", "--from", "-3..-1"], "2\n3\n");
    check(&["-p", "0", "-o", "@0", "-n", "1"], "0\n");
    check(&["-p", "0", "-o", "@-0s"], "");
    check(&["-p", "1", "-o", "@-1h"], "a\nb\n");
    check(&["-o", "100"], "");
    check(&["-n", "0"], "");
    let mut both = server.run(&["consume", "orders", "-f", "raw"]).exits(0).stdout;
    both.sort_unstable();
    assert_eq!(both, b"01234ab");
    server.run(&["consume", "orders", "-p", "2"]).exits(4);
    server.run(&["consume", "nope"]).exits(4);
    server.run(&["consume", "orders", "-o", "yesterday"]).exits(2);
    server.run(&["consume", "orders", "-f", "%q"]).exits(2);
}

#[test]
fn who_follows_sees_what_comes() {
    let server = Server::start();
    server.run_with(&["produce", "orders"], b"old\n").exits(0);
    let args = server.args(&["consume", "orders", "--follow", "-n", "3"]);
    let mut follower = klamm(&args).spawn().unwrap();
    assert_eq!(line(&mut follower), "old");
    server.run_with(&["produce", "orders"], b"new\n").exits(0);
    assert_eq!(line(&mut follower), "new");
    server.run_with(&["produce", "orders"], b"newer\n").exits(0);
    assert_eq!(line(&mut follower), "newer");
    assert!(follower.wait().unwrap().success());
}

#[test]
fn who_reads_alone_commits_into_no_group() {
    let server = Server::start();
    server.run_with(&["produce", "orders"], b"old\n").exits(0);
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("client.properties");
    std::fs::write(&settings, "group.id=billing\nauto.commit.interval.ms=1\n").unwrap();
    for args in [&["consume"][..], &["bench", "consume"], &["bench", "e2e", "-n", "100"]] {
        for more in [&[][..], &["-X", "group.protocol=consumer"]] {
            let settings = ["orders", "--client-config", settings.to_str().unwrap()];
            server.run(&[args, &settings, more].concat()).exits(0);
        }
    }
    assert_eq!(server.run(&["group", "list", "-o", "name"]).exits(0).text(), "");
}

#[test]
fn an_interruption_is_a_code_of_its_own() {
    let server = Server::start();
    server.run_with(&["produce", "orders"], b"old\n").exits(0);
    let mut follower = klamm(&server.args(&["consume", "orders", "--follow"])).spawn().unwrap();
    assert_eq!(line(&mut follower), "old");
    common::send("-INT", &follower);
    assert_eq!(follower.wait().unwrap().code(), Some(130));
}

/// How many records a `produce` loses for which no broker listens.
#[cfg(target_os = "linux")]
const LOST: usize = 16;

/// A `produce` whose input has ended, and that waits for a broker that answers nothing.
#[cfg(target_os = "linux")]
fn produce_in_vain(server: &Server) -> Child {
    server.run(&["topic", "create", "orders"]).exits(0);
    let mut child = klamm(&server.args(&["produce", "orders", "-o", "json"]));
    let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"stored\n").unwrap();
    while server.run(&["consume", "orders"]).exits(0).text() != "stored\n" {}
    server.pause();
    // More than may wait to be taken once it was read.
    let lost = format!("{}\n", "x".repeat(60_000)).repeat(LOST);
    stdin.write_all(lost.as_bytes()).unwrap();
    drop(stdin);
    // The thread that reads the input ends with it: some of that is on its way then.
    let tasks = format!("/proc/{}/task", child.id());
    let reads = || {
        let mut tasks = std::fs::read_dir(&tasks).unwrap().map(|task| task.unwrap().path());
        tasks.any(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|it| it == "stdin\n"))
    };
    while reads() {}
    child
}

/// After the end of the input nothing ended it but the delivery's time-out.
#[test]
#[cfg(target_os = "linux")]
fn who_waits_for_acknowledgements_can_be_interrupted() {
    let server = Server::start();
    let child = produce_in_vain(&server);
    common::send("-TERM", &child);
    let ran = Ran::of(child.wait_with_output().unwrap()).exits(130);
    assert_eq!(ran.json()["records"], 1);
    // It has taken no more since it was interrupted.
    let failed = ran.json()["failed"].as_u64().unwrap();
    assert!((1..=LOST as u64).contains(&failed), "{ran:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_second_interruption_ends_the_farewell() {
    let server = Server::start();
    let mut child = produce_in_vain(&server);
    signal_to_the_end("-INT", &mut child);
    let ran = Ran::of(child.wait_with_output().unwrap()).exits(130);
    assert!(ran.stdout.is_empty(), "it has waited: {ran:?}");
}

/// It heard nothing while it wrote.
#[test]
fn who_is_not_read_can_be_interrupted() {
    let server = Server::start();
    let mut reader = unread(&server, &[]);
    signal_to_the_end("-TERM", &mut reader);
    assert_eq!(reader.wait().unwrap().code(), Some(130));
}

/// How long a command of these tests takes for no sign of a broker.
const SOON: [&str; 2] = ["-X", "default.api.timeout.ms=1000"];

/// It waited for ever.
#[test]
fn who_reads_to_an_end_is_told_that_the_broker_is_gone() {
    let server = Server::start();
    server.run_with(&["produce", "orders"], b"old\n").exits(0);
    let args = ["consume", "orders", "-o", "0..9"];
    let mut reader = klamm(&server.args(&[&args[..], &SOON].concat())).spawn().unwrap();
    assert_eq!(line(&mut reader), "old");
    drop(server);
    let ran = Ran::of(reader.wait_with_output().unwrap()).exits(3);
    assert!(ran.stderr.starts_with("error: "), "{ran:?}");
}

#[test]
fn who_follows_is_told_once_that_the_broker_does_not_answer_and_sees_what_comes_then() {
    let server = Server::start();
    server.run_with(&["produce", "orders"], b"old\n").exits(0);
    let args = ["consume", "orders", "--follow", "-n", "2"];
    let mut follower = klamm(&server.args(&[&args[..], &SOON].concat())).spawn().unwrap();
    assert_eq!(line(&mut follower), "old");
    server.pause();
    let note = told(&mut follower);
    assert!(note.starts_with("note: nothing has come for 1s, waiting: "), "{note}");
    server.resume();
    server.run_with(&["produce", "orders"], b"new\n").exits(0);
    assert_eq!(line(&mut follower), "new");
    let ran = Ran::of(follower.wait_with_output().unwrap()).exits(0);
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_closed_pipe_is_a_clean_end() {
    let server = Server::start();
    let lines: String = (0..200_000).map(|number| format!("{number}\n")).collect();
    server.run_with(&["produce", "numbers"], lines.as_bytes()).exits(0);
    let mut reader = klamm(&server.args(&["consume", "numbers"])).spawn().unwrap();
    assert_eq!(line(&mut reader), "0");
    drop(reader.stdout.take());
    assert_eq!(reader.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_sent_is_counted() {
    let server = Server::start();
    let large = [b"small\n".to_vec(), vec![b'x'; 2 << 20]].concat();
    let partly = server.run_with(&["produce", "orders", "-o", "json"], &large).exits(6);
    assert_eq!((&partly.json()["records"], &partly.json()["failed"]), (&1.into(), &1.into()));
    assert_eq!(server.run(&["consume", "orders"]).exits(0).text(), "small\n");
    let missing = ["produce", "nope", "-X", "allow.auto.create.topics=false"];
    server.run_with(&["produce", "orders", "-p", "7"], b"x\n").exits(4);
    server.run_with(&["produce", "orders", "-k", "k", "-K", ":"], b"").exits(2);
    server.run_with(&missing, b"x\n").exits(4);
}

#[test]
fn measurements_are_one_line_of_json() {
    let server = Server::start();
    let check = |args: &[&str], records: u64, has_latency: bool| {
        let report = server.run(&[&["bench"], args].concat()).exits(0).json();
        assert_eq!((&report["bench"], &report["topic"]), (&json!(args[0]), &json!("klamm-bench")));
        assert_eq!((&report["records"], &report["failed"]), (&records.into(), &0.into()));
        assert!(report["records_per_second"].as_f64().unwrap() > 0.0, "{report}");
        for percentile in ["mean", "p50", "p90", "p95", "p99", "p999", "max"] {
            assert_eq!(report["latency_ms"][percentile].is_number(), has_latency, "{report}");
        }
        assert!(!report["bootstrap"].as_str().unwrap().is_empty(), "{report}");
        report["settings"].clone()
    };
    let lz4 = ["produce", "-n", "2000", "-s", "100", "-p", "2", "-z", "lz4", "-X", "acks=1"];
    let settings = check(&lz4, 2000, true);
    assert_eq!((&settings["compression"], &settings["acks"]), (&json!("lz4"), &json!("1")));
    let settings = check(&["produce", "-n", "1000", "--producers", "3"], 1000, true);
    assert_eq!((&settings["producers"], &settings["acks"]), (&json!(3), &json!("all")));
    check(&["consume"], 3000, false);
    let settings = check(&["e2e", "-n", "100"], 100, true);
    assert_eq!((&settings["linger_ms"], &settings["rate"]), (&json!(0), &json!(1000)));
}

/// The partitions that were asked for and those that were measured were not the same, unseen.
#[test]
fn a_measurement_says_how_many_partitions_its_topic_has() {
    let server = Server::start();
    let measure = |args: &[&str]| {
        let ran = server.run(&[&["bench", "produce", "-n", "10"], args].concat()).exits(0);
        (ran.json()["settings"]["partitions"].clone(), ran.stderr)
    };
    let told = |stderr: &str| stderr.lines().any(|line| line.starts_with("note: "));
    let (partitions, stderr) = measure(&["-p", "2"]);
    assert_eq!((&partitions, told(&stderr)), (&json!(2), false), "{stderr}");
    let (partitions, stderr) = measure(&[]);
    assert_eq!((&partitions, told(&stderr)), (&json!(2), false), "{stderr}");
    let (partitions, stderr) = measure(&["-p", "3"]);
    assert_eq!(partitions, 2);
    assert!(
        stderr.starts_with("note: klamm-bench was there already, with 2 partitions"),
        "{stderr}"
    );
    let e2e = server.run(&["bench", "e2e", "-n", "10", "-p", "3"]).exits(0);
    assert_eq!((&e2e.json()["settings"]["partitions"], told(&e2e.stderr)), (&json!(2), true));
}
