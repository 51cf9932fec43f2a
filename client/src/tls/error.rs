//! Why a connection could not be made secret.

/// Why TLS did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Nobody who is trusted has signed the broker's certificate.
    #[error(
        "its certificate is signed by nobody whom this client trusts; name the PEM file of its \
         authority in `ssl.truststore.location` (or `ssl.ca.location`)"
    )]
    Untrusted,
    /// The certificate is for other hosts.
    #[error(
        "its certificate is for {}, and not for the host {host}; connect by a name that it has, \
         have one made for this name, or set `ssl.endpoint.identification.algorithm` to nothing",
        names(presented)
    )]
    WrongHost {
        /// What was connected to.
        host: String,
        /// What the certificate is for.
        presented: Vec<String>,
    },
    /// The certificate has ended, or not begun.
    #[error("its certificate is not valid at this time: {reason}; renew it, or mend the clock")]
    NotNow {
        /// The times.
        reason: String,
    },
    /// The certificate cannot be used for another reason.
    #[error("its certificate cannot be used: {reason}")]
    BadCertificate {
        /// Why.
        reason: String,
    },
    /// The broker wants to know who the client is.
    #[error(
        "it wants a certificate from this client; set `ssl.keystore.location`, or \
         `ssl.certificate.location` and `ssl.key.location`"
    )]
    CertificateWanted,
    /// The broker does not like what it was told.
    #[error(
        "it refused with the alert {alert}; if it asks for certificates, this client shows none, or \
         one that it does not trust: see `ssl.keystore.location`"
    )]
    Refused {
        /// The alert.
        alert: String,
    },
    /// What answers does not speak TLS.
    #[error(
        "it does not speak TLS on this port; set `security.protocol` to PLAINTEXT or \
         SASL_PLAINTEXT, or use the port where it does"
    )]
    NotTls,
    /// The host has no name that a certificate could have.
    #[error("{host:?} is no host name")]
    BadHost {
        /// What was given.
        host: String,
    },
    /// Anything else.
    #[error("{reason}")]
    Other {
        /// What.
        reason: String,
    },
}

fn names(presented: &[String]) -> String {
    if presented.is_empty() { "no host at all".into() } else { presented.join(", ") }
}
