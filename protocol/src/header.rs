//! The headers in front of requests and responses.
//!
//! | header | used | holds |
//! |---|---|---|
//! | request 1 | before the flexible versions of an API | key, version, correlation id, client id |
//! | request 2 | from the flexible versions on | the same, and tagged fields |
//! | response 0 | before the flexible versions, and by ApiVersions always | correlation id |
//! | response 1 | from the flexible versions on | the same, and tagged fields |
//!
//! The client id keeps its old form in both request headers. ApiVersions answers with header 0
//! at every version (KIP-511): a client that has not yet learned the broker's versions must be
//! able to read the answer.

use bytes::Bytes;

use crate::api::ApiKey;
use crate::declare::Api;
use crate::wire::{Encoded, Reader, Result, Str, Wire as _, WireError, Writer, read_tags};

/// What stands in front of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API as a number: it may be one that is not known here.
    pub api_key: i16,
    /// The version of the request, and so of its response.
    pub api_version: i16,
    /// Chosen by the client, returned with the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<Str>,
}

impl RequestHeader {
    /// Splits a frame into its header and a reader of its body.
    ///
    /// The body of an unknown key or version cannot be read. Of its header, what all versions
    /// share is read, and tagged fields are left to the body.
    pub fn split(frame: Bytes) -> Result<(Self, Reader)> {
        let mut r = Reader::new(frame, 0, false);
        let api_key = i16::read(&mut r)?;
        let api_version = i16::read(&mut r)?;
        let correlation_id = i32::read(&mut r)?;
        let client_id = match r.short_string_length()? {
            None => None,
            Some(length) => Some(Str::from_utf8(r.take(length)?)?),
        };
        let known = ApiKey::from_code(api_key).filter(|key| key.versions().contains(&api_version));
        let flexible = known.is_some_and(|key| key.is_flexible(api_version));
        let rest = r.remaining();
        let mut body = Reader::new(r.take(rest)?, api_version, flexible);
        read_tags(&mut body, |_, _| Ok(false))?;
        Ok((Self { api_key, api_version, correlation_id, client_id }, body))
    }

    fn write(&self, w: &mut Writer, flexible: bool) {
        self.api_key.write(w);
        self.api_version.write(w);
        self.correlation_id.write(w);
        w.short_string_length(self.client_id.as_ref().map(|id| id.len()));
        w.put(self.client_id.as_deref().unwrap_or_default().as_bytes());
        if flexible {
            w.varint(0);
        }
    }
}

/// A request as it goes to the socket, length first.
///
/// # Errors
/// The version is not one of the API's, or cannot say what the request means.
pub fn encode_request<A: Api>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&Str>,
    request: &A::Request,
) -> Result<Encoded> {
    check_version::<A>(version)?;
    let flexible = A::is_flexible(version);
    let mut w = Writer::frame(version, flexible);
    let client_id = client_id.cloned();
    let header = RequestHeader { api_key: A::KEY, api_version: version, correlation_id, client_id };
    header.write(&mut w, flexible);
    request.write(&mut w);
    w.finish_frame()
}

/// A request's body. Bytes behind its last field count for nothing, as in Kafka: librdkafka sends
/// some with a Metadata request for all topics.
///
/// # Errors
/// The version is not one of the API's, or the bytes are not a request of it.
pub fn decode_request<A: Api>(mut body: Reader) -> Result<A::Request> {
    check_version::<A>(body.version())?;
    A::Request::read(&mut body)
}

/// A response as it goes to the socket, length first.
///
/// # Errors
/// The version is not one of the API's, or cannot say what the response means.
pub fn encode_response<A: Api>(
    version: i16,
    correlation_id: i32,
    response: &A::Response,
) -> Result<Encoded> {
    check_version::<A>(version)?;
    let flexible = A::is_flexible(version);
    let mut w = Writer::frame(version, flexible);
    correlation_id.write(&mut w);
    if flexible && A::KEY != ApiKey::ApiVersions.code() {
        w.varint(0);
    }
    response.write(&mut w);
    w.finish_frame()
}

/// A response's frame, read to its end.
///
/// # Errors
/// The version is not one of the API's, or the bytes are not a response of it.
pub fn decode_response<A: Api>(version: i16, frame: Bytes) -> Result<(i32, A::Response)> {
    check_version::<A>(version)?;
    let flexible = A::is_flexible(version);
    let mut r = Reader::new(frame, version, flexible);
    let correlation_id = i32::read(&mut r)?;
    if flexible && A::KEY != ApiKey::ApiVersions.code() {
        read_tags(&mut r, |_, _| Ok(false))?;
    }
    let response = A::Response::read(&mut r)?;
    r.finish()?;
    Ok((correlation_id, response))
}

fn check_version<A: Api>(version: i16) -> Result<()> {
    if A::VERSIONS.contains(&version) {
        return Ok(());
    }
    Err(WireError::Version { key: A::KEY, version })
}
