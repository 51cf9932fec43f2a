//! Brokers that only a proxy knows, and connections that nobody uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use klamm_utils::task::TaskGroup;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::front::{Front, Rules};
use crate::{ask, enters, is_refused};

/// A proxy without users, which alone knows where `broker.invalid` is. Tells how often it was
/// asked.
async fn proxy(tasks: &TaskGroup) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let reached = Arc::<AtomicUsize>::default();
    let (serving, counting) = (tasks.clone(), Arc::clone(&reached));
    tasks.spawn("accept", async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let counting = Arc::clone(&counting);
            serving.spawn("relay", async move {
                let mut greeting = [0; 3];
                client.read_exact(&mut greeting).await.unwrap();
                client.write_all(&[5, 0]).await.unwrap();
                let mut request = [0; 5 + 14 + 2];
                client.read_exact(&mut request).await.unwrap();
                assert_eq!(&request[..19], b"\x05\x01\x00\x03\x0ebroker.invalid");
                let port = u16::from_be_bytes([request[19], request[20]]);
                let mut broker = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                client.write_all(b"\x05\x00\x00\x01\0\0\0\0\0\0").await.unwrap();
                counting.fetch_add(1, Ordering::Relaxed);
                // Either side may go at any time.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
            });
        }
    });
    (address, reached)
}

#[tokio::test]
async fn brokers_are_reached_by_way_of_a_proxy() {
    let front = Front::start(Rules { host: Some("broker.invalid"), ..Rules::default() }).await;
    let tasks = TaskGroup::new("proxy");
    let (address, reached) = proxy(&tasks).await;
    let config = klamm_client::ClientConfig::new(&format!("broker.invalid:{}", front.port));
    let kafka = enters(config.set("socks5.proxy", &address)).await;
    ask(&kafka).await.unwrap();
    assert!(reached.load(Ordering::Relaxed) >= 2);
    front.stop().await;
    tasks.stop();
}

#[tokio::test]
async fn a_proxy_that_is_none_is_told() {
    let front = Front::start(Rules::default()).await;
    let none = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let config = front.config().set("socks5.proxy", &none);
    is_refused(config, "by way of the SOCKS5 proxy").await;
    front.stop().await;
}

#[tokio::test]
async fn connections_that_nobody_uses_are_closed() {
    let front = Front::start(Rules::default()).await;
    let kafka = enters(front.config().set("connections.max.idle.ms", "50")).await;
    let closed = async {
        while front.seen.closed.load(Ordering::Relaxed)
            < front.seen.connections.load(Ordering::Relaxed)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), closed).await.unwrap();
    ask(&kafka).await.unwrap();
    front.stop().await;
}
