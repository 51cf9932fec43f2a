//! What stands in front of a broker that knows neither TLS nor SASL, and is strict about both.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use klamm_broker::Broker;
use klamm_client::ClientConfig;
use klamm_protocol::api::api_versions::{ApiVersion, ApiVersions};
use klamm_protocol::api::metadata::Metadata;
use klamm_protocol::api::sasl_authenticate::{self, SaslAuthenticate};
use klamm_protocol::api::sasl_handshake::{self, SaslHandshake};
use klamm_protocol::declare::Api;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::header::{RequestHeader, decode_request, decode_response, encode_response};
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// What is wanted of clients.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) sasl: Option<Sasl>,
    /// What it is told to be; `localhost` if not set.
    pub(crate) host: Option<&'static str>,
}

/// PLAIN by a password, or OAUTHBEARER by a token.
#[derive(Clone, Copy)]
pub(crate) struct Sasl {
    pub(crate) mechanism: &'static str,
    /// The one message that is accepted.
    pub(crate) proof: &'static str,
    pub(crate) session: Duration,
}

/// What was seen of clients.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    pub(crate) closed: AtomicUsize,
    pub(crate) authentications: AtomicUsize,
    /// Requests that came after the end of a session, or within a conversation.
    pub(crate) out_of_turn: Mutex<Vec<&'static str>>,
}

/// A broker with something in front.
pub(crate) struct Front {
    pub(crate) broker: Broker,
    pub(crate) port: u16,
    pub(crate) seen: Arc<Seen>,
    tasks: TaskGroup,
}

