//! Certificates and keys from files and settings.

use std::fs;

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{ConfigError, StoreType, Value as _};

/// What a Java user does to a store that this client does not read.
const TRUSTSTORE_ADVICE: &str = "this client reads PEM. Export its certificates with `keytool \
    -exportcert -rfc -alias NAME -keystore STORE -file ca.pem`, and set `ssl.truststore.location` \
    to ca.pem and `ssl.truststore.type` to PEM";
const KEYSTORE_ADVICE: &str = "this client reads PEM. Convert it with `keytool -importkeystore \
    -srckeystore STORE -destkeystore store.p12 -deststoretype PKCS12` and `openssl pkcs12 -in \
    store.p12 -nodes -out client.pem`, and set `ssl.keystore.location` to client.pem and \
    `ssl.keystore.type` to PEM";
const KEY_ADVICE: &str = "encrypted keys are not read; decrypt it with `openssl pkcs8 -in KEY \
    -out plain-key.pem`, and see to it that only this program can read that file";

/// What a store is for, which says how it is converted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Store {
    Trust,
    Key,
}

impl Store {
    fn advice(self) -> &'static str {
        match self {
            Self::Trust => TRUSTSTORE_ADVICE,
            Self::Key => KEYSTORE_ADVICE,
        }
    }
}

/// Text that a setting names: told by the setting's name if it cannot be used.
#[derive(Clone)]
pub(super) struct Pem {
    setting: &'static str,
    /// Where it is from, to be read before what is wrong with it.
    origin: String,
    text: String,
}

impl Pem {
    /// What a setting says itself.
    pub(super) fn given(setting: &'static str, text: &str) -> Self {
        Self { setting, origin: String::new(), text: in_lines(text) }
    }

    /// What a file holds.
    pub(super) fn read(
        setting: &'static str,
        path: &str,
        store: Store,
        kind: StoreType,
    ) -> Result<Self, ConfigError> {
        let origin = format!("{path}: ");
        let unusable = |reason: &str| unusable(setting, &origin, reason);
        let bytes = fs::read(path).map_err(|error| unusable(&error.to_string()))?;
        let kind = if kind == StoreType::Pem { kind_of(&bytes) } else { kind };
        if kind != StoreType::Pem {
            let name = kind.print().to_uppercase();
            return Err(unusable(&format!("a {name} store; {}", store.advice())));
        }
        let text = String::from_utf8(bytes).map_err(|_| unusable("it is not PEM"))?;
        Ok(Self { setting, text: in_lines(&text), origin })
    }

    /// All certificates in it; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let read = CertificateDer::pem_slice_iter(self.text.as_bytes());
        let read: Vec<_> = read
            .collect::<Result<_, _>>()
            .map_err(|error| self.unusable(&format!("it is not PEM: {error}")))?;
        if read.is_empty() {
            Err(self.unusable("there is no PEM certificate in it"))
        } else {
            Ok(read)
        }
    }

    /// The first key in it.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, ConfigError> {
        if self.text.contains("ENCRYPTED") {
            return Err(self.unusable(KEY_ADVICE));
        }
        let read = PrivateKeyDer::from_pem_slice(self.text.as_bytes());
        // What the key looks like is nobody's business.
        read.map_err(|_| self.unusable("there is no PEM key in it"))
    }

    pub(super) fn unusable(&self, reason: &str) -> ConfigError {
        unusable(self.setting, &self.origin, reason)
    }
}

fn unusable(name: &'static str, origin: &str, reason: &str) -> ConfigError {
    ConfigError::Unusable { name, reason: format!("{origin}{reason}") }
}

/// What a file is by its first bytes.
fn kind_of(bytes: &[u8]) -> StoreType {
    match bytes {
        [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => StoreType::Jks,
        [0x30, 0x82 | 0x83, ..] => StoreType::Pkcs12,
        _ => StoreType::Pem,
    }
}

/// The same PEM with its lines as they should be: settings often have them joined into one.
fn in_lines(text: &str) -> String {
    if !text.contains("-----BEGIN ") || text.contains("ENCRYPTED") {
        return text.to_owned();
    }
    let mut lines = String::new();
    let mut parts = text.split("-----");
    while let Some(part) = parts.next() {
        let Some(kind) = part.strip_prefix("BEGIN ") else { continue };
        let body = parts.next().unwrap_or_default().split_whitespace();
        let end = parts.next().unwrap_or_default();
        let body: Vec<_> = body.collect();
        lines.push_str(&format!("-----BEGIN {kind}-----\n{}\n-----{end}-----\n", body.join("\n")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, kind: StoreType) -> String {
        let error = Pem::read("ssl.truststore.location", path, Store::Trust, kind).err().unwrap();
        error.to_string()
    }

    #[test]
    fn stores_of_java_are_told_from_pem() {
        let check = |bytes: &[u8], kind, expected: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            let told = told(file.path().to_str().unwrap(), kind);
            assert!(
                told.contains(expected) && told.contains("`ssl.truststore.location`"),
                "{told}"
            );
        };
        check(
            &[0xfe, 0xed, 0xfe, 0xed, 0, 0],
            StoreType::Pem,
            "a JKS store; this client reads PEM",
        );
        check(&[0x30, 0x82, 1, 0], StoreType::Pem, "a PKCS12 store");
        check(b"any", StoreType::Jks, "keytool -exportcert");
        check(&[0xff, 0xff], StoreType::Pem, "it is not PEM");
        assert!(told("/nowhere/ca.pem", StoreType::Pem).contains("/nowhere/ca.pem: No such file"));
    }

    #[test]
    fn pem_may_have_lost_its_lines() {
        let pem = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (pem.cert.pem(), pem.signing_key.serialize_pem());
        for text in [certificate.clone(), certificate.replace('\n', " "), certificate.repeat(2)] {
            let read = Pem::given("x", &text).certificates().unwrap();
            assert_eq!(read[0], *pem.cert.der());
        }
        assert!(Pem::given("x", &key.replace('\n', " ")).key().is_ok());
    }

    #[test]
    fn what_is_no_pem_is_told() {
        let check = |text: &str, certificates: &str, key: &str| {
            let pem = Pem::given("setting", text);
            let error = pem.certificates().unwrap_err().to_string();
            assert!(error.contains(certificates), "{error}");
            let error = pem.key().unwrap_err().to_string();
            assert!(error.contains(key) && error.contains("`setting`"), "{error}");
        };
        check("", "no PEM certificate", "no PEM key");
        check("-----BEGIN CERTIFICATE-----\n?", "not PEM", "no PEM key");
        check("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----", "not PEM", "no PEM key");
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
        check(encrypted, "no PEM certificate", "openssl pkcs8");
    }
}
