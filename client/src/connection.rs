//! A connection to one broker that speaks typed requests in negotiated versions.

use std::marker::PhantomData;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::api::api_versions::{self, ApiVersions};
use klamm_protocol::declare::Api;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::header::{decode_response, encode_request};
use klamm_protocol::wire::{Str, WireError};
use klamm_utils::task::TaskGroup;

use crate::answer::{Answer, Origin};
use crate::dial::Socket;
use crate::error::{Error, Result, Subject};
use crate::link::{self, Held, Limits, Link, Ticket};
use crate::versions::Versions;

/// A connection to one broker. Cloning shares it; the last clone closes it.
///
/// Many callers may ask at once: requests are pipelined, and answers find their callers. Once it
/// has failed it stays so, and every call says why.
#[derive(Clone, Debug)]
pub struct Connection {
    link: Arc<Link>,
    versions: Arc<Versions>,
    client_id: Str,
    /// How long an answer may take.
    timeout: Duration,
}

/// A connection that ends when nobody else shares it.
#[derive(Clone, Debug)]
pub(crate) struct WeakConnection {
    link: Weak<Link>,
    versions: Arc<Versions>,
    client_id: Str,
}

/// A connection on which nobody else can ask.
#[derive(Debug)]
pub(crate) struct Alone<'a> {
    connection: &'a Connection,
    held: Held<'a>,
}

/// The right to send one request on a connection, without waiting.
#[derive(Debug)]
#[must_use = "others wait for their turn meanwhile"]
pub struct Turn<'a> {
    connection: &'a Connection,
    turn: link::Turn<'a>,
}

/// A request that is not answered, and whose place in the order is fixed.
#[derive(Debug)]
pub struct Going(link::Going);

/// A request whose place in the order is fixed, and whose answer is yet to come.
#[derive(Debug)]
#[must_use = "the answer is lost if nobody waits for it"]
pub struct Pending<A> {
    ticket: Ticket,
    version: i16,
    origin: Origin,
    api: PhantomData<fn() -> A>,
}

impl Connection {
    /// Makes a connected socket speak Kafka: asks for the broker's versions.
    pub(crate) async fn open(
        socket: Socket,
        address: Arc<str>,
        limits: Limits,
        client_id: Str,
        tasks: TaskGroup,
    ) -> Result<Self> {
        let link = Arc::new(Link::open(socket, address, limits, tasks));
        let versions = Arc::new(negotiate(&link, &client_id).await?);
        let timeout = link.timeout();
        Ok(Self { link, versions, client_id, timeout })
    }

    /// `host:port` of the broker.
    #[must_use]
    pub fn address(&self) -> &Arc<str> {
        self.link.address()
    }

    /// What the broker speaks.
    #[must_use]
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Whether requests may still be sent.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.link.is_alive()
    }

    /// Asks, in the newest version that both sides speak, and waits for the answer.
    ///
    /// # Errors
    /// No common version, a request that it cannot say, or no answer. An answer that holds error
    /// codes is an answer.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the request may have been sent or not; the connection goes on.
    pub async fn call<A: Api>(&self, request: &A::Request) -> Result<Answer<A::Response>> {
        self.submit::<A>(self.version::<A>(i16::MAX)?, request).await?.answer().await
    }

    /// The newest version of the API that both sides speak, but none above `at_most`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is none.
    pub fn version<A: Api>(&self, at_most: i16) -> Result<i16> {
        let unsupported = || self.unsupported::<A>(*A::VERSIONS.start());
        self.versions.newest::<A>(at_most).ok_or_else(unsupported)
    }

    /// The broker does not speak the API from this version on.
    pub(crate) fn unsupported<A: Api>(&self, at_least: i16) -> Error {
        Error::Unsupported {
            address: Arc::clone(self.address()),
            api: A::NAME,
            ours: format!("{at_least}-{}", A::VERSIONS.end()).into(),
            theirs: match self.versions.of(A::KEY) {
                Some(range) => format!("{}-{}", range.start(), range.end()).into(),
                None => "none".into(),
            },
        }
    }

    /// Sends a request once there is room for it. When this returns, its place in the order is
    /// fixed; the answer is waited for by [`Pending::answer`].
    ///
    /// # Errors
    /// The version cannot say the request, or the connection has failed.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has sent nothing.
    pub async fn submit<A: Api>(&self, version: i16, request: &A::Request) -> Result<Pending<A>> {
        self.turn::<A>().await?.submit(version, request)
    }

    /// Waits until there is room for a request.
    ///
    /// # Errors
    /// The connection has failed.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn turn<A: Api>(&self) -> Result<Turn<'_>> {
        Ok(Turn { connection: self, turn: self.link.turn(A::NAME).await? })
    }

    /// The right to send a request now; none if it would have to be waited for, or the connection
    /// has failed.
    #[must_use]
    pub fn try_turn(&self) -> Option<Turn<'_>> {
        Some(Turn { connection: self, turn: self.link.try_turn()? })
    }
}

