//! What errors of TLS mean to whoever set it up.

use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use super::error::TlsError;

/// What an error of a connection means, if it is one of TLS.
pub(super) fn of_io(error: &io::Error) -> Option<TlsError> {
    error.get_ref()?.downcast_ref().map(of_tls)
}

fn of_tls(error: &Error) -> TlsError {
    match error {
        Error::InvalidCertificate(certificate) => of_certificate(certificate),
        Error::AlertReceived(alert) => of_alert(*alert),
        // What is no record of TLS: the answer of a broker that does not speak it.
        Error::InvalidMessage(_) => TlsError::NotTls,
        other => TlsError::Other { reason: other.to_string() },
    }
}

fn of_certificate(error: &CertificateError) -> TlsError {
    match error {
        // A bad signature: another authority of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsError::Untrusted,
        CertificateError::NotValidForNameContext { expected, presented } => TlsError::WrongHost {
            host: expected.to_str().into_owned(),
            presented: presented.iter().map(|name| readable(name)).collect(),
        },
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            TlsError::NotNow { reason: error.to_string() }
        }
        other => TlsError::BadCertificate { reason: other.to_string() },
    }
}

/// A name without the kind that rustls puts around it.
fn readable(name: &str) -> String {
    let inner = name.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")"));
    inner.unwrap_or(name).to_owned()
}

fn of_alert(alert: AlertDescription) -> TlsError {
    match alert {
        AlertDescription::CertificateRequired => TlsError::CertificateWanted,
        other => TlsError::Refused { alert: format!("{other:?}") },
    }
}
