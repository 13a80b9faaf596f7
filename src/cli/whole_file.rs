//! Files of the work tree that are replaced whole: a reader meets the old text or the new one.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Writes a text beside the file and renames it. The file keeps its permissions; a new one can be read by everybody.
///
/// # Errors
/// When its folder cannot be written to.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let permissions = path.metadata().map_or_else(|_| Permissions::from_mode(0o644), |found| found.permissions());
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// The folder that a file lies in.
#[must_use]
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
