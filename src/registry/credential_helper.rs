//! Docker's credential helpers: programs that keep passwords outside of files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::registry::credential::Credential;
use crate::registry::error::plain;

/// A helper that takes longer is ended.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// A helper that says more is not listened to.
const MAX_ANSWER: u64 = 64 << 10;

/// Our own secrets in the environment, which are no business of any other program's.
pub const WITHHELD: [&str; 9] = [
    "HONEYCRATE_KEY",
    "HONEYCRATE_LEDGER",
    "HONEYCRATE_REGISTRY_PASSWORD",
    "HONEYCRATE_WEBHOOK_URL",
    "HONEYCRATE_GITLAB_TOKEN",
    "HONEYCRATE_GITGUARDIAN_TOKEN",
    "HONEYCRATE_CANARYTOKENS_WEBHOOK",
    "HONEYCRATE_THINKST_FACTORY",
    "HONEYCRATE_THINKST_KEY",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    secret: String,
}

/// Asks `docker-credential-<name>` for the credential of a server. `None` where the helper has none.
///
/// Source: docker/docker-credential-helpers, "Development": the `get` command.
///
/// # Errors
/// Why the helper could not be asked; never what it said on its output.
pub async fn get(name: &str, server: &str, search_path: &str) -> Result<Option<Credential>, String> {
    let program = program(name, search_path)?;
    let failed = |why: &str| format!("{} {why}", program.display());
    let work = async {
        let mut command = Command::new(&program);
        command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        WITHHELD.iter().for_each(|name| _ = command.env_remove(name));
        let mut child = command.spawn().map_err(|cause| failed(&format!("cannot be run: {cause}")))?;
        if let Some(mut input) = child.stdin.take() {
            // A helper that needs no input may be gone already.
            let _ = input.write_all(server.as_bytes()).await;
        }
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_ANSWER + 1).read_to_end(&mut output).await.map_err(|cause| failed(&format!("cannot be read: {cause}")))?;
        }
        if output.len() as u64 > MAX_ANSWER {
            return Err(failed("says more than 64 KiB"));
        }
        let status = child.wait().await.map_err(|cause| failed(&format!("cannot be waited for: {cause}")))?;
        if !status.success() {
            let text = String::from_utf8_lossy(&output);
            return if text.contains("credentials not found") { Ok(None) } else { Err(failed(&format!("failed ({status}) for {}", plain(server)))) };
        }
        let answer: Answer = serde_json::from_slice(&output).map_err(|_| failed("does not answer with a user and a secret"))?;
        Ok(Some(Credential::of_pair(answer.username, answer.secret)))
    };
    tokio::time::timeout(TIME_LIMIT, work).await.unwrap_or_else(|_| Err(failed("did not answer in 10 seconds")))
}

/// The helper's absolute path. Relative parts of the search path are left out: they would run what lies in the working directory.
fn program(name: &str, search_path: &str) -> Result<PathBuf, String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err(format!("`{}` is not the name of a credential helper", plain(name)));
    }
    let file = format!("docker-credential-{name}");
    let runnable = |path: &PathBuf| path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
    let directories = search_path.split(':').map(Path::new).filter(|directory| directory.is_absolute());
    directories.map(|directory| directory.join(&file)).find(runnable).ok_or_else(|| format!("{file} is not on PATH"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::value::Secret;

    fn helper(script: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("docker-credential-test");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a scratch file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a scratch file");
        directory
    }

    async fn ask(script: &str) -> Result<Option<Credential>, String> {
        let directory = helper(script);
        get("test", "r.io", &format!("relative:{}", directory.path().display())).await
    }

    #[tokio::test]
    async fn a_helper_is_told_the_server_and_answers_with_a_pair() {
        let found = ask(r#"read server; echo "{\"ServerURL\":\"$server\",\"Username\":\"$server-user\",\"Secret\":\"s\"}""#).await;
        let expected = Credential::Password { user: "r.io-user".to_owned(), password: Secret::new("s".to_owned()) };
        assert_eq!(found, Ok(Some(expected)));
        assert!(matches!(ask(r#"echo '{"Username":"<token>","Secret":"s"}'"#).await, Ok(Some(Credential::Identity(_)))));
    }

    #[tokio::test]
    async fn having_nothing_is_no_trouble_but_junk_is() {
        assert_eq!(ask("echo credentials not found in native keychain; exit 1").await, Ok(None));
        assert!(ask("echo hush-hush; exit 1").await.is_err_and(|why| !why.contains("hush")));
        assert!(ask("echo '[1'").await.is_err());
        assert!(ask("head -c 100000 /dev/zero").await.is_err_and(|why| why.contains("64 KiB")));
    }

    #[tokio::test]
    async fn only_names_on_the_absolute_search_path_are_run() {
        assert!(get("../evil", "r.io", "/bin").await.is_err());
        assert!(get("none", "r.io", ".:/nonexistent").await.is_err_and(|why| why.contains("not on PATH")));
    }
}
