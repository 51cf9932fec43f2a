//! `klamm group`: looking at groups, moving them, and deleting them.
#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod common;

use common::{Server, klamm, line, run};
use serde_json::{Value, json};

/// A broker with three partitions of `orders`, of which the second has ten records, and a group
/// that has read four of them.
fn start() -> Server {
    let server = Server::start();
    server.run(&["topic", "create", "orders", "-p", "3"]).exits(0);
    let input = (0..10).map(|number| format!("{number}\n")).collect::<String>();
    server.run_with(&["produce", "orders", "-p", "1"], input.as_bytes()).exits(0);
    server.run(&["group", "reset", "billing", "--to", "4", "--topic", "orders:1"]).exits(0);
    server
}

/// What a group has committed for the second partition.
#[track_caller]
fn committed(server: &Server, group: &str) -> Value {
    let described = server.run(&["group", "describe", group, "-o", "json"]).exits(0).json();
    let offsets = described[0]["offsets"].as_array().unwrap();
    let offset = offsets.iter().find(|offset| offset["partition"] == 1).unwrap();
    offset["committed_offset"].clone()
}

#[test]
fn a_group_is_listed_and_described() {
    let server = start();
    let listed = server.run(&["group", "list", "-o", "jsonl"]).exits(0).jsonl();
    let expected = json!({
        "group": "billing", "state": "Empty", "type": "classic", "protocol_type": "",
        "coordinator": 1,
    });
    assert_eq!(listed, [expected]);
    let table = server.run(&["group", "list"]).exits(0).text();
    assert_eq!(table, "GROUP    STATE  PROTOCOL\nbilling  Empty  -\n");
    let wide = server.run(&["group", "list", "-o", "wide"]).exits(0).text();
    assert!(wide.starts_with("GROUP    STATE  PROTOCOL  TYPE     COORDINATOR\n"), "{wide}");
    assert_eq!(server.run(&["group", "list", "-o", "name"]).exits(0).text(), "billing\n");
    assert_eq!(server.run(&["group", "list", "--state", "stable", "-o", "name"]).text(), "");
    let chosen = ["group", "list", "--state", "STABLE,empty", "--type", "classic", "-o", "name"];
    assert_eq!(server.run(&chosen).exits(0).text(), "billing\n");

    let described = server.run(&["group", "describe", "billing", "-o", "json"]).exits(0).json();
    let expected = json!([{
        "group": "billing", "state": "Empty", "protocol_type": "", "protocol": "",
        "coordinator": 1, "lag": 6, "members": [], "offsets": [{
            "group": "billing", "topic": "orders", "partition": 1, "committed_offset": 4,
            "end_offset": 10, "lag": 6, "leader_epoch": null, "metadata": null, "member": null,
        }],
    }]);
    assert_eq!(described, expected);
    let text = server.run(&["group", "describe", "billing"]).exits(0).text();
    let table = "TOPIC   PARTITION  COMMITTED  END  LAG  MEMBER\n\
                 orders  1          4          10   6    -\n";
    let summary = "group billing, Empty, no protocol, 0 members, coordinator 1, lag 6\n";
    assert_eq!(text, format!("{summary}{table}"));
    let lag = server.run(&["group", "describe", "billing", "--lag"]).exits(0).text();
    assert_eq!(lag, table);
}

