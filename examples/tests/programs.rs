//! Every program runs and says what it should.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::process::Command;

use klamm_broker::Broker;

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn embedded() {
    let said = output(env!("CARGO_BIN_EXE_embedded"), &[]);
    assert!(said.ends_with("read order 2 at offset 2\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics() {
    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let address = broker.bootstrap();
    let said = tokio::task::spawn_blocking(move || {
        output(env!("CARGO_BIN_EXE_topics"), &[address.as_str()])
    });
    let said = said.await.unwrap();
    assert!(said.starts_with("example-topics was made with 3 partitions\n"), "{said}");
    assert!(said.ends_with("example-topics was deleted\n"), "{said}");
    broker.stop().await;
}
