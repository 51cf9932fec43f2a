//! A proxy in front of a broker that cuts connections, often in the middle of an answer.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use klamm_broker::Broker;
use klamm_utils::random::Random;
use klamm_utils::task::TaskGroup;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Proxy {
    address: String,
    behind: String,
    shared: Arc<Shared>,
    tasks: TaskGroup,
}

struct Shared {
    /// How many bytes of answers a connection lives for.
    life: Mutex<Option<Range<u64>>>,
    random: Mutex<Random>,
    cuts: AtomicUsize,
}

impl Proxy {
    /// Listens, and chooses an address for the broker behind it.
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let behind = reserved.local_addr().unwrap().to_string();
        let random = Mutex::new(Random::seeded(7));
        let shared = Arc::new(Shared { life: Mutex::default(), random, cuts: AtomicUsize::new(0) });
        let tasks = TaskGroup::new("proxy");
        let (accepting, to, state) = (tasks.clone(), behind.clone(), Arc::clone(&shared));
        tasks.spawn("accept", async move {
            while let Ok((client, _)) = listener.accept().await {
                let (to, state) = (to.clone(), Arc::clone(&state));
                accepting.spawn("forward", async move { forward(client, &to, &state).await });
            }
        });
        Self { address, behind, shared, tasks }
    }

    /// The broker behind it.
    pub(crate) async fn broker(&self) -> Broker {
        Broker::builder()
            .ephemeral()
            .listen(&self.behind)
            .set("advertised.listeners", format!("PLAINTEXT://{}", self.address))
            .start()
            .await
            .unwrap()
    }

    /// What clients connect to.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Lets each connection live for so many bytes of answers.
    pub(crate) fn cut_after(&self, bytes: Range<u64>) {
        *self.shared.life.lock().unwrap() = Some(bytes);
    }

    /// Cuts no more.
    pub(crate) fn heal(&self) {
        *self.shared.life.lock().unwrap() = None;
    }

    pub(crate) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn forward(client: TcpStream, to: &str, shared: &Shared) {
    let Ok(broker) = TcpStream::connect(to).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    let requests = async { tokio::io::copy(&mut from_client, &mut to_broker).await.ok() };
    let answers = async {
        let (mut buffer, mut passed) = (vec![0; 4096], 0);
        while let Ok(count @ 1..) = from_broker.read(&mut buffer).await {
            passed += count as u64;
            let life = shared.life.lock().unwrap().clone();
            let over = life.is_some_and(|life| {
                let within = shared.random.lock().unwrap().below(life.end - life.start);
                passed > life.start + within
            });
            // Cut in the middle: the broker has done what it was asked.
            let sent = if over { count / 2 } else { count };
            if to_client.write_all(&buffer[..sent]).await.is_err() || over {
                shared.cuts.fetch_add(usize::from(over), Ordering::Relaxed);
                return;
            }
        }
    };
    tokio::select! {
        _ = requests => {}
        () = answers => {}
    }
}
