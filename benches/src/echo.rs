//! The floor of everything over a socket: a server that does nothing but read and write.

use std::io;

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Starts a server for one connection within the runtime that is running, and gives its address.
///
/// # Errors
/// There is no loopback.
pub async fn start() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    #[expect(clippy::disallowed_methods, reason = "it ends with the runtime of the bench")]
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        // Ends when the client leaves, which is no failure.
        serve(stream).await
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let size = usize::try_from(stream.read_u32().await?).map_err(io::Error::other)?;
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        stream.read_exact(&mut buffer[..size]).await?;
        let Some((answer, _)) = buffer.split_first_chunk() else { continue };
        let answer = u32::from_be_bytes(*answer);
        let size = usize::try_from(answer).map_err(io::Error::other)? + answer.to_be_bytes().len();
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        buffer[..4].copy_from_slice(&answer.to_be_bytes());
        stream.write_all(&buffer[..size]).await?;
    }
}

/// A request of `size` bytes that is answered with `answer` bytes, each with its length in front.
#[must_use]
pub fn frame(size: usize, answer: usize) -> BytesMut {
    let mut frame = BytesMut::new();
    let body = size.saturating_sub(4).max(4);
    frame.put_u32(u32::try_from(body).expect("a frame is small"));
    frame.put_u32(u32::try_from(answer.saturating_sub(4)).expect("a frame is small"));
    frame.put_bytes(0, body - 4);
    frame
}
