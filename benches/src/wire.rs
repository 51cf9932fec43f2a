//! A client that costs next to nothing: one connection, one request at a time.

use std::io;

use bytes::Bytes;
use klamm_protocol::api::{CreateTopics, create_topics};
use klamm_protocol::declare::Api;
use klamm_protocol::header::{decode_response, encode_request};
use klamm_protocol::wire::{Str, Uuid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CLIENT_ID: Str = Str::from_static("bench");

/// A request at the newest version of its API, as it goes to the socket.
#[must_use]
pub fn frame<A: Api>(request: &A::Request) -> Bytes {
    frame_at::<A>(*A::VERSIONS.end(), request)
}

/// A request at this version of its API, as it goes to the socket.
#[must_use]
pub fn frame_at<A: Api>(version: i16, request: &A::Request) -> Bytes {
    let encoded = encode_request::<A>(version, 1, Some(&CLIENT_ID), request);
    encoded.expect("the version can say it").into_bytes()
}

/// One connection to a broker.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Wire {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// No connection.
    pub async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::new() })
    }

    /// Sends a frame and reads the frame that answers it, without its length.
    ///
    /// # Errors
    /// The broker has gone.
    pub async fn exchange(&mut self, frame: &[u8]) -> io::Result<&[u8]> {
        self.send(frame).await?;
        self.receive().await
    }

    /// Sends a frame, whose answer is received later.
    ///
    /// # Errors
    /// The broker has gone.
    pub async fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.stream.write_all(frame).await
    }

    /// Reads the frame that comes next, without its length.
    ///
    /// # Errors
    /// The broker has gone.
    pub async fn receive(&mut self) -> io::Result<&[u8]> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        if self.answer.len() < length {
            self.answer.resize(length, 0);
        }
        let answer = &mut self.answer[..length];
        self.stream.read_exact(answer).await?;
        Ok(answer)
    }

    /// Asks at the newest version.
    ///
    /// # Errors
    /// The broker has gone.
    pub async fn call<A: Api>(&mut self, request: &A::Request) -> io::Result<A::Response> {
        self.call_at::<A>(*A::VERSIONS.end(), request).await
    }

    /// Asks at this version.
    ///
    /// # Errors
    /// The broker has gone.
    pub async fn call_at<A: Api>(
        &mut self,
        version: i16,
        request: &A::Request,
    ) -> io::Result<A::Response> {
        let answer = self.exchange(&frame_at::<A>(version, request)).await?;
        let decoded = decode_response::<A>(version, Bytes::copy_from_slice(answer));
        decoded.map(|(_, response)| response).map_err(io::Error::other)
    }

    /// Makes a topic, and gives its id.
    ///
    /// # Errors
    /// The broker has gone, or refuses.
    pub async fn create_topic(&mut self, name: &str, partitions: i32) -> io::Result<Uuid> {
        let topic = create_topics::Topic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        };
        let request = create_topics::Request { topics: vec![topic], ..Default::default() };
        let answer = self.call::<CreateTopics>(&request).await?;
        match answer.topics.first() {
            Some(topic) if topic.error_code.is_none() => Ok(topic.topic_id),
            refused => Err(io::Error::other(format!("{name} was not made: {refused:?}"))),
        }
    }
}
