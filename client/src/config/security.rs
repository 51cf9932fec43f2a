//! The settings of security, typed.

use super::secret::Secret;
use super::value::{SecurityProtocol, Value, choices};
use super::{ClientConfig, keys};

choices! {
    /// How a client proves who it is.
    SaslMechanism, "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER" {
        /// By its password, which the broker gets to see.
        #[default]
        Plain = "plain",
        /// By knowing its password, which the broker never sees; with SHA-256.
        ScramSha256 = "scram-sha-256",
        /// Likewise, with SHA-512.
        ScramSha512 = "scram-sha-512",
        /// By a token that somebody else gave it.
        OauthBearer = "oauthbearer",
    }

    /// What a file of certificates or keys is.
    StoreType, "PEM (JKS and PKCS12 are known, and not read)" {
        /// Text between lines of dashes.
        #[default]
        Pem = "pem",
        /// Java's own.
        Jks = "jks",
        /// The other that Java knows.
        Pkcs12 = "pkcs12" | "p12",
    }

    /// Whether the broker's certificate must be for the host that was connected to.
    HostNameCheck, "https, or none, or empty for none" {
        /// It must.
        #[default]
        Https = "https",
        /// It need not: whoever has any trusted certificate can be the broker.
        None = "none" | "",
    }

    /// A version of TLS.
    TlsVersion, "TLSv1.2 or TLSv1.3, or both" {
        /// 1.2.
        Tls12 = "tlsv1.2",
        /// 1.3.
        #[default]
        Tls13 = "tlsv1.3",
    }
}

impl SaslMechanism {
    /// The name by which brokers know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

/// At least one.
impl Value for Vec<TlsVersion> {
    const EXPECTED: &'static str = TlsVersion::EXPECTED;

    fn parse(text: &str) -> Option<Self> {
        text.split(',').map(|version| TlsVersion::parse(version.trim())).collect()
    }

    fn print(&self) -> String {
        self.iter().map(TlsVersion::print).collect::<Vec<_>>().join(",")
    }
}

impl ClientConfig {
    /// How connections are protected.
    #[must_use]
    pub fn security_protocol(self, protocol: SecurityProtocol) -> Self {
        self.with(&keys::SECURITY_PROTOCOL, &protocol)
    }

    /// Whose certificates are trusted, as PEM text, in place of the system's authorities.
    #[must_use]
    pub fn trusted_certificates(self, pem: &str) -> Self {
        self.set(keys::SSL_TRUSTSTORE_CERTIFICATES.name, pem)
    }

    /// The client's own certificate chain and its key, as PEM texts.
    #[must_use]
    pub fn client_certificate(self, chain: &str, key: impl Into<Secret>) -> Self {
        self.set(keys::SSL_KEYSTORE_CERTIFICATE_CHAIN.name, chain)
            .with(&keys::SSL_KEYSTORE_KEY, &Some(key.into()))
    }

    /// Who the client is and its password, for PLAIN and SCRAM.
    #[must_use]
    pub fn sasl(
        self,
        mechanism: SaslMechanism,
        username: &str,
        password: impl Into<Secret>,
    ) -> Self {
        self.with(&keys::SASL_MECHANISM, &Some(mechanism))
            .with(&keys::SASL_USERNAME, &Some(username.to_owned()))
            .with(&keys::SASL_PASSWORD, &Some(password.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_and_text_are_one() {
        let typed = ClientConfig::new("a:1")
            .security_protocol(SecurityProtocol::SaslSsl)
            .sasl(SaslMechanism::ScramSha256, "ann", "secret")
            .trusted_certificates("PEM");
        let text = ClientConfig::new("a:1")
            .set("security.protocol", "SASL_SSL")
            .set("sasl.mechanisms", "SCRAM-SHA-256")
            .set("sasl.username", "ann")
            .set("sasl.password", "secret")
            .set("ssl.ca.pem", "PEM");
        assert_eq!(typed.describe().to_lowercase(), text.describe().to_lowercase());
        assert_eq!(text.check(), Ok(()));
    }

    #[test]
    fn what_is_not_built_is_told() {
        let check = |name: &str, value: &str, told: &str| {
            let error = ClientConfig::new("a:1").set(name, value).check().unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        };
        check("sasl.mechanism", "GSSAPI", "expected PLAIN, SCRAM-SHA-256");
        check("ssl.enabled.protocols", "TLSv1.1", "expected TLSv1.2 or TLSv1.3");
        check("ssl.enabled.protocols", "", "expected TLSv1.2 or TLSv1.3");
        check("connections.max.idle.ms", "-2", "or -1 or 0 for no limit");
    }
}
