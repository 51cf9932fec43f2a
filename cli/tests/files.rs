//! `klamm log`: the files that a broker has left.

mod common;

use std::fs;
use std::path::Path;

use common::{Server, run};
use serde_json::Value;

/// The data of a broker that took these lines, in a batch of each of two producers.
fn written() -> tempfile::TempDir {
    let server = Server::start();
    server.run_with(&["produce", "orders", "-K", ":"], b"k:one\ntwo\n").exits(0);
    server.run_with(&["produce", "orders", "-z", "zstd", "-H", "h=1"], b"three\n").exits(0);
    server.stop()
}

fn segment_of(data: &Path) -> std::path::PathBuf {
    data.join("orders-0/00000000000000000000.log")
}

#[test]
fn batches_are_dumped_under_the_names_of_kafka() {
    let data = written();
    let folder = data.path().join("orders-0");
    let folder = folder.to_str().unwrap();
    let lines = run(&["log", "dump", folder, "--deep", "-o", "jsonl"]).exits(0).jsonl();
    let segment: Vec<_> =
        lines.iter().filter(|line| line["file"].as_str().unwrap().ends_with(".log")).collect();
    let [first, one, two, second, three] = &segment[..] else { panic!("{segment:?}") };
    assert_eq!((&first["baseOffset"], &first["lastOffset"]), (&0.into(), &1.into()));
    assert_eq!((&first["count"], &first["position"]), (&2.into(), &0.into()));
    assert_eq!((&first["magic"], &first["isvalid"]), (&2.into(), &true.into()));
    assert_eq!(first["compresscodec"], "none");
    assert_eq!((&second["baseOffset"], &second["position"]), (&2.into(), &first["size"]));
    assert_eq!(second["compresscodec"], "zstd");
    let told =
        |record: &Value| (record["offset"].clone(), record["key"].clone(), record["value"].clone());
    assert_eq!(told(one), (0.into(), "k".into(), "one".into()));
    assert_eq!(told(two), (1.into(), Value::Null, "two".into()));
    assert_eq!(told(three), (2.into(), Value::Null, "three".into()));

    let segment = segment_of(data.path());
    let text = run(&["log", "dump", segment.to_str().unwrap(), "--deep"]).exits(0).text();
    assert!(text.contains("baseOffset: 0 lastOffset: 1 count: 2 baseSequence: 0"), "{text}");
    assert!(text.contains("isvalid: true\n| offset: 0 CreateTime: "), "{text}");
    assert!(text.contains(" headerKeys: [h] payload: three\n"), "{text}");
}

#[test]
fn a_sound_log_is_verified() {
    let data = written();
    let folder = data.path().to_str().unwrap();
    let text = run(&["log", "verify", folder]).exits(0).text();
    assert!(text.ends_with(": nothing is wrong\n"), "{text}");
    let logs = run(&["log", "verify", folder, "-o", "json"]).exits(0).json();
    let orders = logs.as_array().unwrap().iter();
    let orders = orders.filter(|log| log["log"].as_str().unwrap().ends_with("orders-0"));
    let [orders] = &orders.collect::<Vec<_>>()[..] else { panic!("{logs}") };
    assert_eq!((&orders["segments"], &orders["batches"]), (&1.into(), &2.into()));
    assert_eq!(orders["findings"], Value::Array(Vec::new()));
}

#[test]
fn damage_is_found_and_named() {
    let data = written();
    let path = segment_of(data.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[70] ^= 1;
    fs::write(&path, bytes).unwrap();
    let folder = data.path().join("orders-0");
    let folder = folder.to_str().unwrap();
    let found = run(&["log", "verify", folder]).exits(7);
    let text = found.text();
    let (finding, summary) = text.split_once('\n').unwrap();
    assert!(finding.starts_with(path.to_str().unwrap()) && finding.contains(" at 0: "), "{text}");
    assert!(summary.contains("1 segments, 1 batches"), "{text}");
    let found = run(&["log", "verify", folder, "-o", "json"]).exits(7);
    assert_eq!(found.error()["exit_code"], 7);
    assert_eq!(found.json()[0]["findings"][0]["position"], 0);
    let dumped = run(&["log", "dump", folder, "-o", "jsonl"]).exits(7).jsonl();
    assert_eq!((&dumped[0]["isvalid"], &dumped[0]["position"]), (&false.into(), &0.into()));
    assert_eq!(dumped[1]["baseOffset"], 2);
}

#[test]
fn a_log_that_cannot_be_read_is_named_and_the_others_are_verified() {
    let data = written();
    let unreadable = data.path().join("bad-0/00000000000000000000.log");
    fs::create_dir_all(&unreadable).unwrap();
    let found = run(&["log", "verify", data.path().to_str().unwrap()]).exits(7).text();
    let expected = format!("{} at 0: cannot read", unreadable.display());
    assert!(found.starts_with(&expected), "{found}");
    assert!(found.contains("3 logs, 2 segments, ") && found.ends_with(": 1 findings\n"), "{found}");
}

#[test]
fn reserved_space_is_no_damage() {
    let data = written();
    let segment = segment_of(data.path());
    let folder = data.path().to_str().unwrap();
    for extension in ["log", "index", "timeindex"] {
        let path = segment.with_extension(extension);
        let mut bytes = fs::read(&path).unwrap_or_default();
        bytes.extend(vec![0; 2400]);
        fs::write(&path, bytes).unwrap();
        run(&["log", "verify", folder]).exits(0);
        run(&["log", "dump", path.to_str().unwrap()]).exits(0);
    }
    // Behind other segments, it is.
    fs::copy(&segment, segment.with_file_name("00000000000000000100.log")).unwrap();
    let found = run(&["log", "verify", folder]).exits(7).text();
    assert!(found.contains("2400 zeros, and other segments follow"), "{found}");
}

#[test]
fn zeros_are_no_damage_where_the_next_segment_goes_on() {
    let data = written();
    let segment = segment_of(data.path());
    let mut bytes = fs::read(&segment).unwrap();
    bytes.extend([0; 2400]);
    fs::write(&segment, bytes).unwrap();
    fs::write(segment.with_file_name("00000000000000000003.log"), []).unwrap();
    run(&["log", "verify", data.path().to_str().unwrap()]).exits(0);
}

#[test]
fn where_no_log_is_none_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    run(&["log", "verify", folder]).exits(4);
    run(&["log", "dump", folder]).exits(4);
    run(&["log", "verify", "/does/not/exist"]).exits(4);
    run(&["log", "dump", "/does/not/exist.log"]).exits(4);
}

#[test]
fn what_groups_have_committed_is_readable() {
    let server = Server::start_with(&["-X", "offsets.topic.num.partitions=1"]);
    server.run(&["topic", "create", "orders"]).exits(0);
    server.run(&["group", "reset", "billing", "--to", "0", "--topic", "orders"]).exits(0);
    let data = server.stop();
    let folder = data.path().join("__consumer_offsets-0");
    let decoded = ["log", "dump", folder.to_str().unwrap(), "--decode", "offsets"];
    let text = run(&decoded).exits(0).text();
    let key = r#"key: {"type":"1","data":{"group":"billing","topic":"orders","partition":0}}"#;
    assert!(text.contains(key), "{text}");
    assert!(text.contains(r#" payload: {"version":"4","data":{"offset":0,"#), "{text}");
    let lines = run(&[&decoded[..], &["-o", "jsonl"]].concat()).exits(0).jsonl();
    let offset = lines.iter().find(|line| line["key"]["type"] == "1").unwrap();
    assert_eq!(offset["value"]["data"]["metadata"], "");
}
