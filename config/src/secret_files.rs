//! The files with the secrets of closed swarms.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeValue;

use crate::setting::{Setting, deserialize, quoted};

/// The most files with secrets that one process is given.
pub const MAX_SECRET_FILES: usize = 15;

/// Several swarms were named where there can be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{count} secret files were named: a node takes part in one swarm, and each swarm has a node of its own"
)]
pub struct SeveralSwarms {
    /// How many files were named.
    pub count: usize,
}

/// The files with the secrets of the closed swarms in which a program takes part: one for each swarm, and none where it
/// is of the open swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretFiles(Vec<PathBuf>);

impl SecretFiles {
    /// No file: the open swarm.
    pub const NONE: SecretFiles = SecretFiles(Vec::new());

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The files, in the order in which they were named.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    /// The one file of who takes part in one swarm; `None`: the open one.
    ///
    /// # Errors
    /// When there are several.
    pub fn only(&self) -> Result<Option<&Path>, SeveralSwarms> {
        match &self.0[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            several => Err(SeveralSwarms { count: several.len() }),
        }
    }

    /// For each swarm its file; for the open one none.
    #[must_use]
    pub fn of_each_swarm(&self) -> Vec<SecretFiles> {
        if self.is_empty() {
            return vec![SecretFiles::NONE];
        }
        self.iter().map(SecretFiles::from).collect()
    }

    /// These files, or, where there is none, `others`.
    #[must_use]
    pub fn or(self, others: SecretFiles) -> SecretFiles {
        if self.is_empty() { others } else { self }
    }
}

impl FromIterator<PathBuf> for SecretFiles {
    fn from_iter<I: IntoIterator<Item = PathBuf>>(files: I) -> SecretFiles {
        SecretFiles(files.into_iter().collect())
    }
}

/// Several flags are the files of all of them.
impl FromIterator<SecretFiles> for SecretFiles {
    fn from_iter<I: IntoIterator<Item = SecretFiles>>(files: I) -> SecretFiles {
        files.into_iter().flat_map(|files| files.0).collect()
    }
}

impl From<&Path> for SecretFiles {
    fn from(file: &Path) -> SecretFiles {
        SecretFiles(vec![file.to_owned()])
    }
}

/// A path, or an array of paths.
impl Setting for SecretFiles {
    fn from_value(value: Spanned<DeValue<'_>>) -> Result<SecretFiles, String> {
        if !value.get_ref().is_array() {
            return PathBuf::from_value(value).map(|file| SecretFiles(vec![file]));
        }
        let files: Vec<String> = deserialize(value)?;
        if files.iter().any(String::is_empty) {
            return Err("must not have an empty path in it".to_owned());
        }
        if files.len() > MAX_SECRET_FILES {
            return Err(format!("must name {MAX_SECRET_FILES} files at most, not {}", files.len()));
        }
        Ok(files.into_iter().map(PathBuf::from).collect())
    }

    fn to_toml(&self) -> Option<String> {
        match &self.0[..] {
            [] => None,
            [one] => one.to_toml(),
            several => {
                let files: Option<Vec<&str>> = several.iter().map(|file| file.to_str()).collect();
                files.map(|files| {
                    format!("[{}]", files.into_iter().map(quoted).collect::<Vec<_>>().join(", "))
                })
            }
        }
    }
}
