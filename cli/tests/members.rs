//! `klamm consume --group`, and what the other commands say of its members.
#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod common;

use std::process::Child;

use common::{Ran, Server, full_disk, klamm, line, run_with, send, told, unread};
use klamm_broker::Broker;
use klamm_broker::faults::{ApiKey, ErrorCode, Fault};
use serde_json::{Value, json};

/// A broker with two partitions of `orders`, the first of which has the lines 0 to 9.
fn start() -> Server {
    let server = Server::start_with(&["-X", "group.initial.rebalance.delay.ms=0"]);
    server.run(&["topic", "create", "orders", "-p", "2"]).exits(0);
    produce(&server, 0, 0..10);
    server
}

fn produce(server: &Server, partition: i32, lines: impl Iterator<Item = i32>) {
    let input = lines.map(|number| format!("{number}\n")).collect::<String>();
    let partition = partition.to_string();
    server.run_with(&["produce", "orders", "-p", &partition], input.as_bytes()).exits(0);
}

/// A member that waits for records.
fn follow(server: &Server, args: &[&str]) -> Child {
    let always = ["consume", "orders", "-g", "billing", "--follow"];
    klamm(&server.args(&[&always, args].concat())).spawn().unwrap()
}

fn members(server: &Server) -> Vec<Value> {
    let ran = server.run(&["group", "members", "billing", "-o", "json"]);
    if ran.code == Some(0) { ran.json().as_array().unwrap().clone() } else { Vec::new() }
}

fn committed(server: &Server) -> String {
    server.run(&["group", "export", "billing"]).exits(0).text()
}

#[test]
fn a_group_goes_on_where_it_stopped() {
    let server = start();
    let consume = |args: &[&str]| {
        let always = ["consume", "orders", "-g", "billing"];
        server.run(&[&always, args].concat()).exits(0).text()
    };
    assert_eq!(consume(&["-n", "3"]), "0\n1\n2\n");
    assert_eq!(committed(&server), "orders,0,3\n");
    assert_eq!(consume(&["-n", "1", "-f", "%p/%o %v\\n"]), "0/3 3\n");
    assert_eq!(consume(&[]), "4\n5\n6\n7\n8\n9\n");
    assert_eq!(consume(&[]), "");
    produce(&server, 1, 10..12);
    assert_eq!(consume(&["-o", "end"]), "");
    produce(&server, 1, 12..13);
    assert_eq!(consume(&[]), "10\n11\n12\n");
    assert_eq!(committed(&server), "orders,0,10\norders,1,3\n");
    server.run(&["group", "reset", "billing", "--to", "8", "--topic", "orders:0"]).exits(0);
    assert_eq!(consume(&["-f", "json"]).lines().count(), 2);
    assert_eq!(server.run(&["consume", "re:ord.*", "-g", "audit", "-n", "1"]).text(), "0\n");
}

#[test]
fn an_interrupted_member_commits_and_leaves() {
    let server = start();
    for (signal, lines) in [("-INT", 0..10), ("-TERM", 10..20)] {
        produce(&server, 0, lines.clone().filter(|line| *line >= 10));
        let (mut member, end) = (follow(&server, &[]), lines.end);
        for number in lines {
            assert_eq!(line(&mut member), number.to_string());
        }
        send(signal, &member);
        assert_eq!(member.wait().unwrap().code(), Some(130), "{signal}");
        assert_eq!(committed(&server), format!("orders,0,{end}\n"));
        let described = server.run(&["group", "describe", "billing", "-o", "json"]).exits(0).json();
        assert_eq!((&described[0]["state"], &described[0]["lag"]), (&"Empty".into(), &0.into()));
    }
}

/// DescribeGroups says of it that it is not there.
#[test]
fn a_group_of_the_consumer_protocol_is_described() {
    let server = start();
    let mut member = follow(&server, &["-X", "group.protocol=consumer"]);
    assert_eq!(line(&mut member), "0");
    let members = members(&server);
    assert_eq!(members[0]["assignment"], json!({"orders": [0, 1]}));
    let text = server.run(&["group", "describe", "billing"]).exits(0).text();
    assert!(
        text.starts_with("group billing, Stable, uniform, 1 member, coordinator 1, lag "),
        "{text}"
    );
    send("-INT", &member);
    member.wait().unwrap();
}

/// It waited without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_a_coordinator_says_so_and_waits() {
    let broker = Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0");
    let broker = broker.start().await.unwrap();
    let lost = Fault::error(ApiKey::FindCoordinator, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    broker.faults().add(lost).unwrap();
    let bootstrap = broker.bootstrap();
    let at = ["-b", &bootstrap, "-X", "default.api.timeout.ms=1000"];
    let args = ["consume", "orders", "-g", "billing", "-n", "1"];
    let mut member = tokio::task::block_in_place(|| {
        run_with(&["produce", "orders", "-b", &bootstrap], b"old\n").exits(0);
        let mut member = klamm(&[&args[..], &at].concat()).spawn().unwrap();
        let note = told(&mut member);
        assert!(note.starts_with("note: nothing has come for 1s, waiting: "), "{note}");
        assert!(note.contains("COORDINATOR_NOT_AVAILABLE"), "{note}");
        member
    });
    broker.faults().clear();
    tokio::task::block_in_place(|| {
        assert_eq!(line(&mut member), "old");
        assert_eq!(member.wait().unwrap().code(), Some(0));
    });
    broker.stop().await;
}

