//! `klamm serve`: what it says, and how it ends.

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use common::{Server, klamm, line, run};

#[test]
fn the_banner_tells_where_everything_is() {
    let server = Server::start();
    let banner = &server.banner;
    assert_eq!(banner["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&banner["node_id"], &banner["topics"]), (&1.into(), &0.into()));
    assert_eq!(banner["cluster_id"].as_str().unwrap().len(), 22);
    let data = server.data_dir().canonicalize().unwrap();
    assert_eq!(banner["data_dir"], data.to_str().unwrap());
    assert!(!server.bootstrap().ends_with(":0"));
    assert_eq!(banner["advertised"][0], server.bootstrap());
    assert_eq!(banner["advertises_local_address"], false);
}

#[test]
fn it_answers_http() {
    let server = Server::start();
    for (path, answer) in [("/healthz", "ok"), ("/readyz", "ready"), ("/metrics", "# EOF")] {
        let text = server.get(path);
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(text.contains(answer), "{text}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn it_takes_all_the_files_that_it_may_have_open() {
    let server = Server::start_under("-n 600 && ulimit -Sn 300");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("600"), "{files}");
}

#[test]
fn connections_and_logs_leave_each_other_files() {
    let server = Server::start_under("-n 256");
    let address = server.bootstrap();
    let connections: Vec<_> = (0..120).map(|_| TcpStream::connect(address).unwrap()).collect();
    // More partitions than files, and each has several.
    server.run(&["topic", "create", "many", "-p", "200"]).exits(0);
    let lines: String = (0..2000).map(|number| format!("{number}:{number}\n")).collect();
    server.run_with(&["produce", "many", "-K", ":"], lines.as_bytes()).exits(0);
    drop(connections);
    let read = server.run(&["consume", "many", "-o", "start"]).exits(0);
    assert_eq!(read.text().lines().count(), 2000);
    assert!(server.get("/metrics").contains("\nklamm_partitions_read_only 0\n"));
}

#[test]
fn signals_end_it_well() {
    for signal in ["-INT", "-TERM"] {
        let mut server = Server::start();
        assert_eq!(server.end(signal).code(), Some(0), "{signal}");
    }
}

#[test]
fn people_get_words() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let args = ["serve", "--listen", "localhost:0", "--http-listen", "", "--data-dir", data];
    let mut child = klamm(&args).spawn().unwrap();
    let lines: Vec<_> = (0..6).map(|_| line(&mut child)).collect();
    common::send("-TERM", &child);
    assert!(child.wait().unwrap().success());
    let begins = |place: usize, start: &str| assert!(lines[place].starts_with(start), "{lines:?}");
    begins(0, concat!("klamm ", env!("CARGO_PKG_VERSION"), " is ready"));
    begins(1, "  cluster   ");
    begins(2, &format!("  data      {}", folder.path().canonicalize().unwrap().display()));
    begins(3, "  listening PLAINTEXT at this machine alone");
    begins(4, "  clients   are told to connect to ");
    begins(5, "  http      off");
}

#[test]
fn what_keeps_it_from_starting_is_said() {
    let server = Server::start();
    let check = |args: &[&str], code: i32, words: &str| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let always = ["serve", "-o", "json", "--http-listen", "", "--data-dir", data];
        let error = run(&[&always, args].concat()).exits(code).error();
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert_eq!(error["exit_code"], code);
    };
    check(&["--listen", server.bootstrap()], 1, "in use");
    check(&["--listen", "localhost:0", "-X", "num.partitions=0"], 2, "num.partitions");
    check(&["-X", "nonsense"], 2, "key=value");
    check(&["--config", "/does/not/exist"], 2, "/does/not/exist");
}

#[test]
fn a_file_an_argument_and_a_flag_say_what_holds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("klamm.toml");
    std::fs::write(&file, "num.partitions = 3\nnode.id = 8\nlisteners = \"nonsense\"\n").unwrap();
    let file = file.to_str().unwrap();
    let server = Server::start_with(&["--config", file, "-X", "node.id=9"]);
    assert_eq!(server.banner["node_id"], 9);
    server.run(&["topic", "create", "orders"]).exits(0);
    let listed = server.run(&["topic", "list", "-o", "json"]).exits(0).json();
    assert_eq!(listed[0]["partitions"], 3);
}

/// Its next line of log ended the task that wrote it, and with that the process.
#[test]
fn it_goes_on_though_nobody_reads_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = klamm(&["serve", "-o", "json", "--listen", "localhost:0"]);
    command.args(["--http-listen", "", "--data-dir"]).arg(folder.path());
    let mut child = command.spawn().unwrap();
    let banner: serde_json::Value = serde_json::from_str(&line(&mut child)).unwrap();
    let bootstrap = banner["bootstrap"].as_str().unwrap();
    drop(child.stderr.take());
    // No Kafka client: it is told, and the connection ended.
    let mut stranger = TcpStream::connect(bootstrap).unwrap();
    write!(stranger, "GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut nothing = Vec::new();
    // What it has not read is thrown away, and that said.
    let _ = stranger.read_to_end(&mut nothing);
    assert!(nothing.is_empty(), "{nothing:?}");
    run(&["topic", "list", "-b", bootstrap]).exits(0);
    common::send("-INT", &child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
