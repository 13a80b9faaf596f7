//! Names and places that SDKs, tools and servers read by themselves: bait there would break the application or fire itself.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::image::entry::split;
use crate::image::file_tree::FileTree;
use crate::oci::config::ImageConfig;

/// One row of the table: who reads what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    pub consumer: String,
    /// Names, `*` for any characters; letter case does not count.
    pub env: Vec<String>,
    /// `~/` and `./` mean any directory; a trailing `/` means all below.
    pub paths: Vec<String>,
    pub breaks: String,
    /// Names and paths that look as good and are read by nobody.
    pub instead: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Places {
    include: Vec<String>,
    web: Vec<String>,
    library: Vec<String>,
    databases: Vec<Database>,
    commands: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Database {
    name: String,
    /// Names of its images, without registry and tag.
    images: Vec<String>,
    /// Variables that only its images have.
    marks: Vec<String>,
}

/// Why a name or place is no place for bait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("variable `{name}` is read by {consumer}: {breaks}")]
    AutoReadName { name: String, consumer: &'static str, breaks: &'static str, instead: &'static [String] },
    #[error("file /{path} is read by {consumer}: {breaks}")]
    AutoReadPath { path: String, consumer: &'static str, breaks: &'static str, instead: &'static [String] },
    #[error("variable `{name}` exists already; its value would change")]
    ExistingKey { name: String },
    #[error("/{path} exists already in some layer; it would be overwritten or a real leak would be hidden")]
    ExistingPath { path: String },
    #[error("/{path} is named by the image itself ({by}), so something reads it")]
    Referenced { path: String, by: String },
    #[error("/{link} on the way to /{path} is a symlink; the file would land elsewhere or replace it")]
    Symlink { path: String, link: String },
    #[error("/{obstacle} on the way to /{path} is not a directory and would be replaced by one")]
    NotADirectory { path: String, obstacle: String },
    #[error("/{path} lies in an include directory ({directory}), whose files are read, run or loaded")]
    IncludeDirectory { path: String, directory: &'static str },
    #[error("/{path} lies in a web root ({directory}), whose files are served to everybody")]
    WebRoot { path: String, directory: &'static str },
    #[error("/{path} lies in {directory}, which belongs to packages, the runtime or temporary files")]
    Library { path: String, directory: &'static str },
    #[error("/{path} lies below the declared volume {volume}, which a mount hides or copies")]
    Volume { path: String, volume: String },
    #[error("the image is an official {database} image (it has `{mark}`), whose entrypoint acts on variables")]
    DatabaseImage { database: &'static str, mark: String },
    #[error("the image is for Windows, whose layers keep files in another form")]
    Windows,
    #[error("the image's builder writes no build arguments into the history, so none could have leaked")]
    NoArguments,
    #[error("layers of the image ({layers}) were not read, as they lie elsewhere; a file of that name may be in them")]
    Unread { layers: usize },
    #[error("the image has no history")]
    NoHistory,
    #[error("the image's history is out of step with its layers, so nothing can be told of a new one")]
    OddHistory,
    #[error("the image has no shell and its history no command, so nothing could have deleted a file")]
    NoShell,
    #[error("the image is put together of parts and nothing in it is deleted, so a file that is would show")]
    NoDeletions,
    #[error("the image has {layers} layers, this takes {wanted} more, and Docker mounts {limit} at most")]
    Layers { layers: usize, wanted: usize, limit: usize },
    #[error("`{text}` is not {wanted}")]
    Malformed { text: String, wanted: &'static str },
}

impl Refusal {
    /// What to do instead.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::AutoReadName { instead, .. } | Self::AutoReadPath { instead, .. } if !instead.is_empty() => {
                format!("choose a name that nobody reads, for example {}", instead.join(", "))
            }
            Self::AutoReadName { .. } | Self::ExistingKey { .. } => "choose another variable name".to_owned(),
            Self::AutoReadPath { .. } | Self::ExistingPath { .. } | Self::Referenced { .. } => "choose another path".to_owned(),
            Self::Symlink { .. } => "give the path that the link leads to".to_owned(),
            Self::NotADirectory { .. } => "choose a path whose directories exist, or do not exist at all".to_owned(),
            Self::IncludeDirectory { .. } | Self::WebRoot { .. } | Self::Library { .. } | Self::Volume { .. } => {
                "choose a path beside the application, or below /opt, /srv or a home directory".to_owned()
            }
            Self::DatabaseImage { .. } => "use the file, buried or history surface for this image".to_owned(),
            Self::Windows => "use the env or history surface for this image".to_owned(),
            Self::NoArguments | Self::NoHistory | Self::OddHistory => "use another surface for this image".to_owned(),
            Self::Unread { .. } => "use the env or history surface for this image".to_owned(),
            Self::NoShell | Self::NoDeletions => "use the file or env surface for this image".to_owned(),
            Self::Layers { .. } => "build the image with fewer layers, or use the env or history surface".to_owned(),
            Self::Malformed { wanted, .. } => format!("write {wanted}"),
        }
    }
}

/// The table of consumers.
///
/// # Panics
/// Never: a test reads it.
pub static CONSUMERS: LazyLock<Vec<Consumer>> = LazyLock::new(|| serde_yaml::from_str(include_str!("danger.yaml")).expect("a test reads the table"));

static PLACES: LazyLock<Places> = LazyLock::new(|| serde_yaml::from_str(include_str!("danger_places.yaml")).expect("a test reads the table"));

/// Why `name` cannot become a variable of this image. `None` when nothing speaks against it.
#[must_use]
pub fn refuse_env(name: &str, config: &ImageConfig) -> Option<Refusal> {
    refuse_database(config).or_else(|| refuse_name(name, config.env.iter().map(|line| line.split_once('=').map_or(line.as_str(), |(name, _)| name))))
}

/// The same for a name beside `existing` names, where no image is at hand.
pub fn refuse_name<'a>(name: &str, mut existing: impl Iterator<Item = &'a str>) -> Option<Refusal> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || name.len() > 128 || !name.bytes().all(letter) || name.as_bytes()[0].is_ascii_digit() {
        let text = name.chars().take(128).collect();
        return Some(Refusal::Malformed { text, wanted: "a variable name of letters, digits and underscores" });
    }
    for row in CONSUMERS.iter() {
        if row.env.iter().any(|pattern| matches(pattern, name)) {
            let (consumer, breaks) = (row.consumer.as_str(), row.breaks.as_str());
            return Some(Refusal::AutoReadName { name: name.to_owned(), consumer, breaks, instead: &row.instead });
        }
    }
    existing.any(|other| other.eq_ignore_ascii_case(name)).then(|| Refusal::ExistingKey { name: name.to_owned() })
}

/// Whether the image is a database's own, where variables set passwords.
#[must_use]
pub fn refuse_database(config: &ImageConfig) -> Option<Refusal> {
    for database in &PLACES.databases {
        if let Some(mark) = database.marks.iter().find(|mark| config.env_value(mark).is_some()) {
            return Some(Refusal::DatabaseImage { database: &database.name, mark: mark.clone() });
        }
    }
    let words = config.entrypoint.iter().chain(&config.cmd);
    let mut programs = words.map(|word| word.rsplit('/').next().unwrap_or_default());
    let program = programs.find(|program| PLACES.commands.iter().any(|command| command == program))?;
    Some(Refusal::DatabaseImage { database: "database", mark: program.to_owned() })
}

/// Whether a base image's name is that of an official database image.
#[must_use]
pub fn refuse_base(reference: &str) -> Option<Refusal> {
    let last = reference.rsplit('/').next().unwrap_or_default();
    let name = last.split(['@', ':']).next().unwrap_or_default();
    let database = PLACES.databases.iter().find(|database| database.images.iter().any(|image| image.eq_ignore_ascii_case(name)))?;
    Some(Refusal::DatabaseImage { database: &database.name, mark: reference.to_owned() })
}

/// Why no file can be put at `path` (relative to the root, as in [`crate::image::entry::Entry::path`]).
///
/// A `buried` file is deleted or replaced by a later layer: no container sees it, so the names that tools read are no danger.
#[must_use]
pub fn refuse_path(path: &[u8], buried: bool, tree: &FileTree, config: &ImageConfig) -> Option<Refusal> {
    if config.platform.os == "windows" {
        return Some(Refusal::Windows);
    }
    if tree.unread() > 0 {
        return Some(Refusal::Unread { layers: tree.unread() });
    }
    let shown = String::from_utf8_lossy(path).into_owned();
    let odd = |part: &[u8]| part.is_empty() || part == b"." || part == b".." || part.starts_with(b".wh.") || part.iter().any(u8::is_ascii_control);
    if path.is_empty() || path.len() > 255 || !path.is_ascii() || path.split(|byte| *byte == b'/').any(odd) {
        return Some(Refusal::Malformed { text: shown.chars().take(255).collect(), wanted: "an absolute path of plain characters" });
    }
    refuse_place(&shown, buried, config).or_else(|| {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if let Some(link) = tree.symlink_on_the_way(path) {
            return Some(Refusal::Symlink { path: shown.clone(), link: text(link) });
        }
        if let Some(obstacle) = tree.obstacle_on_the_way(path) {
            return Some(Refusal::NotADirectory { path: shown.clone(), obstacle: text(obstacle) });
        }
        tree.ever_existed(path).then(|| Refusal::ExistingPath { path: shown.clone() })
    })
}

/// Why no file can be put at `path` whatever the image holds there. For a `buried` one, see [`refuse_path`].
#[must_use]
pub fn refuse_place(path: &str, buried: bool, config: &ImageConfig) -> Option<Refusal> {
    let owned = || path.to_owned();
    if !buried {
        for row in CONSUMERS.iter() {
            if row.paths.iter().any(|pattern| covers(pattern, path)) {
                let (consumer, breaks) = (row.consumer.as_str(), row.breaks.as_str());
                return Some(Refusal::AutoReadPath { path: owned(), consumer, breaks, instead: &row.instead });
            }
        }
    }
    let (directory, _) = split(path.as_bytes());
    let directory = String::from_utf8_lossy(directory);
    let within = |places: &'static [String]| places.iter().map(String::as_str).find(|place| contains(place, &directory));
    if let Some(directory) = within(&PLACES.include) {
        return Some(Refusal::IncludeDirectory { path: owned(), directory });
    }
    if let Some(directory) = within(&PLACES.web) {
        return Some(Refusal::WebRoot { path: owned(), directory });
    }
    if let Some(directory) = within(&PLACES.library) {
        return Some(Refusal::Library { path: owned(), directory });
    }
    let below = |volume: &str| path == volume || path.strip_prefix(volume).is_some_and(|rest| volume.is_empty() || rest.starts_with('/'));
    if let Some(volume) = config.volumes.iter().find(|volume| below(volume.trim_matches('/'))) {
        return Some(Refusal::Volume { path: owned(), volume: volume.clone() });
    }
    let absolute = format!("/{path}");
    let named = |text: &str| {
        text.match_indices(&absolute).any(|(at, _)| !text[at + absolute.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '.' || c == '-'))
    };
    if let Some(line) = config.env.iter().find(|line| named(line)) {
        let by = format!("variable `{}`", line.split('=').next().unwrap_or_default());
        return Some(Refusal::Referenced { path: owned(), by });
    }
    let words = config.entrypoint.iter().chain(&config.cmd).chain(&config.healthcheck);
    words.into_iter().any(|word| named(word)).then(|| Refusal::Referenced { path: owned(), by: "its command".to_owned() })
}

/// A name against a pattern with `*`, letter case aside.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_uppercase(), name.to_ascii_uppercase());
    match pattern.split_once('*') {
        Some((start, end)) => name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end),
        None => pattern == name,
    }
}