impl Turn<'_> {
    /// Sends a request: see [`Connection::submit`].
    ///
    /// # Errors
    /// The version cannot say the request, or the connection has failed.
    pub fn submit<A: Api>(self, version: i16, request: &A::Request) -> Result<Pending<A>> {
        let Connection { link, client_id, timeout, .. } = self.connection;
        let encode = |id| encode_request::<A>(version, id, Some(client_id), request);
        let ticket = self.turn.submit(A::NAME, *timeout, encode)?;
        Ok(Pending { ticket, version, origin: Origin::of::<A>(link.address()), api: PhantomData })
    }

    /// Sends a request that the broker does not answer: Produce with acks of 0. It has gone when
    /// [`Going::gone`] says so.
    ///
    /// # Errors
    /// The version cannot say the request, or the connection has failed.
    pub fn submit_unanswered<A: Api>(self, version: i16, request: &A::Request) -> Result<Going> {
        let client_id = &self.connection.client_id;
        let encode = |id| encode_request::<A>(version, id, Some(client_id), request);
        Ok(Going(self.turn.submit_unanswered(A::NAME, encode)?))
    }
}

impl Going {
    /// Waits until the socket has all of the request: the connection may end then. Whether the
    /// broker takes it nobody will say.
    ///
    /// # Errors
    /// The connection failed before.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing: the request goes on.
    pub async fn gone(self) -> Result<()> {
        self.0.gone().await
    }
}

impl Connection {
    /// The same, for requests whose answers may take longer by `patience`.
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { timeout: self.timeout.saturating_add(patience), ..self }
    }

    /// Whether it owes nobody an answer.
    pub(crate) fn is_free(&self) -> bool {
        self.link.is_free()
    }

    /// Whether the broker has said that it does not listen now.
    pub(crate) fn is_throttled(&self) -> bool {
        self.link.is_throttled()
    }

    /// How long an answer may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The same, without keeping it open and without patience.
    pub(crate) fn downgrade(&self) -> WeakConnection {
        let Self { link, versions, client_id, .. } = self.clone();
        WeakConnection { link: Arc::downgrade(&link), versions, client_id }
    }

    /// The tasks that live as long as it does.
    pub(crate) fn tasks(&self) -> &TaskGroup {
        self.link.tasks()
    }

    /// Waits until all that was asked is answered, and keeps others from asking.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub(crate) async fn alone(&self, api: &'static str) -> Result<Alone<'_>> {
        Ok(Alone { connection: self, held: self.link.hold(api).await? })
    }

    /// Ends it for all who share it.
    pub(crate) fn fail(&self, reason: &str) {
        self.link.fail(reason);
    }
}

impl WeakConnection {
    /// The connection, if anybody shares it still.
    pub(crate) fn upgrade(&self) -> Option<Connection> {
        let Self { link, versions, client_id } = self.clone();
        let link = link.upgrade()?;
        let timeout = link.timeout();
        Some(Connection { link, versions, client_id, timeout })
    }
}

impl Alone<'_> {
    /// As [`Connection::call`].
    pub(crate) async fn call<A: Api>(&self, request: &A::Request) -> Result<Answer<A::Response>> {
        let Self { connection, held } = self;
        let version = connection.version::<A>(i16::MAX)?;
        let encode = |id| encode_request::<A>(version, id, Some(&connection.client_id), request);
        let ticket = held.submit(A::NAME, encode).await?;
        let origin = Origin::of::<A>(connection.address());
        Pending::<A> { ticket, version, origin, api: PhantomData }.answer().await
    }
}

impl<A: Api> Pending<A> {
    /// Waits for the answer, no longer than the request timeout, or what the connection has of
    /// patience beyond that.
    ///
    /// # Errors
    /// The connection ended, or the answer makes no sense.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it loses the answer; the connection goes on.
    pub async fn answer(self) -> Result<Answer<A::Response>> {
        let Self { mut ticket, version, origin, .. } = self;
        let frame = ticket.frame().await?;
        match decode_response::<A>(version, frame) {
            Ok((_, body)) => {
                ticket.heed(&body);
                Ok(Answer { body, origin })
            }
            Err(source) => Err(Error::Wire { address: origin.address, api: A::NAME, source }),
        }
    }
}

