use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

/// A piece of a message on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes that lie elsewhere. Only who puts such into a message meets them.
    Lent(Lent),
}

impl Chunk {
    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Lent(lent) => lent.len,
        }
    }

    /// Whether there is not one byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they are in memory.
    #[must_use]
    pub fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Lent(_) => None,
        }
    }
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// Bytes that stay where they lie, in a file say, until they are sent from there. How that is done
/// is between the one who lends and the one who sends.
#[derive(Clone, Debug)]
pub struct Lent {
    len: usize,
    lender: Arc<dyn Any + Send + Sync>,
}

impl Lent {
    /// So many bytes of a lender's.
    #[must_use]
    pub fn new(len: usize, lender: Arc<dyn Any + Send + Sync>) -> Self {
        Self { len, lender }
    }

    /// Who lends them.
    #[must_use]
    pub fn lender(&self) -> &Arc<dyn Any + Send + Sync> {
        &self.lender
    }
}

impl PartialEq for Lent {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && Arc::ptr_eq(&self.lender, &other.lender)
    }
}

impl Eq for Lent {}