impl Front {
    pub(crate) async fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = Broker::builder().ephemeral().start().await.unwrap();
        let behind = broker.bootstrap();
        let host = rules.host.unwrap_or("localhost");
        let (seen, tasks) = (Arc::<Seen>::default(), TaskGroup::new("front"));
        let (accepting, noting) = (tasks.clone(), Arc::clone(&seen));
        tasks.spawn("accept", async move {
            while let Ok((socket, _)) = listener.accept().await {
                noting.connections.fetch_add(1, Ordering::Relaxed);
                let (rules, seen) = (rules.clone(), Arc::clone(&noting));
                let behind = behind.clone();
                accepting.spawn("serve", async move {
                    let broker = TcpStream::connect(behind).await.unwrap();
                    let session = Session::new(broker, (host, port), rules.sasl, &seen);
                    match rules.tls.map(TlsAcceptor::from) {
                        None => session.serve(socket).await,
                        // What is wrong with a handshake is told to the client.
                        Some(tls) => match tls.accept(socket).await {
                            Ok(socket) => session.serve(socket).await,
                            Err(_) => None,
                        },
                    };
                    seen.closed.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        Self { broker, port, seen, tasks }
    }

    /// Settings to reach it by.
    pub(crate) fn config(&self) -> ClientConfig {
        ClientConfig::new(&format!("localhost:{}", self.port))
    }

    pub(crate) async fn stop(self) {
        self.tasks.stop();
        self.broker.stop().await;
    }
}

/// One connection of a client. Requests are answered one after the other.
struct Session<'a> {
    broker: TcpStream,
    advertised: (&'static str, u16),
    sasl: Option<Sasl>,
    seen: &'a Seen,
    /// Until when requests are served.
    until: Option<Instant>,
    conversing: bool,
}

impl<'a> Session<'a> {
    fn new(
        broker: TcpStream,
        advertised: (&'static str, u16),
        sasl: Option<Sasl>,
        seen: &'a Seen,
    ) -> Self {
        Self { broker, advertised, sasl, seen, until: None, conversing: false }
    }

    /// Serves until either side ends it, or the client does what it may not.
    async fn serve(mut self, mut client: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        loop {
            let request = frame(&mut client).await?;
            let (header, body) = RequestHeader::split(request.clone()).unwrap();
            let (version, id) = (header.api_version, header.correlation_id);
            let answer = match (header.api_key, self.sasl) {
                (Metadata::KEY, _) => {
                    if self.sasl.is_some() {
                        self.in_turn()?;
                    }
                    self.metadata(version, id, &request).await?
                }
                (_, None) => self.relay(&request).await?,
                (ApiVersions::KEY, _) => self.versions(version, id, &request).await?,
                (SaslHandshake::KEY, Some(sasl)) => {
                    let request = decode_request::<SaslHandshake>(body).unwrap();
                    encoded::<SaslHandshake>(version, id, &self.handshake(sasl, &request.mechanism))
                }
                (SaslAuthenticate::KEY, Some(sasl)) => {
                    let request = decode_request::<SaslAuthenticate>(body).unwrap();
                    encoded::<SaslAuthenticate>(version, id, &self.judge(sasl, &request.auth_bytes))
                }
                _ => {
                    self.in_turn()?;
                    self.relay(&request).await?
                }
            };
            client.write_all(&answer).await.ok()?;
            client.flush().await.ok()?;
        }
    }

    /// Nothing if a request may not be served now, as Kafka has it.
    fn in_turn(&self) -> Option<()> {
        let wrong = match self.until {
            _ if self.conversing => "a request within a conversation",
            Some(until) if clock::now() > until => "a request after the end of a session",
            Some(_) => return Some(()),
            None => return None,
        };
        self.seen.out_of_turn.lock().unwrap().push(wrong);
        None
    }

    async fn relay(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let length = u32::try_from(request.len()).unwrap();
        self.broker.write_all(&[&length.to_be_bytes(), request].concat()).await.ok()?;
        let answer = frame(&mut self.broker).await?;
        let length = u32::try_from(answer.len()).unwrap();
        Some([&length.to_be_bytes()[..], &answer].concat())
    }

    async fn versions(&mut self, version: i16, id: i32, request: &[u8]) -> Option<Vec<u8>> {
        let answer = Bytes::from(self.relay(request).await?).slice(4..);
        let (_, mut answer) = decode_response::<ApiVersions>(version, answer).unwrap();
        for (api_key, max_version) in [(SaslHandshake::KEY, 1), (SaslAuthenticate::KEY, 2)] {
            answer.api_keys.push(ApiVersion { api_key, min_version: 0, max_version });
        }
        Some(encoded::<ApiVersions>(version, id, &answer))
    }

    /// Sends clients here and not to the broker.
    async fn metadata(&mut self, version: i16, id: i32, request: &[u8]) -> Option<Vec<u8>> {
        let answer = Bytes::from(self.relay(request).await?).slice(4..);
        let (_, mut answer) = decode_response::<Metadata>(version, answer).unwrap();
        for broker in &mut answer.brokers {
            let (host, port) = self.advertised;
            (broker.host, broker.port) = (host.into(), port.into());
        }
        Some(encoded::<Metadata>(version, id, &answer))
    }

    fn handshake(&mut self, sasl: Sasl, mechanism: &str) -> sasl_handshake::Response {
        self.conversing = mechanism == sasl.mechanism;
        let refused = ErrorCode::UNSUPPORTED_SASL_MECHANISM;
        sasl_handshake::Response {
            error_code: if self.conversing { ErrorCode::NONE } else { refused },
            mechanisms: vec![sasl.mechanism.into()],
        }
    }

    fn judge(&mut self, sasl: Sasl, proof: &[u8]) -> sasl_authenticate::Response {
        let mut answer = sasl_authenticate::Response::default();
        if proof == sasl.proof.as_bytes() {
            self.conversing = false;
            self.until = Some(clock::now() + sasl.session);
            self.seen.authentications.fetch_add(1, Ordering::Relaxed);
            answer.session_lifetime_ms = i64::try_from(sasl.session.as_millis()).unwrap();
        } else if proof.starts_with(b"n,,") {
            answer.auth_bytes = Bytes::from_static(b"{\"status\":\"invalid_token\"}");
        } else {
            answer.error_code = ErrorCode::SASL_AUTHENTICATION_FAILED;
            answer.error_message = Some("Authentication failed".into());
        }
        answer
    }
}

fn encoded<A: Api>(version: i16, id: i32, answer: &A::Response) -> Vec<u8> {
    encode_response::<A>(version, id, answer).unwrap().into_bytes().to_vec()
}

async fn frame(socket: &mut (impl AsyncRead + Unpin)) -> Option<Bytes> {
    let length = socket.read_u32().await.ok()?;
    // What speaks TLS to a port without it asks for more than anyone would send.
    let mut frame = vec![0; usize::try_from(length).ok().filter(|length| *length < 1 << 24)?];
    socket.read_exact(&mut frame).await.ok()?;
    Some(frame.into())
}
