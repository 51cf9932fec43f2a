//! SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password, and neither says it.
//!
//! As in Kafka there is no channel binding, and text is taken as its UTF-8 bytes: SASLprep is not
//! applied.

use hmac::{Hmac, KeyInit as _, Mac as _};
use klamm_utils::base64;
use sha2::{Digest as _, Sha256, Sha512};

use super::error::AuthenticationError;
use crate::config::Secret;

/// The least that RFC 7677 has.
const ITERATIONS_MIN: u32 = 4096;
/// Kafka's own most is 16384; beyond this a broker only wants to keep us busy.
const ITERATIONS_MAX: u32 = 200_000;
/// No channel binding, no other identity.
const GS2_HEADER: &str = "n,,";

/// Kafka's extension, by which a broker looks for a delegation token and not for a user (KIP-48).
const TOKEN: &str = ",tokenauth=true";

/// The hash of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

/// The client's side of one conversation.
#[derive(Debug)]
pub(super) struct Scram {
    hash: Hash,
    username: String,
    password: Secret,
    is_token: bool,
    nonce: String,
    heard: Heard,
}

#[derive(Debug)]
enum Heard {
    Nothing,
    First(Expected),
    Final,
}

/// How the broker proves that it knows the password.
struct Expected {
    server_key: Vec<u8>,
    auth_message: String,
}

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Expected")
    }
}

impl Scram {
    /// A conversation with a nonce that nobody can foresee. The name and the password may be those
    /// of a delegation token.
    pub(super) fn new(hash: Hash, username: &str, password: &Secret, is_token: bool) -> Self {
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).expect("the system has random numbers");
        Self { is_token, ..Self::with_nonce(hash, username, password, base64::encode(&nonce)) }
    }

    fn with_nonce(hash: Hash, username: &str, password: &Secret, nonce: String) -> Self {
        let username = username.replace('=', "=3D").replace(',', "=2C");
        let (password, heard) = (password.clone(), Heard::Nothing);
        Self { hash, username, password, is_token: false, nonce, heard }
    }

    fn first_bare(&self) -> String {
        let extension = if self.is_token { TOKEN } else { "" };
        format!("n={},r={}{extension}", self.username, self.nonce)
    }

    /// What the client says first.
    pub(super) fn first(&self) -> Vec<u8> {
        format!("{GS2_HEADER}{}", self.first_bare()).into_bytes()
    }

    /// What the client says next; nothing when both have proved themselves.
    pub(super) fn answer(&mut self, heard: &[u8]) -> Result<Option<Vec<u8>>, AuthenticationError> {
        match std::mem::replace(&mut self.heard, Heard::Final) {
            Heard::Nothing => {
                let (answer, expected) = self.prove(heard)?;
                self.heard = Heard::First(expected);
                Ok(Some(answer))
            }
            Heard::First(expected) => self.hash.believe(&expected, heard).map(|()| None),
            Heard::Final => Err(malformed(FINAL, "it comes after the end")),
        }
    }

    /// The proof that answers the broker's first message, and what proves the broker.
    fn prove(&self, heard: &[u8]) -> Result<(Vec<u8>, Expected), AuthenticationError> {
        let text = text(FIRST, heard)?;
        let ServerFirst { nonce, salt, iterations } = ServerFirst::parse(text)?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(malformed(FIRST, "its nonce is not ours with more of its own"));
        }
        let salted = self.hash.salted(self.password.expose(), &salt, iterations);
        let client_key = self.hash.mac(&salted, b"Client Key");
        let without_proof = format!("c={},r={nonce}", base64::encode(GS2_HEADER.as_bytes()));
        let auth_message = format!("{},{text},{without_proof}", self.first_bare());
        let signature = self.hash.mac(&self.hash.digest(&client_key), auth_message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let answer = format!("{without_proof},p={}", base64::encode(&proof));
        let server_key = self.hash.mac(&salted, b"Server Key");
        Ok((answer.into_bytes(), Expected { server_key, auth_message }))
    }
}

const FIRST: &str = "first message";
const FINAL: &str = "final message";

fn malformed(message: &'static str, reason: &'static str) -> AuthenticationError {
    AuthenticationError::Malformed { message, reason }
}

fn text<'a>(message: &'static str, heard: &'a [u8]) -> Result<&'a str, AuthenticationError> {
    std::str::from_utf8(heard).map_err(|_| malformed(message, "it is not UTF-8"))
}