/// A path against a pattern of the table, letter case aside.
fn covers(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.to_ascii_lowercase(), format!("/{}", path.to_ascii_lowercase()));
    let anywhere = pattern.strip_prefix("~/").or_else(|| pattern.strip_prefix("./"));
    match (anywhere, pattern.ends_with('/')) {
        (Some(tail), true) => path.contains(&format!("/{tail}")),
        (Some(tail), false) => path.ends_with(&format!("/{tail}")),
        (None, true) => path.starts_with(&pattern),
        (None, false) => path == pattern,
    }
}

/// Whether `directory` (no slash at its ends) is, or lies in, a place of the table.
fn contains(place: &str, directory: &str) -> bool {
    let directory = format!("/{}/", directory.to_ascii_lowercase());
    match place.strip_prefix('/') {
        Some(_) => directory.starts_with(&format!("{place}/")),
        None => directory.contains(&format!("/{place}/")),
    }
}

#[cfg(test)]
pub(in crate::bait) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bait::kinds::KINDS;
    use crate::image::entry::{Entry, EntryKind};
    use crate::image::listing_builder::ListingBuilder;

    pub(in crate::bait) fn config(members: &str) -> ImageConfig {
        let text = format!(r#"{{"os":"linux","architecture":"amd64","config":{{{members}}},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#);
        ImageConfig::parse(text.as_bytes()).expect("valid")
    }

    pub(in crate::bait) fn tree(entries: &[(&str, EntryKind)]) -> FileTree {
        let mut builder = ListingBuilder::default();
        for (path, kind) in entries {
            let (mode, mtime) = (if *kind == EntryKind::Directory { 0o755 } else { 0o644 }, 1_780_000_000);
            assert!(builder.push(&Entry {
                path: path.as_bytes().to_vec(),
                kind: *kind,
                size: u64::from(*kind == EntryKind::File),
                mode,
                uid: 0,
                gid: 0,
                mtime,
                link: b"run".to_vec()
            }));
        }
        FileTree::new(vec![Arc::new(builder.finish())])
    }

    fn refused(path: &str, members: &str) -> Option<Refusal> {
        let tree = tree(&[("app", EntryKind::Directory), ("app/main.py", EntryKind::File), ("var/run", EntryKind::Symlink)]);
        refuse_path(path.as_bytes(), false, &tree, &config(members))
    }

    #[test]
    fn the_tables_are_read_and_complete() {
        assert!(CONSUMERS.len() > 20 && CONSUMERS.iter().all(|row| !row.breaks.is_empty() && !row.consumer.is_empty()));
        assert!(PLACES.databases.len() > 5);
        for row in CONSUMERS.iter() {
            assert!(row.paths.iter().all(|path| path.starts_with(['~', '.', '/'])), "{}", row.consumer);
        }
    }

    #[test]
    fn names_that_tools_read_are_refused() {
        let config = config("");
        for name in [
            "AWS_ACCESS_KEY_ID",
            "npm_config_registry",
            "PIP_INDEX_URL",
            "KUBECONFIG",
            "DATABASE_URL",
            "POSTGRES_PASSWORD",
            "VAULT_TOKEN",
            "LD_PRELOAD",
            "OPENSSL_CONF",
            "TNS_ADMIN",
            "GUNICORN_CMD_ARGS",
            "SERVER_PORT",
            "PWD",
            "STRIPE_API_KEY",
        ] {
            let refusal = refuse_env(name, &config).expect(name);
            assert!(matches!(refusal, Refusal::AutoReadName { .. }) && !refusal.hint().is_empty(), "{refusal}");
        }
        for name in ["BACKUP_AWS_ACCESS_KEY_ID", "REPORTING_DB_URL", "DR_VAULT_TOKEN", "RELEASE_NPM_TOKEN"] {
            assert_eq!(refuse_env(name, &config), None, "{name}");
        }
        assert!(matches!(refuse_env("A=B", &config), Some(Refusal::Malformed { .. })));
        assert!(matches!(refuse_env("9A", &config), Some(Refusal::Malformed { .. })));
    }

    #[test]
    fn what_the_table_recommends_it_does_not_refuse() {
        for row in CONSUMERS.iter() {
            for name in row.instead.iter().filter(|name| !name.contains(['/', '.', ' ', '~'])) {
                assert_eq!(refuse_env(name, &config("")), None, "{name}");
            }
        }
    }

    #[test]
    fn no_kind_proposes_what_tools_read() {
        for kind in KINDS {
            for spot in kind.file_spots() {
                let path = format!("data/{}", spot.1);
                assert_eq!(refused(&path, ""), None, "{} {path}", kind.id());
            }
            let fields = crate::bait::kinds::contract::Fields::new(&[]);
            for stem in kind.variable_stems() {
                for (ending, _) in kind.variables(&fields) {
                    assert_eq!(refuse_env(&format!("{stem}{ending}"), &config("")), None, "{} {stem}{ending}", kind.id());
                }
            }
        }
    }

    #[test]
    fn existing_variables_are_refused() {
        assert!(matches!(refuse_env("OLD_DB_URL", &config(r#""Env":["OLD_DB_URL=x"]"#)), Some(Refusal::ExistingKey { .. })));
    }

    #[test]
    fn database_images_are_known_by_their_variables_and_commands() {
        let official = r#""Env":["PG_MAJOR=17"],"Entrypoint":["docker-entrypoint.sh"],"Cmd":["postgres"]"#;
        for members in [official, r#""Cmd":["/usr/bin/redis-server","/etc/redis.conf"]"#] {
            assert!(matches!(refuse_env("OLD_DB_URL", &config(members)), Some(Refusal::DatabaseImage { .. })), "{members}");
        }
    }

    #[test]
    fn each_bad_place_has_its_own_refusal() {
        assert!(matches!(refused("root/.aws/credentials", ""), Some(Refusal::AutoReadPath { .. })));
        assert!(matches!(refused("app/.env.production", ""), Some(Refusal::AutoReadPath { .. })));
        assert!(matches!(refused("home/x/.ssh/id_rsa", ""), Some(Refusal::AutoReadPath { .. })));
        assert!(matches!(refused("app/main.py", ""), Some(Refusal::ExistingPath { .. })));
        assert!(matches!(refused("app", ""), Some(Refusal::ExistingPath { .. })));
        assert!(matches!(refused("app/main.py/x", ""), Some(Refusal::NotADirectory { .. })));
        assert!(matches!(refused("etc/cron.d/job", ""), Some(Refusal::IncludeDirectory { .. })));
        assert!(matches!(refused("app/db/migrations/001.sql", ""), Some(Refusal::IncludeDirectory { .. })));
        assert!(matches!(refused("app/config/local.json", ""), Some(Refusal::AutoReadPath { .. })));
        assert!(matches!(refused("opt/app/WEB-INF/x", ""), Some(Refusal::AutoReadPath { .. })));
        assert!(matches!(refused("app/public/x.txt", ""), Some(Refusal::WebRoot { .. })));
        assert!(matches!(refused("usr/share/nginx/html/x", ""), Some(Refusal::WebRoot { .. })));
        assert!(matches!(refused("app/node_modules/x/y", ""), Some(Refusal::Library { .. })));
        assert!(matches!(refused("data/x", r#""Volumes":{"/data":{}}"#), Some(Refusal::Volume { .. })));
        assert!(matches!(refused("app/x.old", r#""Env":["CONF=/app/x.old"]"#), Some(Refusal::Referenced { .. })));
        assert!(matches!(refused("app/../x", ""), Some(Refusal::Malformed { .. })));
        assert_eq!(refused("app/ci/x.json", r#""Volumes":{"/data":{}}"#), None);
        let tree = tree(&[("srv", EntryKind::Directory), ("srv/current", EntryKind::Symlink)]);
        assert!(matches!(refuse_path(b"srv/current/x", false, &tree, &config("")), Some(Refusal::Symlink { .. })));
        let windows = ImageConfig::parse(br#"{"os":"windows","architecture":"amd64","rootfs":{"diff_ids":[]}}"#).expect("valid");
        assert_eq!(refuse_path(b"app/x", false, &tree, &windows), Some(Refusal::Windows));
    }

    #[test]
    fn a_buried_file_may_have_the_name_that_tools_read_but_lies_in_no_bad_place() {
        let tree = tree(&[("app", EntryKind::Directory), ("app/.npmrc", EntryKind::File)]);
        assert_eq!(refuse_path(b"root/.npmrc", true, &tree, &config("")), None);
        assert!(matches!(refuse_path(b"app/.npmrc", true, &tree, &config("")), Some(Refusal::ExistingPath { .. })));
        assert!(matches!(refuse_path(b"app/public/.npmrc", true, &tree, &config("")), Some(Refusal::WebRoot { .. })));
    }
}
