//! A broker for tests, of which a closure is the whole mind.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use klamm_protocol::frame::FrameCodec;
use klamm_protocol::header::RequestHeader;
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
    let address = listener.local_addr().unwrap().to_string().into();
    let (mind, tasks) = (Arc::new(mind), TaskGroup::new("fake"));
    tasks.clone().spawn("accept", async move {
        while let Ok((socket, _)) = listener.accept().await {
            let mind = Arc::clone(&mind);
            tasks.spawn("serve", async move { serve(socket, &*mind).await });
        }
    });
    address
}

async fn serve(mut socket: TcpStream, mind: &(impl Fn(&Served) -> Option<Bytes> + Sync)) {
    let (mut codec, mut buffer) = (FrameCodec::new(1 << 20), BytesMut::new());
    loop {
        while let Some(frame) = codec.decode(&mut buffer).unwrap() {
            let (header, _) = RequestHeader::split(frame).unwrap();
            let RequestHeader { api_key, api_version, correlation_id, .. } = header;
            let Some(answer) = mind(&Served { api_key, api_version, correlation_id }) else {
                return;
            };
            socket.write_all(&answer).await.unwrap();
        }
        if !matches!(socket.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

/// Connects to it.
pub(crate) async fn connect(address: &Arc<str>) -> Result<Connection> {
    let timeout = Duration::from_secs(60);
    let limits = Limits { in_flight: 5, timeout, answer_bytes_max: 1 << 20, idle_max: None };
    let socket = Transport::default().connect(address, timeout).await?;
    let client_id = Str::from_static("test");
    Connection::open(socket, Arc::clone(address), limits, client_id, TaskGroup::new("test")).await
}