/// What the broker says first.
struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ServerFirst<'a> {
    fn parse(text: &'a str) -> Result<Self, AuthenticationError> {
        if let Some(reason) = text.strip_prefix("e=") {
            return Err(refused(reason));
        }
        // What follows the three is left to extensions, of which a mandatory one would come first.
        let mut attributes = text.split(',');
        let mut attribute = |name: &str| attributes.next()?.strip_prefix(name);
        let nonce = attribute("r=").ok_or(malformed(FIRST, "it has no nonce"))?;
        let salt = attribute("s=").and_then(base64::decode).filter(|salt| !salt.is_empty());
        let salt = salt.ok_or(malformed(FIRST, "it has no salt"))?;
        let given = attribute("i=").and_then(|count| count.parse().ok());
        let given: u64 = given.ok_or(malformed(FIRST, "it has no iteration count"))?;
        let (least, most) = (ITERATIONS_MIN, ITERATIONS_MAX);
        let iterations = u32::try_from(given).ok().filter(|count| (least..=most).contains(count));
        let iterations =
            iterations.ok_or(AuthenticationError::Iterations { given, least, most })?;
        Ok(Self { nonce, salt, iterations })
    }
}

fn refused(reason: &str) -> AuthenticationError {
    AuthenticationError::Refused {
        code: klamm_protocol::error_code::ErrorCode::SASL_AUTHENTICATION_FAILED,
        message: Some(reason.into()),
        hint: None,
    }
}

impl Hash {
    fn believe(self, expected: &Expected, heard: &[u8]) -> Result<(), AuthenticationError> {
        let text = text(FINAL, heard)?;
        if let Some(reason) = text.strip_prefix("e=") {
            return Err(refused(reason));
        }
        let verifier = text.split(',').next().and_then(|first| first.strip_prefix("v="));
        let signature = verifier.and_then(base64::decode);
        let signature = signature.ok_or(malformed(FINAL, "it has no signature"))?;
        let Expected { server_key, auth_message } = expected;
        if self.verifies(server_key, auth_message.as_bytes(), &signature) {
            Ok(())
        } else {
            Err(AuthenticationError::Impostor)
        }
    }

    /// What a password becomes (`Hi` of RFC 5802).
    pub(crate) fn salted(self, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        let password = password.as_bytes();
        match self {
            Self::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec()
            }
            Self::Sha512 => {
                pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec()
            }
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    fn mac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => keyed_256(key).chain_update(message).finalize().into_bytes().to_vec(),
            Self::Sha512 => keyed_512(key).chain_update(message).finalize().into_bytes().to_vec(),
        }
    }

    /// Compares in a time that does not tell where a wrong tag is wrong.
    fn verifies(self, key: &[u8], message: &[u8], tag: &[u8]) -> bool {
        match self {
            Self::Sha256 => keyed_256(key).chain_update(message).verify_slice(tag).is_ok(),
            Self::Sha512 => keyed_512(key).chain_update(message).verify_slice(tag).is_ok(),
        }
    }
}

const ANY_LENGTH: &str = "HMAC takes keys of any length";

fn keyed_256(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect(ANY_LENGTH)
}

