//! A master, and an auxiliary that takes reads off it.

use super::{Found, Kv, Read, Result};

/// What the auxiliary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuxiliaryKind {
    /// A replica of the master's own making, which takes writes for a while: a full
    /// synchronisation undoes them.
    RedisReplica,
    /// A store by itself: it has what is written to it, and nothing else.
    Separate,
}

/// Where something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The store that counts.
    Master,
    /// The one beside it.
    Auxiliary,
}

impl Side {
    /// How it is called in answers and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Auxiliary => "aux",
        }
    }
}

/// A master, whose word counts, and an auxiliary that is asked first.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The store that counts.
    pub master: Kv,
    /// The one that is asked first.
    pub auxiliary: Kv,
    /// What the auxiliary is.
    pub kind: AuxiliaryKind,
}

impl Stores {
    /// Two stores in this process, empty.
    #[must_use]
    pub fn memory() -> Self {
        let (master, auxiliary) = (Kv::memory(), Kv::memory());
        Self { master, auxiliary, kind: AuxiliaryKind::Separate }
    }

    /// Reads from the auxiliary if it answers with what `fits`, otherwise from the master.
    ///
    /// # Errors
    /// Neither answers: what the master said.
    pub async fn read(
        &self,
        reads: &[Read],
        fits: impl Fn(&[Found]) -> bool,
    ) -> Result<(Side, Vec<Found>)> {
        match self.auxiliary.read(reads).await {
            Ok(found) if fits(&found) => Ok((Side::Auxiliary, found)),
            // It lags, or is empty; but it is better than nothing.
            Ok(lagging) => Ok(match self.master.read(reads).await {
                Ok(found) => (Side::Master, found),
                Err(_) => (Side::Auxiliary, lagging),
            }),
            Err(_) => Ok((Side::Master, self.master.read(reads).await?)),
        }
    }

    /// Reads from the master, or from the auxiliary while the master is away.
    ///
    /// # Errors
    /// Neither answers: what the master said.
    pub async fn read_master_first(&self, reads: &[Read]) -> Result<(Side, Vec<Found>)> {
        match self.master.read(reads).await {
            Ok(found) => Ok((Side::Master, found)),
            Err(error) => match self.auxiliary.read(reads).await {
                Ok(found) => Ok((Side::Auxiliary, found)),
                Err(_) => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(aux: Option<&str>, master: Option<&str>, cut: [bool; 2], expected: &str) {
        let stores = Stores::memory();
        for (kv, text) in [(&stores.auxiliary, aux), (&stores.master, master)] {
            if let Some(text) = text {
                kv.put("key", text, None).await.unwrap();
            }
        }
        stores.auxiliary.cut(cut[0]);
        stores.master.cut(cut[1]);
        let reads = [Read::Text("key".into())];
        let read = stores.read(&reads, |found| found != [Found::Text(None)]).await;
        let said = match read {
            Ok((side, found)) => format!("{} {found:?}", side.name()),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected);
    }

    #[tokio::test]
    async fn the_auxiliary_is_read_while_it_fits_and_either_one_while_the_other_is_away() {
        let text = |side: &str, text: &str| format!("{side} [Text(Some({text:?}))]");
        check(Some("a"), Some("m"), [false, false], &text("aux", "a")).await;
        check(None, Some("m"), [false, false], &text("master", "m")).await;
        check(Some("a"), Some("m"), [true, false], &text("master", "m")).await;
        check(Some("a"), Some("m"), [false, true], &text("aux", "a")).await;
        check(None, Some("m"), [false, true], "aux [Text(None)]").await;
        check(Some("a"), Some("m"), [true, true], "the store is cut off").await;
    }
}