#[test]
fn what_nobody_read_is_not_committed() {
    let server = start();
    let mut member = follow(&server, &["-f", "%v\\n%v{hex}\\n"]);
    drop(member.stdout.take());
    produce(&server, 0, 10..11);
    assert_eq!(member.wait().unwrap().code(), Some(0));
    assert_eq!(committed(&server), "");
}

/// It committed them, and nobody had them.
#[test]
#[cfg(target_os = "linux")]
fn what_a_full_disk_did_not_take_is_not_committed() {
    let server = start();
    for more in [&[][..], &["--follow"]] {
        let args = [&["consume", "orders", "-g", "billing"], more].concat();
        let output = klamm(&server.args(&args)).stdout(full_disk()).output().unwrap();
        let ran = Ran::of(output).exits(1);
        assert!(ran.stderr.starts_with("error: cannot write to standard output: "), "{ran:?}");
        assert_eq!(committed(&server), "", "{more:?}");
    }
    let next = server.run(&["consume", "orders", "-g", "billing", "-n", "3"]).exits(0);
    assert_eq!(next.text(), "0\n1\n2\n");
}

/// It heard nothing while it wrote.
#[test]
fn a_member_that_is_not_read_can_be_interrupted_and_leaves() {
    let server = start();
    let mut member = unread(&server, &["-g", "billing"]);
    send("-TERM", &member);
    assert_eq!(member.wait().unwrap().code(), Some(130));
    assert_eq!(committed(&server), "");
    let described = server.run(&["group", "describe", "billing", "-o", "json"]).exits(0).json();
    assert_eq!(described[0]["state"], "Empty");
}

#[test]
fn members_share_partitions_and_protect_their_group() {
    let server = start();
    let soon = ["-X", "auto.commit.interval.ms=50", "-X"];
    let mut one = follow(&server, &[&soon[..], &["client.id=one", "--instance", "first"]].concat());
    let mut two = follow(&server, &[&soon[..], &["client.id=two"]].concat());
    let shared = loop {
        let members = members(&server);
        let counts = members.iter().map(|member| member["assignment"]["orders"].as_array());
        if counts.filter(|assigned| assigned.is_some_and(|it| it.len() == 1)).count() == 2 {
            break members;
        }
    };
    let first = shared.iter().find(|member| member["client"] == "one").unwrap();
    assert_eq!((&first["instance"], &first["host"]), (&json!("first"), &json!("127.0.0.1")));
    let text = server.run(&["group", "describe", "billing"]).exits(0).text();
    assert!(
        text.starts_with("group billing, Stable, range, 2 members, coordinator 1, lag "),
        "{text}"
    );
    let wide = server.run(&["group", "members", "billing", "-o", "wide"]).exits(0).text();
    assert!(wide.contains("ASSIGNMENT\n") && wide.contains("  orders:1\n"), "{wide}");

    while committed(&server) != "orders,0,10\n" {}
    let reset = ["group", "reset", "billing", "--to", "0", "--all-topics"];
    let refused = server.run(&reset).exits(1);
    let id = first["member"].as_str().unwrap();
    let named = format!("member {id} (client one at 127.0.0.1, static as first)");
    assert!(refused.stderr.contains(&named), "{refused:?}");
    assert!(refused.stderr.ends_with("; stop them first\n"), "{refused:?}");
    let refused = server.run(&["group", "delete", "billing"]).exits(1);
    assert!(refused.stderr.contains("NON_EMPTY_GROUP"), "{refused:?}");
    assert!(refused.stderr.contains(&named), "{refused:?}");
    let offsets = ["group", "delete", "billing", "--offsets", "--topic", "orders"];
    let refused = server.run(&offsets).exits(1);
    assert!(refused.stdout.ends_with(b"failed: GROUP_SUBSCRIBED_TO_TOPIC\n"), "{refused:?}");
    server.run(&["group", "reset", "audit", "--to", "0", "--topic", "orders:0"]).exits(0);
    let partly = server.run(&[&offsets[..], &["audit"]].concat()).exits(6);
    assert!(partly.stderr.contains("billing orders-0: GROUP_SUBSCRIBED_TO_TOPIC"), "{partly:?}");
    assert!(partly.stdout.ends_with(b"audit    orders  0          deleted\n"), "{partly:?}");

    for member in [&mut two, &mut one] {
        send("-INT", member);
        assert_eq!(member.wait().unwrap().code(), Some(130));
    }
}
