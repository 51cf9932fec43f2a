//! Whether a broker is the one that is meant.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// Judges certificates as the settings say.
#[derive(Debug)]
pub(super) struct Verifier {
    provider: Arc<CryptoProvider>,
    /// Nothing where any certificate will do.
    trust: Option<Trust>,
    check_host: bool,
}

/// Whom certificates may be from.
#[derive(Debug)]
struct Trust {
    chains: Arc<WebPkiServerVerifier>,
    /// Those that the settings name themselves. A broker that has one of them is trusted for
    /// that, as Java and OpenSSL have it: many clusters have one self-signed certificate.
    named: Vec<CertificateDer<'static>>,
}

impl Verifier {
    /// One that lets everything pass.
    pub(super) fn of_anything(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, trust: None, check_host: false }
    }

    /// One that wants certificates signed by one of these, or one of these itself.
    pub(super) fn new(
        provider: Arc<CryptoProvider>,
        trusted: Vec<CertificateDer<'static>>,
        check_host: bool,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(trusted.iter().cloned());
        if added == 0 {
            return Err(Error::General("none of the certificates can be read".into()));
        }
        let chains = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
        let chains = chains.build().map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { provider, trust: Some(Trust { chains, named: trusted }), check_host })
    }

    fn check_host(&self, end: &CertificateDer<'_>, host: &ServerName<'_>) -> Result<(), Error> {
        if !self.check_host {
            return Ok(());
        }
        verify_server_name(&ParsedCertificate::try_from(end)?, host)
    }
}

/// Whether all is well with a certificate but the host.
fn is_host(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}

/// Whether a certificate that is named itself may be like this: valid at this time, but signed by
/// nobody, or as authorities are.
fn is_of_self_signed(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_))
    )
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        match trust.chains.verify_server_cert(end, others, host, ocsp, now) {
            Err(error) if is_host(&error) && !self.check_host => {}
            Err(error) if is_of_self_signed(&error) && trust.named.iter().any(|one| one == end) => {
                self.check_host(end, host)?;
            }
            judged => return judged,
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, end, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, end, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
