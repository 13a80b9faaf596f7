//! The owner's keys, from `HONEYCRATE_KEY` or the key file.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::config::error::ConfigError;
use crate::config::resolve::Settings;
use crate::secret::key_ring::KeyRing;

/// All 511 epochs fit in a tenth of this.
const MAX_BYTES: u64 = 256 << 10;

/// Loads the owner's keys; the variable goes before the file.
///
/// # Errors
/// When there are none, they cannot be read, or others can read their file.
pub fn key_ring(settings: &Settings) -> Result<KeyRing, ConfigError> {
    if let Some(key) = &settings.key {
        let looks_like_path = key.expose().starts_with(['/', '.', '~']);
        return KeyRing::parse(key.expose()).map_err(|cause| ConfigError::Key { from: "HONEYCRATE_KEY".to_owned(), cause, looks_like_path });
    }
    let Some(path) = &settings.key_file else { return Err(ConfigError::KeyMissing { path: None }) };
    let text = match read(path) {
        Err(ConfigError::KeyRead { path, cause }) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(ConfigError::KeyMissing { path: Some(path) });
        }
        text => text?,
    };
    KeyRing::parse(&text).map_err(|cause| ConfigError::Key { from: format!("key file {}", path.display()), cause, looks_like_path: false })
}

fn read(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let failed = |cause| ConfigError::KeyRead { path: path.to_owned(), cause };
    let file = File::open(path).map_err(failed)?;
    // Asked of the open file: a path could have become another one meanwhile.
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("it is not a regular file")));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(ConfigError::KeyOpen { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(4096));
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::file::Vocabulary;
    use crate::config::resolve::{Overrides, resolve};
    use crate::config::vars::{self, Variables};

    fn settings(variables: &Variables, key_file: &Path) -> Settings {
        let overrides = Overrides { key_file: Some(key_file.to_owned()), ..Overrides::default() };
        resolve(overrides, variables, Path::new("/nowhere"), &Vocabulary::default()).expect("valid")
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused_with_the_remedy() {
        let directory = tempfile::tempdir().expect("scratch");
        let path = directory.path().join("key");
        fs::write(&path, KeyRing::new([7; 32]).to_text().as_bytes()).expect("write");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("chmod");
        let error = key_ring(&settings(&Variables::default(), &path)).expect_err("open to the group");
        assert!(error.to_string().contains("mode 0640"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.starts_with("run `chmod 600 ")));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("chmod");
        assert_eq!(key_ring(&settings(&Variables::default(), &path)).expect("closed").newest().epoch(), 1);
    }

    #[test]
    fn the_variable_goes_before_the_file() {
        let two = KeyRing::new([1; 32]).rotated([2; 32]).expect("epochs left");
        let mut variables = Variables::default();
        variables.set(vars::HONEYCRATE_KEY, two.to_text().replace('\n', ","));
        assert_eq!(key_ring(&settings(&variables, Path::new("/nowhere/key"))).expect("a ring").newest().epoch(), 2);
    }

    #[test]
    fn a_missing_key_names_the_command_that_makes_one() {
        let error = key_ring(&settings(&Variables::default(), Path::new("/nowhere/key"))).expect_err("missing");
        assert!(error.hint().is_some_and(|hint| hint.contains("`honeycrate key new`")), "{error}");
    }

    #[test]
    fn a_path_in_the_variable_is_recognised_and_not_printed() {
        let mut variables = Variables::default();
        variables.set(vars::HONEYCRATE_KEY, "/run/hidden/key".to_owned());
        let error = key_ring(&settings(&variables, Path::new("/nowhere/key"))).expect_err("no key");
        assert!(!error.to_string().contains("hidden"));
        assert!(error.hint().is_some_and(|hint| hint.contains("HONEYCRATE_KEY_FILE")));
    }
}
