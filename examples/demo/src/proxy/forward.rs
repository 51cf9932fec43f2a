//! One request on its way to an instance and back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use klamm_utils::task::TaskGroup;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::head::{Head, strip};
use super::pool::{Instance, Pool};

/// An instance on this machine that does not take a connection within this time is dead.
const CONNECT: Duration = Duration::from_secs(1);
/// An answer that has not begun by then does not come.
const ANSWER: Duration = Duration::from_secs(60);

/// One service behind the proxy.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    pub(super) pool: Pool,
    /// Owns a task for each connection to an instance, and one for each tunnel.
    pub(super) tasks: TaskGroup,
}

/// Why an instance gave no answer.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    #[error("no answer: {0}")]
    Answer(#[source] hyper::Error),
    #[error("no answer within {ANSWER:?}")]
    Late,
}

/// Sends the request to the least busy instance that takes it.
///
/// A connection is made for each request, before anything of it is sent: who is refused goes to
/// the next instance with the whole request. A request that was sent is sent again only when it is
/// a plain question; otherwise the client has to decide.
pub(super) async fn forward(
    State(upstream): State<Upstream>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response<Body> {
    let client = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let head = Head::new(parts, peer);
    let again = head.is_safe() && body.is_end_stream();
    let mut body = Some(body);
    for instance in upstream.pool.by_load() {
        let stream = match connect(instance.address()).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(instance = %instance.address(), %error, "tries the next");
                continue;
            }
        };
        let body = body.take().unwrap_or_default();
        match upstream.exchange(&instance, stream, head.request(body)).await {
            Ok(answer) => return upstream.answer(&instance, client, answer),
            Err(error) if again => {
                tracing::debug!(instance = %instance.address(), %error, "tries the next");
            }
            Err(error) => {
                tracing::warn!(instance = %instance.address(), %error, "a request was lost");
                return (StatusCode::BAD_GATEWAY, "The answer was lost.").into_response();
            }
        }
    }
    let retry = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, retry, "Nobody is there to answer.").into_response()
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Lost> {
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let connecting = timeout(CONNECT, TcpStream::connect(address)).await;
    let stream = connecting.map_err(|_| late()).flatten().map_err(Lost::Connect)?;
    stream.set_nodelay(true).map_err(Lost::Connect)?;
    Ok(stream)
}

impl Upstream {
    /// Sends `request` and waits for the head of the answer.
    async fn exchange(
        &self,
        instance: &Instance,
        stream: TcpStream,
        request: hyper::Request<Body>,
    ) -> Result<Response<Incoming>, Lost> {
        let lease = instance.lease();
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(Lost::Answer)?;
        let stopping = self.tasks.stopping();
        self.tasks.spawn("exchange", async move {
            let _lease = lease;
            tokio::select! {
                // How it ended is told to who waits for the answer, or to who reads its body.
                _ = connection.with_upgrades() => {}
                () = stopping => {}
            }
        });
        match timeout(ANSWER, sender.send_request(request)).await {
            Ok(answer) => answer.map_err(Lost::Answer),
            Err(_) => Err(Lost::Late),
        }
    }

    /// The answer as the client gets it. One that switches protocols begins a tunnel.
    fn answer(
        &self,
        instance: &Instance,
        client: OnUpgrade,
        mut answer: Response<Incoming>,
    ) -> Response<Body> {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let server = hyper::upgrade::on(&mut answer);
            let (lease, stopping) = (instance.lease(), self.tasks.stopping());
            self.tasks.spawn("tunnel", async move {
                let _lease = lease;
                tokio::select! {
                    () = tunnel(client, server) => {}
                    () = stopping => {}
                }
            });
        } else {
            strip(answer.headers_mut());
        }
        answer.map(Body::new)
    }
}

/// Carries bytes both ways until both sides have ended.
async fn tunnel(client: OnUpgrade, server: OnUpgrade) {
    let sides: Result<(Upgraded, Upgraded), _> = tokio::try_join!(client, server);
    match sides {
        Ok((client, server)) => {
            let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
            if let Err(error) = copy_bidirectional(&mut client, &mut server).await {
                tracing::debug!(%error, "a tunnel broke");
            }
        }
        Err(error) => tracing::debug!(%error, "a tunnel did not come to be"),
    }
}
