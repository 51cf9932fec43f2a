//! ApiVersions: tells which APIs and versions are served. Versions 0 to 4.
//!
//! - A version that is not served gets an answer of version 0 with error 35, which names the
//!   versions of ApiVersions itself (KIP-511): see [`unsupported_version`].
//! - Produce is said to begin at version 0, although 0 to 2 are refused: librdkafka takes a
//!   higher beginning for a broker without compression (KAFKA-18659).
//! - Features whose lowest version is 0 are left out before version 4: older Java clients fail
//!   on them (KAFKA-17011).

use klamm_protocol::api::ApiKey;
use klamm_protocol::api::api_versions::{
    ApiVersion, FinalizedFeature, Request, Response, SupportedFeature,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::server::{Call, Reply, SERVED, Served};

/// Features and the level that they are at: clients follow their rules. The first is the protocol of
/// groups of KIP-848, the second the second generation of transactions (KIP-890).
pub(super) const FEATURES: [(&str, i16); 2] = [("group.version", 1), ("transaction.version", 2)];

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let named = |text: &str| is_software_name(text);
    if call.version >= 3
        && !(named(&request.client_software_name) && named(&request.client_software_version))
    {
        let error_code = ErrorCode::INVALID_REQUEST;
        return Reply::Now(Response { error_code, ..Response::default() });
    }
    if call.version >= 3 {
        call.peer.note_software(&request.client_software_name, &request.client_software_version);
    }
    let api_keys = SERVED.iter().map(row).collect();
    let supported = FEATURES.map(|(name, level)| SupportedFeature {
        name: Str::from_static(name),
        min_version: 0,
        max_version: level,
    });
    let finalized = FEATURES.map(|(name, level)| FinalizedFeature {
        name: Str::from_static(name),
        max_version_level: level,
        min_version_level: level,
    });
    // Older Java clients fail on features whose lowest version is 0 (KAFKA-17011).
    let supported_features = if call.version >= 4 { supported.into() } else { Vec::new() };
    Reply::Now(Response {
        api_keys,
        supported_features,
        finalized_features_epoch: 0,
        finalized_features: finalized.into(),
        ..Response::default()
    })
}

/// The answer to a version that is not served; always of version 0.
pub(crate) fn unsupported_version() -> Response {
    let own = SERVED.iter().filter(|served| served.key == ApiKey::ApiVersions);
    Response {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: own.map(row).collect(),
        ..Response::default()
    }
}

fn row(served: &Served) -> ApiVersion {
    ApiVersion {
        api_key: served.key.code(),
        min_version: served.min_version,
        max_version: served.max_version,
    }
}

/// Letters and digits, with dots and dashes between them.
fn is_software_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    outer(bytes.first()) && outer(bytes.last()) && bytes.iter().all(|byte| inner(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_judged_as_kafka_does() {
        for good in ["a", "apache-kafka-java", "4.3.0", "1-2.3"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", ".", "a b", "ä", "a_b"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}