#[test]
fn a_group_is_moved() {
    let server = start();
    let check = |goal: &[&str], offset: i64| {
        let args = [&["group", "reset", "billing", "--topic", "orders:1", "-o", "json"], goal];
        let old = committed(&server, "billing");
        let planned = server.run(&[&args.concat()[..], &["--dry-run"]].concat()).exits(0).json();
        let expected = json!([{
            "group": "billing", "topic": "orders", "partition": 1, "old_offset": old,
            "new_offset": offset, "difference": offset - old.as_i64().unwrap(),
            "status": "planned",
        }]);
        assert_eq!(planned, expected);
        assert_eq!(committed(&server, "billing"), old);
        let reset = server.run(&args.concat()).exits(0).json();
        assert_eq!(
            (&reset[0]["status"], &reset[0]["new_offset"]),
            (&"reset".into(), &offset.into())
        );
        assert_eq!(committed(&server, "billing"), offset);
    };
    check(&["--to", "earliest"], 0);
    check(&["--to", "latest"], 10);
    check(&["--to", "7"], 7);
    check(&["--to", "current"], 7);
    check(&["--to", "-3"], 7);
    check(&["--to", "+2"], 2);
    check(&["--by", "3"], 5);
    check(&["--by", "-1"], 4);
    check(&["--to", "2020-01-01"], 0);
    check(&["--to", "-0s"], 10);
    check(&["--to", "99"], 10);
    check(&["--by", "-99"], 0);

    let table = server.run(&["group", "reset", "billing", "--by", "4", "--all-topics"]).exits(0);
    let expected = "TOPIC   PARTITION  OLD  NEW  DIFFERENCE  STATUS\n\
                    orders  1          0    4    +4          reset\n";
    assert_eq!(table.text(), expected);
    let noted = server.run(&["group", "reset", "billing", "--to", "99", "--all-topics"]).exits(0);
    assert_eq!(noted.stderr, "note: orders-1 has no offset 99; 10 is the nearest\n");
}

#[test]
fn what_is_exported_can_be_imported() {
    let server = start();
    server.run(&["group", "reset", "audit", "--to", "0", "--topic", "orders:0,1"]).exits(0);
    let exported = server.run(&["group", "export", "billing"]).exits(0).text();
    assert_eq!(exported, "orders,1,4\n");
    let both = server.run(&["group", "export", "billing", "audit"]).exits(0).text();
    assert_eq!(both, "billing,orders,1,4\naudit,orders,0,0\naudit,orders,1,0\n");
    let json = server.run(&["group", "export", "billing", "-o", "json"]).exits(0);
    assert_eq!(json.json(), json!([{"topic": "orders", "partition": 1, "offset": 4}]));

    let folder = tempfile::tempdir().unwrap();
    for (text, group) in [(exported, "one"), (both, "billing"), (json.text(), "two")] {
        let file = folder.path().join("offsets");
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        server.run(&["group", "reset", group, "--from-file", file]).exits(0);
        assert_eq!(committed(&server, group), 4, "{group}");
    }
    server.run(&["group", "reset", "three", "--to-group", "billing"]).exits(0);
    assert_eq!(committed(&server, "three"), 4);

    let file = folder.path().join("nonsense");
    std::fs::write(&file, "orders,1,4\norders,1\n").unwrap();
    let failed = server.run(&["group", "reset", "one", "--from-file", file.to_str().unwrap()]);
    assert!(failed.exits(1).stderr.contains("line 2: expected TOPIC,PARTITION,OFFSET"));
    server.run(&["group", "reset", "one", "--from-file", "/does/not/exist"]).exits(4);
}

#[test]
fn groups_and_their_offsets_are_deleted() {
    let server = start();
    server.run(&["group", "reset", "billing", "--to", "0", "--topic", "orders:0"]).exits(0);
    let deleted = ["group", "delete", "billing", "--offsets", "--topic", "orders:1", "-o", "json"];
    let deleted = server.run(&deleted).exits(0).json();
    let expected = json!([{
        "group": "billing", "topic": "orders", "partition": 1, "status": "deleted",
    }]);
    assert_eq!(deleted, expected);
    assert_eq!(server.run(&["group", "export", "billing"]).exits(0).text(), "orders,0,0\n");

    server.run(&["group", "reset", "audit", "--to", "0", "--topic", "orders:1"]).exits(0);
    let elsewhere = ["group", "delete", "audit", "billing", "--offsets", "--topic", "orders:1"];
    let refused = server.run(&elsewhere).exits(4);
    let words = "group billing has committed nothing for what --topic says";
    assert!(refused.stderr.contains(words), "{refused:?}");
    assert_eq!(server.run(&["group", "export", "audit"]).exits(0).text(), "orders,1,0\n");
    let both = ["group", "delete", "audit", "billing", "--offsets", "--topic", "orders"];
    let table = "GROUP    TOPIC   PARTITION  STATUS\naudit    orders  1          deleted\n\
                 billing  orders  0          deleted\n";
    assert_eq!(server.run(&both).exits(0).text(), table);
    server.run(&["group", "delete", "audit"]).exits(0);

    let partly = server.run(&["group", "delete", "billing", "nope"]).exits(6);
    let table = "GROUP    STATUS\nbilling  deleted\nnope     failed: GROUP_ID_NOT_FOUND\n";
    assert_eq!(partly.text(), table);
    assert_eq!(server.run(&["group", "list", "-o", "name"]).exits(0).text(), "");
}