/// Asks for the broker's versions: in our newest form first, and if the broker does not know it,
/// in the newest that it says it does (KIP-511).
async fn negotiate(link: &Link, client_id: &Str) -> Result<Versions> {
    let mut version = *ApiVersions::VERSIONS.end();
    loop {
        let request = api_versions::Request {
            client_software_name: Str::from_static("klamm"),
            client_software_version: Str::from_static(env!("CARGO_PKG_VERSION")),
        };
        let encode = |id| encode_request::<ApiVersions>(version, id, Some(client_id), &request);
        let turn = link.turn(ApiVersions::NAME).await?;
        let mut ticket = turn.submit(ApiVersions::NAME, link.timeout(), encode)?;
        let frame = ticket.frame().await?;
        let wire = |source| {
            let address = Arc::clone(link.address());
            Error::Wire { address, api: ApiVersions::NAME, source }
        };
        let answer = read_versions(version, frame).map_err(wire)?;
        ticket.heed(&answer);
        if answer.error_code != ErrorCode::UNSUPPORTED_VERSION || version == 0 {
            let origin = Origin::of::<ApiVersions>(link.address());
            origin.check(answer.error_code, None, Subject::Cluster)?;
            return Ok(Versions::from_answer(&answer));
        }
        let lower = Versions::from_answer(&answer).newest::<ApiVersions>(version - 1);
        version = lower.unwrap_or(0);
    }
}

/// Reads the answer, which has the form of version 0 where it says that the version is unknown.
fn read_versions(
    version: i16,
    frame: Bytes,
) -> std::result::Result<api_versions::Response, WireError> {
    let code = frame.get(4..).and_then(<[u8]>::first_chunk).map(|code| i16::from_be_bytes(*code));
    let refused = code == Some(ErrorCode::UNSUPPORTED_VERSION.0);
    let version = if refused { 0 } else { version };
    decode_response::<ApiVersions>(version, frame).map(|(_, answer)| answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{self, Served};
    use klamm_protocol::api::api_versions::{ApiVersion, Response};
    use klamm_protocol::header::encode_response;

    fn offers(max_version: i16, error_code: ErrorCode) -> Response {
        let api_keys = vec![ApiVersion { api_key: 18, min_version: 0, max_version }];
        Response { error_code, api_keys, ..Response::default() }
    }

    fn reply(version: i16, asked: &Served, answer: &Response) -> Bytes {
        encode_response::<ApiVersions>(version, asked.correlation_id, answer).unwrap().into_bytes()
    }

    #[tokio::test]
    async fn an_old_broker_is_asked_again_in_its_own_version() {
        for newest in 0..=4 {
            let address = fake::broker(move |asked| {
                let version = asked.api_version;
                Some(if version > newest {
                    reply(0, asked, &offers(newest, ErrorCode::UNSUPPORTED_VERSION))
                } else {
                    reply(version, asked, &offers(newest, ErrorCode::NONE))
                })
            })
            .await;
            let connection = fake::connect(&address).await.unwrap();
            assert_eq!(connection.version::<ApiVersions>(i16::MAX).unwrap(), newest);
        }
    }

    #[tokio::test]
    async fn patience_is_for_requests_and_not_for_renewing_a_session() {
        let answer = |asked: &Served| Some(reply(4, asked, &offers(4, ErrorCode::NONE)));
        let connection = fake::connect(&fake::broker(answer).await).await.unwrap();
        let (plain, patience) = (connection.timeout(), Duration::from_secs(300));
        let patient = connection.patient(patience);
        assert_eq!(patient.clone().timeout(), plain + patience);
        assert_eq!(patient.downgrade().upgrade().unwrap().timeout(), plain);
    }

    #[tokio::test]
    async fn a_broker_that_refuses_everything_is_an_error() {
        let refuse =
            |asked: &Served| Some(reply(0, asked, &offers(0, ErrorCode::UNSUPPORTED_VERSION)));
        let address = fake::broker(refuse).await;
        let error = fake::connect(&address).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::UNSUPPORTED_VERSION));
    }

    /// It did not wait: with a time that is longer than its own patience it gave the broker up.
    #[tokio::test]
    async fn a_broker_that_says_that_it_does_not_listen_is_asked_nothing() {
        let answer = |asked: &Served| {
            let listening = offers(4, ErrorCode::NONE);
            let throttle_time_ms = if asked.correlation_id == 0 { 0 } else { 3_600_000 };
            Some(reply(4, asked, &Response { throttle_time_ms, ..listening }))
        };
        let connection = fake::connect(&fake::broker(answer).await).await.unwrap();
        assert!(connection.try_turn().is_some());
        connection.call::<ApiVersions>(&api_versions::Request::default()).await.unwrap();
        assert!(connection.try_turn().is_none());
    }

    #[tokio::test]
    async fn an_api_that_the_broker_lacks_is_named() {
        let address = fake::broker(|asked| {
            Some(reply(asked.api_version, asked, &offers(4, ErrorCode::NONE)))
        })
        .await;
        let connection = fake::connect(&address).await.unwrap();
        let error = connection.version::<klamm_protocol::api::produce::Produce>(i16::MAX);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("offers versions none of Produce"), "{text}");
    }
}
