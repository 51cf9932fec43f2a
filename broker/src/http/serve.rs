//! The connections of the HTTP address. Each is a task that ends soon: it takes one request, and
//! neither asks nor hears for long.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::node::Node;

/// Connections at once. Others wait until one has ended.
const CONNECTIONS_MAX: usize = 256;
/// How long a client may take to ask.
const ASKED_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take until a client has its answer.
const DONE_WITHIN: Duration = Duration::from_secs(60);
/// After a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until the broker stops.
pub(super) async fn serve(node: Arc<Node>, listener: TcpListener, router: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = async {
        loop {
            // It is never closed.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (talking, router) = (Arc::clone(&node), router.clone());
                    node.tasks.spawn("http connection", async move {
                        talk(&talking, stream, router).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept HTTP connections for a moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = node.tasks.stopping() => {}
        () = accepting => {}
    }
}

/// Answers one request.
async fn talk(node: &Node, stream: TcpStream, router: Router) {
    let mut http = http1::Builder::new();
    http.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(ASKED_WITHIN);
    let service = TowerToHyperService::new(router);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let answering = async {
        tokio::select! {
            ended = &mut connection => return ended,
            () = node.tasks.stopping() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    };
    tokio::select! {
        ended = answering => if let Err(error) = ended {
            tracing::debug!(%error, "an HTTP connection broke");
        },
        () = node.gate.until_cut() => {}
        () = tokio::time::sleep(DONE_WITHIN) => {}
    }
}
