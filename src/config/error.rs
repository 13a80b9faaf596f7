//! What can be wrong with settings and keys. All of these are exit code 2.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::secret::key_ring::KeyError;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Line and column count from 1.
    File {
        file: String,
        line: usize,
        column: usize,
    },
    Variable(&'static str),
}

/// One thing that is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    pub what: String,
    pub suggestion: Option<String>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}", list(.problems))]
    Invalid { problems: Vec<Problem> },
    #[error("cannot read configuration {}: {cause}", .path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("configuration {} is larger than {limit} bytes", .path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("there is no owner's key: neither HONEYCRATE_KEY nor {} exists", .path.as_ref().map_or_else(|| "a key file".to_owned(), |path| path.display().to_string()))]
    KeyMissing { path: Option<PathBuf> },
    #[error("cannot read key file {}: {cause}", .path.display())]
    KeyRead { path: PathBuf, cause: io::Error },
    #[error("key file {} can be read by others (mode {mode:04o})", .path.display())]
    KeyOpen { path: PathBuf, mode: u32 },
    #[error("{from} does not hold the owner's keys: {cause}")]
    Key { from: String, cause: KeyError, looks_like_path: bool },
    #[error("the ledger {} would lie in the git work tree {}, where it could be committed", .path.display(), .work_tree.display())]
    LedgerInWorkTree { path: PathBuf, work_tree: PathBuf },
    #[error("there is no place for the ledger: neither HONEYCRATE_LEDGER, XDG_STATE_HOME nor HOME is set")]
    NoLedgerPlace,
    #[error("`{name}` cannot be an environment's name")]
    EnvironmentName { name: String },
    #[error("no environment is named, and the configuration has several")]
    NoEnvironment { known: Vec<String> },
    #[error("environment `{name}` is not in the configuration")]
    UnknownEnvironment { name: String, suggestion: Option<String>, known: Vec<String> },
}

impl ConfigError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::KeyMissing { .. } => Some("make one with `honeycrate key new`, and keep a copy: without it no trigger can be traced".to_owned()),
            Self::KeyOpen { path, .. } => Some(format!("run `chmod 600 {}`", shell_quoted(&path.display().to_string()))),
            Self::Key { looks_like_path: true, .. } => {
                Some("HONEYCRATE_KEY holds the keys themselves; name a file with HONEYCRATE_KEY_FILE".to_owned())
            }
            Self::Key { .. } => Some("`honeycrate key new` writes a valid key file".to_owned()),
            Self::LedgerInWorkTree { .. } | Self::NoLedgerPlace => {
                Some("name a file outside every work tree with --ledger, HONEYCRATE_LEDGER or `ledger: { path: … }`".to_owned())
            }
            Self::EnvironmentName { .. } => Some("use up to 63 lower-case letters, digits and `-`, for example production".to_owned()),
            Self::NoEnvironment { known } => Some(format!("add --env with one of {}", known.join(", "))),
            Self::Read { .. } => Some("give another file with --config; `honeycrate init` writes one".to_owned()),
            Self::UnknownEnvironment { suggestion: Some(name), .. } => Some(format!("did you mean `{name}`?")),
            Self::UnknownEnvironment { known, .. } if !known.is_empty() => {
                Some(format!("it has {}; add the new one under `environments`", known.join(", ")))
            }
            Self::TooLarge { .. } => Some("is it the right file?".to_owned()),
            _ => None,
        }
    }

    /// Every problem in the settings; empty for the other errors.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        if let Self::Invalid { problems } = self { problems } else { &[] }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)?;
        self.suggestion.as_ref().map_or(Ok(()), |suggestion| write!(f, " ({suggestion})"))
    }
}

/// Problems that are printed; nobody mends more at once.
const MAX_TOLD: usize = 100;

fn list(problems: &[Problem]) -> String {
    let heading = match problems.len() {
        1 => "the configuration has a problem".to_owned(),
        many => format!("the configuration has {many} problems"),
    };
    let told = problems.iter().take(MAX_TOLD).fold(heading, |text, problem| format!("{text}\n  {problem}"));
    let more = problems.len().saturating_sub(MAX_TOLD);
    if more == 0 { told } else { format!("{told}\n  and {more} more") }
}

fn shell_quoted(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
