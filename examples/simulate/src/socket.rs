//! A WebSocket of the load: it speaks as a browser behind the door would.

use std::net::SocketAddr;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// What is set aside for each socket to read into.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// What goes to the server.
#[derive(Debug)]
pub(crate) struct Outgoing(SplitSink<WebSocketStream<TcpStream>, Message>);

/// What comes from it.
#[derive(Debug)]
pub(crate) struct Incoming(SplitStream<WebSocketStream<TcpStream>>);

/// Connects to an instance itself, as the door does: `client` numbers the address that it names in
/// `X-Forwarded-For`, since sockets of one address are limited.
pub(crate) async fn connect(
    at: SocketAddr,
    path: &str,
    client: usize,
) -> anyhow::Result<(Outgoing, Incoming)> {
    let mut request = format!("ws://{at}{path}").into_client_request()?;
    let address = format!("10.{}.{}.{}", client >> 16 & 255, client >> 8 & 255, client & 255);
    request.headers_mut().insert("x-forwarded-for", address.parse()?);
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
    let (outgoing, incoming) = socket.split();
    Ok((Outgoing(outgoing), Incoming(incoming)))
}

impl Outgoing {
    pub(crate) async fn send(&mut self, frame: &impl Serialize) -> anyhow::Result<()> {
        Ok(self.0.send(Message::text(serde_json::to_string(frame)?)).await?)
    }
}

impl Incoming {
    /// The next frame of text; nothing when the socket has ended.
    pub(crate) async fn next(&mut self) -> Option<Utf8Bytes> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Some(text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }
}
