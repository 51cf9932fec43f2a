//! From settings to TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::SupportedProtocolVersion;
use tokio_rustls::rustls::client::ClientConfig as RustlsConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::error::TlsError;
use super::explain;
use super::pem::{Pem, Store};
use super::verifier::Verifier;
use crate::config::{ClientConfig, ConfigError, HostNameCheck, TlsVersion, keys};
use crate::error::{Error, Result};

/// How this client speaks TLS. Cloning shares the sessions that can be resumed.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// A socket that speaks TLS.
pub(crate) type Stream = Box<TlsStream<TcpStream>>;

type Settings<T> = std::result::Result<T, ConfigError>;

impl Tls {
    /// As the settings have it. Reads the files that they name.
    pub(crate) fn of(config: &ClientConfig) -> Settings<Self> {
        let provider = Arc::new(ring::default_provider());
        let versions: Vec<_> =
            config.get(&keys::SSL_ENABLED_PROTOCOLS).into_iter().map(version).collect();
        let builder = RustlsConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .expect("the provider has both versions, and a setting names at least one");
        let verifier = verifier(config, provider)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let made = match identity(config)? {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = identity.chain.certificates()?;
                let made = builder.with_client_auth_cert(chain, identity.key);
                made.map_err(|error| identity.chain.unusable(&error.to_string()))?
            }
        };
        Ok(Self { connector: Arc::new(made).into() })
    }

    /// Makes a connected socket speak TLS with the broker at this address.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it closes the socket.
    pub(crate) async fn connect(&self, socket: TcpStream, address: &Arc<str>) -> Result<Stream> {
        let failed = |source| Error::Tls { address: Arc::clone(address), source };
        let host = host(address);
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| failed(TlsError::BadHost { host: host.to_owned() }))?;
        match self.connector.connect(name, socket).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(match explain::of_io(&error) {
                Some(why) => failed(why),
                None => {
                    let source = Arc::new(maybe_no_tls(error));
                    Error::Connect { address: Arc::clone(address), source }
                }
            }),
        }
    }
}

/// The same error, and that brokers which do not speak TLS close the connection without a word.
/// Those that are just being stopped do so, too.
fn maybe_no_tls(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => io::Error::new(
            error.kind(),
            "the broker closed the connection where TLS begins; if it does not speak TLS on this \
             port, set `security.protocol` to PLAINTEXT or SASL_PLAINTEXT",
        ),
        _ => error,
    }
}

/// Why reading or writing failed, where it is TLS.
pub(crate) fn of_io(error: &io::Error) -> Option<TlsError> {
    explain::of_io(error)
}

/// The host of `host:port`, as certificates have it.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.')
}

fn version(version: TlsVersion) -> &'static SupportedProtocolVersion {
    match version {
        TlsVersion::Tls12 => &TLS12,
        TlsVersion::Tls13 => &TLS13,
    }
}

fn verifier(config: &ClientConfig, provider: Arc<CryptoProvider>) -> Settings<Verifier> {
    if !config.get(&keys::SSL_VERIFICATION) {
        tracing::warn!("certificates are not verified: anyone can be the broker");
        return Ok(Verifier::of_anything(provider));
    }
    let check_host = config.get(&keys::SSL_ENDPOINT_IDENTIFICATION) == HostNameCheck::Https;
    let (name, trusted) = trusted(config)?;
    let built = Verifier::new(provider, trusted, check_host);
    built.map_err(|error| ConfigError::Unusable { name, reason: error.to_string() })
}

/// Whose certificates are trusted, and which setting says so.
fn trusted(config: &ClientConfig) -> Settings<(&'static str, Vec<CertificateDer<'static>>)> {
    let name = keys::SSL_TRUSTSTORE_CERTIFICATES.name();
    if let Some(text) = config.get(&keys::SSL_TRUSTSTORE_CERTIFICATES) {
        return Ok((name, Pem::given(name, &text).certificates()?));
    }
    let name = keys::SSL_TRUSTSTORE_LOCATION.name();
    let kind = config.get(&keys::SSL_TRUSTSTORE_TYPE);
    match config.get(&keys::SSL_TRUSTSTORE_LOCATION) {
        Some(path) if Path::new(&path).is_dir() => Ok((name, of_folder(name, &path)?)),
        // For librdkafka `probe` is what the system has.
        Some(path) if path != "probe" => {
            Ok((name, Pem::read(name, &path, Store::Trust, kind)?.certificates()?))
        }
        _ => Ok((name, of_system(name)?)),
    }
}

/// The certificates of a folder as OpenSSL has them, in files that are named by their hashes.
fn of_folder(name: &'static str, path: &str) -> Settings<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_certs_from_paths(None, Some(Path::new(path)));
    let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
    if found.certs.is_empty() {
        let reason = format!("{path}: no certificates under names as `openssl rehash` gives{why}");
        return Err(ConfigError::Unusable { name, reason });
    }
    Ok(found.certs)
}

fn of_system(name: &'static str) -> Settings<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
    if found.certs.is_empty() {
        let reason = format!("not set, and the system has no authorities{why}");
        return Err(ConfigError::Unusable { name, reason });
    }
    Ok(found.certs)
}

/// Who the client is to brokers that ask.
struct Identity {
    chain: Pem,
    key: PrivateKeyDer<'static>,
}

fn identity(config: &ClientConfig) -> Settings<Option<Identity>> {
    let named = keys::SSL_KEYSTORE_LOCATION.name();
    let store = config
        .get(&keys::SSL_KEYSTORE_LOCATION)
        .map(|path| Pem::read(named, &path, Store::Key, config.get(&keys::SSL_KEYSTORE_TYPE)));
    if let Some(store) = store.transpose()? {
        let key = store.key()?;
        return Ok(Some(Identity { chain: store, key }));
    }
    let file = |key: &keys::Key<Option<String>>| {
        let path = config.get(key)?;
        Some(Pem::read(key.name(), &path, Store::Key, Default::default()))
    };
    let chain = match config.get(&keys::SSL_KEYSTORE_CERTIFICATE_CHAIN) {
        Some(text) => Some(Pem::given(keys::SSL_KEYSTORE_CERTIFICATE_CHAIN.name(), &text)),
        None => file(&keys::SSL_CERTIFICATE_LOCATION).transpose()?,
    };
    let key = match config.get(&keys::SSL_KEYSTORE_KEY) {
        Some(text) => Some(Pem::given(keys::SSL_KEYSTORE_KEY.name(), text.expose())),
        None => file(&keys::SSL_KEY_LOCATION).transpose()?,
    };
    match (chain, key) {
        (None, None) => Ok(None),
        (Some(chain), Some(key)) => Ok(Some(Identity { chain, key: key.key()? })),
        (None, Some(_)) => Err(ConfigError::Missing {
            name: keys::SSL_CERTIFICATE_LOCATION.name(),
            purpose: "show the certificate that belongs to the key",
        }),
        (Some(_), None) => Err(ConfigError::Missing {
            name: keys::SSL_KEY_LOCATION.name(),
            purpose: "prove that the certificate is this client's",
        }),
    }
}
