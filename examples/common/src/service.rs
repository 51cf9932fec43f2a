//! What a started service is, and how a program runs one.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::serve::{ListenerExt as _, TapIo};
use klamm_utils::task::TaskGroup;
use tokio::net::{TcpListener, TcpStream};

/// How long tasks may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Has what is written to its connections sent at once: a frame that follows another would wait
/// until that one is acknowledged, up to 40 ms.
#[must_use]
pub fn undelayed(listener: TcpListener) -> TapIo<TcpListener, fn(&mut TcpStream)> {
    listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection may be slow");
        }
    })
}

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
        let listener = undelayed(listener);
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

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when the service ends, for which it may have reasons of its own.
    pub async fn ending(&self) {
        self.tasks.stopping().await;
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