fn keyed_512(key: &[u8]) -> Hmac<Sha512> {
    Hmac::new_from_slice(key).expect(ANY_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    /// RFC 7677, section 3.
    const RFC_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                             s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const RFC_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn scram(hash: Hash, username: &str, password: &str, nonce: &str) -> Scram {
        Scram::with_nonce(hash, username, &password.into(), nonce.to_owned())
    }

    /// A whole conversation: what the broker says, and what the client must.
    fn check(mut client: Scram, ours: [&str; 2], theirs: [&str; 2]) {
        assert_eq!(client.first(), ours[0].as_bytes());
        let answer = client.answer(theirs[0].as_bytes()).unwrap().unwrap();
        assert_eq!(std::str::from_utf8(&answer).unwrap(), ours[1]);
        assert_eq!(client.answer(theirs[1].as_bytes()).unwrap(), None);
        assert!(client.answer(theirs[1].as_bytes()).is_err());
    }

    #[test]
    fn the_conversation_of_rfc_7677_holds() {
        let proof = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                     p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let client = scram(Hash::Sha256, "user", "pencil", NONCE);
        check(client, [first, proof], [RFC_FIRST, RFC_FINAL]);
    }

    /// The RFCs have none for SHA-512: these come from Python's hashlib.
    #[test]
    fn conversations_of_another_implementation_hold() {
        check(
            scram(Hash::Sha512, "user", "pencil", NONCE),
            [
                "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO02b22c68-1ed6-4b4f-9a0e-5a8e8d9c7f10,\
                 p=RpVnEszGsCrVRy4A9WSJ+JWjdM1U/G/VYVVmKTBtiI61NJnWuiApftdAmZp1yx2uQ453z25pq46Oil23RJZvqA==",
            ],
            [
                "r=rOprNGfwEbeRWgbNEkqO02b22c68-1ed6-4b4f-9a0e-5a8e8d9c7f10,\
                 s=Yin2FuHTt/M0kJWb0t9OI32n2VmOGi3m+JfjOvuDF88=,i=4096",
                "v=8YHxVKnKjn+K8swJUYeXAdn4jdt/kUgZHbjt++y9zN+A/VtQn0CEmWtt2PE822yrNQBIyR5VWAvinx0d6sRuxg==",
            ],
        );
        check(
            scram(Hash::Sha256, "a=b,c", "pässword", "0123456789abcdef"),
            [
                "n,,n=a=3Db=2Cc,r=0123456789abcdef",
                "c=biws,r=0123456789abcdefXYZ,p=hn/hutx3Wvwzp43JVHaTWGsfdYjE8UaC6emLhB/EXKM=",
            ],
            [
                "r=0123456789abcdefXYZ,s=c2FsdHNhbHRzYWx0,i=8192",
                "v=eP+3cXRfYkfD3tKPBgqnYH5u4bmG2/XflwDQ7mu3/FU=",
            ],
        );
    }

    /// The proof comes from Python's hashlib.
    #[test]
    fn the_extension_of_tokens_is_part_of_what_is_proved() {
        let client = scram(Hash::Sha256, "user", "pencil", NONCE);
        check(
            Scram { is_token: true, ..client },
            [
                "n,,n=user,r=rOprNGfwEbeRWgbNEkqO,tokenauth=true",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=xrt7QLC27If+yCZ8tl7Arjdh2LzbxDoYIVOtWUkqn3w=",
            ],
            [RFC_FIRST, "v=wd2QaUOhFVV12I4FjBHC9GczfNvvSFFqpFU23bW5PvE="],
        );
    }

    #[test]
    fn what_a_broker_must_not_say_is_refused() {
        let check = |first: &str, told: &str| {
            let mut client = scram(Hash::Sha256, "user", "pencil", NONCE);
            let error = client.answer(first.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told), "{first}: {error}");
        };
        let salted = "s=W22ZaJ0SNY7soEsUEjb6gQ==";
        check(&RFC_FIRST.replace("i=4096", "i=4095"), "4095 is not between 4096 and 200000");
        check(&RFC_FIRST.replace("i=4096", "i=99999999999"), "99999999999 is not between");
        check(&RFC_FIRST.replace("i=4096", "i=-1"), "no iteration count");
        check(&RFC_FIRST.replace(salted, "s="), "no salt");
        check(&RFC_FIRST.replace(salted, "s=?"), "no salt");
        check(&format!("r={NONCE},{salted},i=4096"), "nonce is not ours");
        check(&format!("r=other,{salted},i=4096"), "nonce is not ours");
        check("m=must,r=a,s=b,i=4096", "no nonce");
        check("", "no nonce");
        check("e=unknown-user", "it says \"unknown-user\"");
    }

    #[test]
    fn the_broker_must_prove_itself() {
        let check = |last: &str, told: &str| {
            let mut client = scram(Hash::Sha256, "user", "pencil", NONCE);
            client.answer(RFC_FIRST.as_bytes()).unwrap();
            let error = client.answer(last.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told), "{last}: {error}");
        };
        check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "no signature");
        check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95GY=", "an impostor");
        check("v=", "an impostor");
        check("", "no signature");
        check("e=invalid-proof", "it says \"invalid-proof\"");
    }

    #[test]
    fn nonces_differ_and_nothing_secret_is_shown() {
        let one = Scram::new(Hash::Sha256, "user", &"pencil".into(), false);
        let other = Scram::new(Hash::Sha256, "user", &"pencil".into(), false);
        assert_ne!(one.nonce, other.nonce);
        assert!(!one.nonce.contains(',') && !format!("{one:?}").contains("pencil"));
    }
}
