//! A broker for tests, of which a closure is the whole mind.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use klamm_protocol::api::api_versions::{self, ApiVersion, ApiVersions};
use klamm_protocol::api::metadata::{self, Metadata};
use klamm_protocol::declare::Api;
use klamm_protocol::frame::FrameCodec;
use klamm_protocol::header::{RequestHeader, encode_response};
use klamm_protocol::wire::Str;
use klamm_utils::task::TaskGroup;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Decoder as _;

use crate::connection::Connection;
use crate::dial::Transport;
use crate::error::Result;
use crate::link::Limits;

/// What is told of a request.
pub(crate) struct Served {
    /// The broker's own address.
    pub(crate) address: Arc<str>,
    pub(crate) api_key: i16,
    pub(crate) api_version: i16,
    pub(crate) correlation_id: i32,
}

/// Starts a broker that answers with what `mind` gives, a whole frame with its length; it closes
/// the connection where that is nothing.
pub(crate) async fn broker(
    mind: impl Fn(&Served) -> Option<Bytes> + Send + Sync + 'static,
) -> Arc<str> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Arc<str> = listener.local_addr().unwrap().to_string().into();
    let own = Arc::clone(&address);
    let (mind, tasks) = (Arc::new(mind), TaskGroup::new("fake"));
    tasks.clone().spawn("accept", async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (mind, own) = (Arc::clone(&mind), Arc::clone(&own));
            tasks.spawn("serve", async move { serve(socket, own, &*mind).await });
        }
    });
    address
}

async fn serve(
    mut socket: TcpStream,
    address: Arc<str>,
    mind: &(impl Fn(&Served) -> Option<Bytes> + Sync),
) {
    let (mut codec, mut buffer) = (FrameCodec::new(1 << 20), BytesMut::new());
    loop {
        while let Some(frame) = codec.decode(&mut buffer).unwrap() {
            let (header, _) = RequestHeader::split(frame).unwrap();
            let RequestHeader { api_key, api_version, correlation_id, .. } = header;
            let address = Arc::clone(&address);
            let asked = Served { address, api_key, api_version, correlation_id };
            let Some(answer) = mind(&asked) else { return };
            socket.write_all(&answer).await.unwrap();
        }
        if !matches!(socket.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

/// An answer to what was asked.
pub(crate) fn answer<A: Api>(asked: &Served, body: &A::Response) -> Bytes {
    let Served { api_version, correlation_id, .. } = *asked;
    encode_response::<A>(api_version, correlation_id, body).unwrap().into_bytes()
}

/// That it speaks these APIs, each up to a version.
pub(crate) fn versions(asked: &Served, apis: &[(i16, i16)]) -> Bytes {
    let api =
        |&(api_key, max_version): &(i16, i16)| ApiVersion { api_key, min_version: 0, max_version };
    let api_keys = apis.iter().chain(&[(ApiVersions::KEY, 4)]).map(api).collect();
    answer::<ApiVersions>(asked, &api_versions::Response { api_keys, ..Default::default() })
}

/// That the cluster has these brokers, whose ids are their places, and that one of them is the
/// controller and leads the one partition of "a".
pub(crate) fn metadata(asked: &Served, brokers: &[&str], leader_id: i32) -> Bytes {
    let broker = |(node_id, address): (i32, &&str)| {
        let (host, port) = address.rsplit_once(':').unwrap();
        let (host, port) = (host.into(), port.parse().unwrap());
        metadata::Broker { node_id, host, port, ..Default::default() }
    };
    let brokers = (0..).zip(brokers).map(broker).collect();
    let partitions = vec![metadata::PartitionAnswer { leader_id, ..Default::default() }];
    let topic = metadata::TopicAnswer { name: Some("a".into()), partitions, ..Default::default() };
    let (controller_id, topics) = (leader_id, vec![topic]);
    let body = metadata::Response { brokers, controller_id, topics, ..Default::default() };
    answer::<Metadata>(asked, &body)
}

/// Connects to it.
pub(crate) async fn connect(address: &Arc<str>) -> Result<Connection> {
    let timeout = Duration::from_secs(60);
    let limits = Limits { in_flight: 5, timeout, answer_bytes_max: 1 << 20, idle_max: None };
    let socket = Transport::default().connect(address, timeout).await?;
    let client_id = Str::from_static("test");
    Connection::open(socket, Arc::clone(address), limits, client_id, TaskGroup::new("test")).await
}
