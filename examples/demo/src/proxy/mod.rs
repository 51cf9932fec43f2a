//! The one door: which path belongs to which service, and to which of its instances a request goes.
//!
//! It does what `deploy/nginx.conf` has nginx do, so that nothing needs to be installed.

mod forward;
mod head;
mod pool;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use common::service::undelayed;
use klamm_utils::task::TaskGroup;
use tokio::net::TcpListener;

use forward::{Upstream, forward};
pub use pool::{Instance, Lease, Pool};

/// Clients that have not ended by then are cut off.
const FAREWELL: Duration = Duration::from_secs(1);

/// The services behind the door.
#[derive(Clone, Debug)]
pub struct Services {
    /// Rooms: `/api/…` and `/ws/chat`.
    pub chat: Pool,
    /// Accounts of those who write direct messages: `/dm/api/auth/…`.
    pub accounts: Pool,
    /// Direct messages: the rest of `/dm/api/…`.
    pub pods: Pool,
    /// Unsent messages: `/unsent/api/…`.
    pub unsent: Pool,
}

/// A proxy that runs.
#[derive(Debug)]
pub struct Proxy {
    tasks: TaskGroup,
}

impl Proxy {
    /// A proxy that listens nowhere yet.
    #[must_use]
    pub fn new() -> Self {
        Self { tasks: TaskGroup::new("proxy") }
    }

    /// The routes to `services`. Of the prefixes of services other than chat nothing is left when
    /// their instances see the path.
    pub fn routes(&self, services: Services) -> Router {
        let to = |pool: Pool| any(forward).with_state(Upstream { pool, tasks: self.tasks.clone() });
        // Figures and health are for those inside.
        let inside = ["/dm/api", "/dm/api/auth", "/unsent/api"].into_iter().flat_map(|service| {
            ["metrics", "livez", "readyz"].map(|name| format!("{service}/{name}"))
        });
        let hidden = || any(async || StatusCode::NOT_FOUND);
        inside
            .fold(Router::new(), |routes, path| routes.route(&path, hidden()))
            .route("/api/{*path}", to(services.chat.clone()))
            .route("/ws/chat", to(services.chat))
            .nest_service("/dm/api/auth", to(services.accounts))
            .nest_service("/dm/api", to(services.pods))
            .nest_service("/unsent/api", to(services.unsent))
    }

    /// Every path to one service.
    pub fn all_to(&self, pool: Pool) -> Router {
        let upstream = Upstream { pool, tasks: self.tasks.clone() };
        Router::new().fallback(forward).with_state(upstream)
    }

    /// Serves `routes` on `listener` until the proxy is stopped.
    pub fn serve(&self, listener: TcpListener, routes: Router) {
        let (asked, over) = (self.tasks.stopping(), self.tasks.stopping());
        self.tasks.spawn("serve", async move {
            let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
            let serving = axum::serve(undelayed(listener), routes).with_graceful_shutdown(asked);
            let late = async {
                over.await;
                tokio::time::sleep(FAREWELL).await;
            };
            tokio::select! {
                ended = serving => if let Err(error) = ended {
                    tracing::error!(%error, "the proxy no longer listens");
                },
                () = late => {}
            }
        });
    }

    /// Takes no more requests, ends the tunnels, and gives the others a moment to end.
    pub async fn stop(self) {
        self.tasks.stop();
        self.tasks.ended().await;
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self::new()
    }
}

/// Listens on `port` of this machine, by IPv4 and, where there is one, by IPv6.
///
/// # Errors
/// The port is taken.
pub async fn listen_locally(port: u16) -> io::Result<Vec<TcpListener>> {
    let first = TcpListener::bind(("127.0.0.1", port)).await?;
    // With port 0 both get the same, if it is free.
    let port = first.local_addr()?.port();
    let mut listeners = vec![first];
    match TcpListener::bind(("::1", port)).await {
        Ok(second) => listeners.push(second),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
        Err(error) => tracing::debug!(%error, "there is no IPv6"),
    }
    Ok(listeners)
}
