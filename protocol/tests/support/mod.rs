//! What the tests of every message share.
#![allow(dead_code, reason = "each test binary uses a part")]

use bytes::Bytes;
use klamm_protocol::api::{AnyRequest, AnyResponse, ApiKey};
use klamm_protocol::wire::{Result, Shape};

pub(crate) mod dice;

use dice::Dice;

/// A kind of message, at one version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) side: Side,
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
}

/// Who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

impl Kind {
    /// Every message at every version.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let versions = |key: &'static ApiKey| key.versions().map(|version| (*key, version));
        ApiKey::ALL.iter().flat_map(versions).flat_map(|(key, version)| {
            [Side::Request, Side::Response].map(|side| Self { side, key, version })
        })
    }

    pub(crate) fn is_flexible(self) -> bool {
        self.key.is_flexible(self.version)
    }

    pub(crate) fn shape(self) -> Shape {
        match self.side {
            Side::Request => AnyRequest::shape(self.key),
            Side::Response => AnyResponse::shape(self.key),
        }
    }

    /// Random messages of this kind, always the same.
    pub(crate) fn samples(self, count: u64) -> impl Iterator<Item = Bytes> {
        (0..count).map(move |seed| self.sample(&mut Dice::new(seed)))
    }

    pub(crate) fn sample(self, dice: &mut Dice) -> Bytes {
        dice.message(self.shape(), self.version, self.is_flexible()).into()
    }

    /// Reads the message and writes it again.
    pub(crate) fn recode(self, body: Bytes) -> Result<Bytes> {
        self.recode_as(self.version, body)
    }

    /// Reads the message and writes it in another version.
    pub(crate) fn recode_as(self, version: i16, body: Bytes) -> Result<Bytes> {
        let encoded = match self.side {
            Side::Request => AnyRequest::decode(self.key, self.version, body)?.encode(version)?,
            Side::Response => AnyResponse::decode(self.key, self.version, body)?.encode(version)?,
        };
        Ok(encoded.into_bytes())
    }
}
