//! A proxy in front of a broker that delays what passes and breaks connections: it closes them,
//! resets them, or forwards half of a request or answer first.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use klamm_utils::clock;
use klamm_utils::random::Random;
use klamm_utils::task::TaskGroup;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long a connection lives, at most.
const LIFE: Duration = Duration::from_secs(6);
/// How long something is held up, at most.
const DELAY: Duration = Duration::from_millis(300);
/// One request or answer in so many is held up.
const DELAYED: u64 = 50;

/// A proxy in front of one broker.
pub struct Proxy {
    weather: Arc<Weather>,
    tasks: TaskGroup,
}

/// What has been done to connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that were made.
    pub connections: usize,
    /// Of these, closed between two frames.
    pub cut: usize,
    /// Closed in the middle of one.
    pub halved: usize,
    /// Reset.
    pub reset: usize,
    /// Requests and answers that were held up.
    pub delayed: usize,
}

#[derive(Default)]
struct Weather {
    foul: AtomicBool,
    random: Mutex<Random>,
    tally: watch::Sender<Tally>,
}

/// How a connection ends.
#[derive(Clone, Copy)]
enum End {
    Cut,
    Halve,
    Reset,
}

impl Proxy {
    /// Listens at an address, and forwards to a broker that advertises that address.
    ///
    /// # Errors
    /// The address cannot be listened at.
    pub async fn start(listen: &str, broker: &str, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let random = Mutex::new(Random::seeded(seed));
        let weather = Arc::new(Weather { random, ..Weather::default() });
        let tasks = TaskGroup::new("proxy");
        let (forwards, to, shared) = (tasks.clone(), broker.to_owned(), Arc::clone(&weather));
        tasks.spawn("accept", async move {
            while let Ok((client, _)) = listener.accept().await {
                let (to, weather) = (to.clone(), Arc::clone(&shared));
                forwards.spawn("forward", async move {
                    if let Ok(broker) = TcpStream::connect(&to).await {
                        forward(client, broker, &weather).await;
                    }
                });
            }
        });
        Ok(Self { weather, tasks })
    }

    /// Breaks connections from now on, or no more.
    pub fn set_foul(&self, foul: bool) {
        self.weather.foul.store(foul, Ordering::Relaxed);
    }

    /// What has been done so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        *self.weather.tally.borrow()
    }

    /// Returns once connections were broken in each way.
    pub async fn breaks_each_way(&self) {
        let each_way = |tally: &Tally| tally.cut > 0 && tally.halved > 0 && tally.reset > 0;
        // It fails when the sender is gone, which lives as long as the proxy.
        let _ = self.weather.tally.subscribe().wait_for(each_way).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Weather {
    fn below(&self, bound: u64) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).below(bound)
    }

    fn up_to(&self, most: Duration) -> Duration {
        most.mul_f64(self.random.lock().unwrap_or_else(PoisonError::into_inner).fraction())
    }

    fn end(&self) -> End {
        match self.below(3) {
            0 => End::Cut,
            1 => End::Halve,
            _ => End::Reset,
        }
    }
}

async fn forward(mut client: TcpStream, mut broker: TcpStream, weather: &Weather) {
    weather.tally.send_modify(|tally| tally.connections += 1);
    let doom = clock::now() + weather.up_to(LIFE);
    let (from_client, to_client) = client.split();
    let (from_broker, to_broker) = broker.split();
    let ended = tokio::select! {
        ended = pump(from_client, to_broker, doom, weather) => ended,
        ended = pump(from_broker, to_client, doom, weather) => ended,
    };
    // Otherwise one side has closed.
    let Ok(end) = ended else { return };
    if let End::Reset = end {
        for stream in [&client, &broker] {
            // A socket that does not linger is reset when it is closed.
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
    weather.tally.send_modify(|tally| match end {
        End::Cut => tally.cut += 1,
        End::Halve => tally.halved += 1,
        End::Reset => tally.reset += 1,
    });
}

/// Forwards frame by frame, until a side closes or, in foul weather, the connection's time is up.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    doom: std::time::Instant,
    weather: &Weather,
) -> io::Result<End> {
    let mut frame = Vec::new();
    loop {
        let size = from.read_u32().await?;
        frame.clear();
        frame.extend_from_slice(&size.to_be_bytes());
        (&mut from).take(u64::from(size)).read_to_end(&mut frame).await?;
        if weather.foul.load(Ordering::Relaxed) {
            if clock::now() >= doom {
                let end = weather.end();
                if let End::Halve = end {
                    to.write_all(&frame[..frame.len() / 2]).await?;
                }
                return Ok(end);
            }
            if weather.below(DELAYED) == 0 {
                weather.tally.send_modify(|tally| tally.delayed += 1);
                tokio::time::sleep(weather.up_to(DELAY)).await;
            }
        }
        to.write_all(&frame).await?;
    }
}
