//! What a running demo leaves in its data folder, for those who want to reach it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::control::Instance;

/// How to reach everything, secrets included: only its owner can read the file.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    /// The process that holds all of this together.
    pub pid: u32,
    /// The address of the pages.
    pub url: String,
    /// The address of what is otherwise at `/demo/api`, without a proxy before it.
    pub control: String,
    /// The broker, as `bootstrap.servers`.
    pub kafka: String,
    /// The settings that a service needs to take part: `JWT_SECRET`, the database, Redis.
    pub settings: Vec<(String, String)>,
    /// All that runs.
    pub instances: Vec<Instance>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pid, url, control: _, kafka, instances, settings: _ } = self;
        formatter
            .debug_struct("Record")
            .field("pid", pid)
            .field("url", url)
            .field("kafka", kafka)
            .field("instances", instances)
            .finish_non_exhaustive()
    }
}

/// A data folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`, which need not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder of log files, one for each service.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Takes the folder for this process, and makes it if it is missing. It is free again when the
    /// lock is dropped, however the process ends.
    ///
    /// # Errors
    /// Another process has it.
    pub fn lock(&self) -> anyhow::Result<File> {
        fs::create_dir_all(self.logs())
            .with_context(|| format!("cannot make the folder {}", self.0.display()))?;
        let file = File::create(self.0.join("lock"))?;
        match file.try_lock() {
            // What an earlier demo left tells of processes that are no more.
            Ok(()) => self.forget().map(|()| file).map_err(Into::into),
            Err(TryLockError::WouldBlock) => {
                bail!("a demo runs in {} already: `demo down` ends it", self.0.display())
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    fn forget(&self) -> io::Result<()> {
        match fs::remove_file(self.record_path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn record_path(&self) -> PathBuf {
        self.0.join("run.json")
    }

    /// Whether a demo runs in it.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn is_taken(&self) -> io::Result<bool> {
        match File::open(self.0.join("lock")) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Ok(false),
                Err(TryLockError::WouldBlock) => Ok(true),
                Err(TryLockError::Error(error)) => Err(error),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The text of the file `name`, made by `make` when it is not there.
    ///
    /// # Errors
    /// It can be neither read nor written.
    pub fn keep(&self, name: &str, make: impl FnOnce() -> String) -> io::Result<String> {
        match fs::read_to_string(self.0.join(name)) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = make();
                self.write_for_owner(name, text.as_bytes())?;
                Ok(text)
            }
            Err(error) => Err(error),
        }
    }

    /// What runs here, by the last account of it.
    ///
    /// # Errors
    /// There is none, or the demo that runs here is still starting.
    pub fn record(&self) -> anyhow::Result<Record> {
        let (path, folder) = (self.record_path(), self.0.display());
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
            Err(_) if self.is_taken()? => {
                bail!("the demo in {folder} is starting: try again when it says that it is ready")
            }
            Err(_) => bail!("no demo has run in {folder}"),
        };
        serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Replaces the record at once.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, record: &Record) -> io::Result<()> {
        self.write_for_owner("run.json.new", &serde_json::to_vec_pretty(record)?)?;
        fs::rename(self.0.join("run.json.new"), self.record_path())
    }

    fn write_for_owner(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(self.0.join(name))?.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_that_starts_says_so_and_not_how_the_one_before_was_reached() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().to_owned());
        let why = || folder.record().unwrap_err().to_string();
        assert!(why().starts_with("no demo has run in "));
        let lock = folder.lock().unwrap();
        folder.write(&record()).unwrap();
        drop(lock);
        assert_eq!(folder.record().unwrap().pid, 7);
        let lock = folder.lock().unwrap();
        assert!(why().ends_with(" is starting: try again when it says that it is ready"));
        // Who is refused takes nothing away.
        folder.write(&record()).unwrap();
        assert!(folder.lock().is_err());
        assert_eq!(folder.record().unwrap().pid, 7);
        drop(lock);
    }

    fn record() -> Record {
        Record {
            pid: 7,
            url: "http://localhost:8080".into(),
            control: "http://127.0.0.1:8080/demo/api".into(),
            kafka: "127.0.0.1:9092".into(),
            settings: vec![("JWT_SECRET".to_owned(), "s".to_owned())],
            instances: Vec::new(),
        }
    }

    #[test]
    fn a_folder_has_one_demo_and_remembers() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("demo"));
        assert!(!folder.is_taken().unwrap());
        let lock = folder.lock().unwrap();
        assert!(folder.is_taken().unwrap());
        assert!(folder.lock().is_err());
        drop(lock);
        assert!(!folder.is_taken().unwrap());

        assert!(folder.record().is_err());
        let record = record();
        folder.write(&record).unwrap();
        assert_eq!(folder.record().unwrap().settings, record.settings);
        assert!(!format!("{record:?}").contains("JWT"));
        assert_eq!(folder.keep("secret", || "one".into()).unwrap(), "one");
        assert_eq!(folder.keep("secret", || "two".into()).unwrap(), "one");
    }
}