#[test]
fn what_is_wrong_is_said() {
    let server = start();
    let check = |args: &[&str], code: i32, words: &str| {
        let ran = server.run(&[&["group"], args].concat()).exits(code);
        assert!(ran.stderr.contains(words), "{ran:?}");
    };
    check(&["describe", "nope"], 4, "nope: GROUP_ID_NOT_FOUND (");
    check(&["members", "nope"], 4, "GROUP_ID_NOT_FOUND");
    check(&["reset", "billing", "--topic", "orders"], 2, "--to <GOAL>");
    check(&["reset", "billing", "--to", "soon", "--topic", "orders"], 2, "`soon` is no goal");
    check(&["reset", "billing", "--to", "0"], 2, "say --topic or --all-topics");
    check(&["reset", "billing", "--to", "0", "--topic", "nope"], 4, "nope");
    check(&["reset", "billing", "--to", "0", "--topic", "orders:9"], 4, "has no partition 9");
    check(&["reset", "fresh", "--by", "1", "--topic", "orders:0"], 4, "committed nothing");
    check(&["reset", "fresh", "--to", "0", "--all-topics"], 4, "group fresh has committed nothing");
    let audti = ["reset", "billing", "--to-group", "audti"];
    check(&audti, 4, "error: group audti has committed nothing\n");
    let orders = [&audti[..], &["--topic", "orders"]].concat();
    check(&orders, 4, "error: group audti has committed nothing for what --topic says\n");
    check(&["export", "nope"], 4, "nope: GROUP_ID_NOT_FOUND (");
    check(&["export", "billing", "nope"], 4, "nope: GROUP_ID_NOT_FOUND (");
    check(&["export", "billing", "--topic", "bills"], 4, "committed nothing");
    check(&["delete", "billing", "--offsets"], 2, "--topic");
    check(&["delete", "billing", "--offsets", "--topic", "bills"], 4, "committed nothing");
    check(&["list", "--state", "empty,stabel"], 2, "'stabel'");
    check(&["list", "--state", "stabel"], 2, "expected PreparingRebalance, CompletingRebalance, ");
    check(&["list", "--type", "clasic"], 2, "expected Classic, Consumer, Share, Streams");
    let error = run(&server.args(&["group", "describe", "nope", "-o", "json"])).exits(4).error();
    assert_eq!(error["code"], "GROUP_ID_NOT_FOUND");
}

#[test]
fn watching_goes_on_until_it_is_ended() {
    let server = start();
    let args = ["group", "describe", "billing", "--watch", "--interval", "1"];
    let mut child = klamm(&server.args(&args)).spawn().unwrap();
    let mut look = || serde_json::from_str::<Value>(&line(&mut child)).unwrap();
    let first = look();
    assert_eq!((&first["topic"], &first["lag"]), (&"orders".into(), &6.into()));
    assert!(first["time"].as_str().unwrap().ends_with('Z'), "{first}");
    server.run(&["group", "reset", "billing", "--to", "9", "--topic", "orders:1"]).exits(0);
    while look()["lag"] != 1 {}
    common::send("-INT", &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));

    let two = ["group", "describe", "billing", "nope", "--watch", "-o", "jsonl"];
    let mut child = klamm(&server.args(&two)).spawn().unwrap();
    let mut look = || serde_json::from_str::<Value>(&line(&mut child)).unwrap();
    assert_eq!(look()["group"], "billing");
    let failed = look();
    let told = (&failed["group"], &failed["error"]["code"]);
    assert_eq!(told, (&"nope".into(), &"GROUP_ID_NOT_FOUND".into()));
    common::send("-INT", &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
