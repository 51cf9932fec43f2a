//! OAUTHBEARER (RFC 7628): a token, and what is told beside it.

use klamm_protocol::error_code::ErrorCode;

use super::error::AuthenticationError;
use super::token::{BearerToken, expired_since, unix_time};

/// The client's side of one conversation.
#[derive(Debug)]
pub(super) struct Bearer {
    token: BearerToken,
    /// Whether the broker has told what it does not like.
    refused: bool,
}

impl Bearer {
    /// A conversation with this token, if the mechanism can say it.
    pub(super) fn new(token: BearerToken) -> Result<Self, AuthenticationError> {
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let text = token.text.expose();
        if text.is_empty() || !visible(text) {
            return Err(AuthenticationError::Unsayable("token"));
        }
        let sayable = |(name, value): (&String, &String)| {
            let letters = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
            // `auth` is what the token goes by.
            letters && name != "auth" && !value.contains(|c: char| c.is_control() && c != '\t')
        };
        if !token.extensions.iter().all(sayable) {
            return Err(AuthenticationError::Unsayable("token's extensions"));
        }
        Ok(Self { token, refused: false })
    }

    /// What the client says first.
    pub(super) fn first(&self) -> Vec<u8> {
        let mut text = format!("n,,\x01auth=Bearer {}", self.token.text.expose());
        for (name, value) in &self.token.extensions {
            text = format!("{text}\x01{name}={value}");
        }
        (text + "\x01\x01").into_bytes()
    }

    /// What the client says next: nothing if the broker is content; what it is not content with it
    /// tells once the client has said that it has understood.
    pub(super) fn answer(&mut self, heard: &[u8]) -> Result<Option<Vec<u8>>, AuthenticationError> {
        if self.refused {
            let (message, reason) = ("second answer", "it has refused the token, and goes on");
            return Err(AuthenticationError::Malformed { message, reason });
        }
        self.refused = !heard.is_empty();
        Ok(self.refused.then(|| b"\x01".to_vec()))
    }

    /// The same refusal, and what may be the reason for it.
    pub(super) fn explain(&self, code: ErrorCode) -> Option<String> {
        let ended = expired_since(self.token.text.expose(), unix_time())?;
        (code == ErrorCode::SASL_AUTHENTICATION_FAILED)
            .then(|| format!("the token expired {} s ago", ended.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_the_rfc_is_said() {
        let token = BearerToken::new("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")
            .extension("host", "server.example.com")
            .extension("port", "143");
        let mut bearer = Bearer::new(token).unwrap();
        let first = bearer.first();
        let expected = "n,,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\
                        \x01host=server.example.com\x01port=143\x01\x01";
        assert_eq!(std::str::from_utf8(&first).unwrap(), expected);
        assert_eq!(bearer.answer(b"").unwrap(), None);
    }

    #[test]
    fn a_broker_that_has_refused_has_nothing_but_an_error_to_say() {
        for then in [&b""[..], b"{}"] {
            let mut bearer = Bearer::new(BearerToken::new("old")).unwrap();
            let next = bearer.answer(b"{\"status\":\"invalid_token\"}").unwrap();
            assert_eq!(next.unwrap(), b"\x01");
            let error = bearer.answer(then).unwrap_err();
            assert!(error.to_string().contains("has refused the token") && !error.is_retriable());
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let check = |token: BearerToken| assert!(Bearer::new(token).is_err());
        check(BearerToken::new(""));
        check(BearerToken::new("a b"));
        check(BearerToken::new("a\x01b"));
        check(BearerToken::new("a").extension("auth", "x"));
        check(BearerToken::new("a").extension("", "x"));
        check(BearerToken::new("a").extension("name", "x\x01y"));
    }
}
