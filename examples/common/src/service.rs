//! What a started service is, and how a program runs one.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use klamm_utils::backoff::Backoff;
use klamm_utils::task::TaskGroup;
use tokio::net::TcpListener;

/// How long tasks may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A service that answers. Dropping it leaves its tasks running; [`Running::stop`] ends them.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    tasks: TaskGroup,
}

impl Running {
    /// Serves `router` on `listen` until the tasks are told to stop. Port 0 takes a free one.
    pub async fn serve(
        listen: SocketAddr,
        router: Router,
        tasks: TaskGroup,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let stopping = tasks.stopping();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tasks.spawn("http", async move {
            let served = axum::serve(listener, service).with_graceful_shutdown(stopping).await;
            if let Err(error) = served {
                tracing::error!(%error, "the listener failed");
            }
        });
        Ok(Self { address, tasks })
    }

    /// A service without an address of its own.
    #[must_use]
    pub fn headless(tasks: TaskGroup) -> Self {
        Self { address: SocketAddr::from(([0, 0, 0, 0], 0)), tasks }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every task and waits for them.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.tasks.stop();
        anyhow::ensure!(self.tasks.join(STOP_WITHIN).await, "tasks did not end in time");
        Ok(())
    }
}

/// Returns when the process is asked to end: Ctrl-C or SIGTERM.
pub async fn asked_to_end() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            _ = interrupted => {}
            _ = terminated.recv() => {}
        },
        Err(error) => {
            tracing::warn!(%error, "SIGTERM is not heard");
            let _ = interrupted.await;
        }
    }
}

/// The patience of a service while something it needs is away.
///
/// ```
/// # use common::service::Patience;
/// # use klamm_utils::task::TaskGroup;
/// # async fn connect() -> Result<u8, &'static str> { Ok(7) }
/// # async fn run(tasks: TaskGroup) -> Option<u8> {
/// let mut patience = Patience::new(&tasks, "reach the broker");
/// loop {
///     match connect().await {
///         Ok(connection) => return Some(connection),
///         Err(error) if patience.waits(error).await => {}
///         Err(_) => return None,
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Patience {
    tasks: TaskGroup,
    what: &'static str,
    backoff: Backoff,
}

impl Patience {
    /// Nothing was tried yet.
    #[must_use]
    pub fn new(tasks: &TaskGroup, what: &'static str) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        Self { tasks: tasks.clone(), what, backoff }
    }

    /// Waits after a failure, longer each time. False if the tasks stop.
    pub async fn waits(&mut self, error: impl std::fmt::Display) -> bool {
        let failures = self.backoff.failures();
        if failures == 0 || failures.is_power_of_two() {
            tracing::warn!(%error, failures, "cannot {} yet", self.what);
        }
        tokio::select! {
            () = tokio::time::sleep(self.backoff.next_pause()) => true,
            () = self.tasks.stopping() => false,
        }
    }
}
