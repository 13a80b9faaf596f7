//! What stands around a credential in a file, and files that lie beside one: settings that mean nothing, drawn from the seed, in the syntax
//! of the file. Without them a file of bait would hold bait alone, and have the same size everywhere.

use crate::bait::seed::Seed;

/// The syntax of a file, as far as something can be added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// Nothing can: the file is the credential.
    Bare,
    /// `NAME=value` and comments with `#`.
    Dotenv,
    /// `[section]`, `key = value` and comments with `#`.
    Ini,
    /// The same, with texts between quotation marks.
    Toml,
    /// Settings of npm: `key=value` and comments with `#`.
    Npmrc,
    /// `NAME=value` after the line that names the shell.
    Shell,
    /// Mappings and comments with `#`.
    Yaml,
    /// An object.
    Json,
    /// The object of Docker's own settings.
    DockerConfig,
    /// Comments with `#` alone.
    Comments,
}

const TOPICS: [&str; 30] = [
    "upload",
    "queue",
    "session",
    "worker",
    "cache",
    "export",
    "import",
    "search",
    "mail",
    "metrics",
    "report",
    "storage",
    "thumbnail",
    "retry",
    "archive",
    "billing",
    "webhook",
    "catalog",
    "feature",
    "locale",
    "gateway",
    "scheduler",
    "stream",
    "batch",
    "index",
    "audit",
    "tenant",
    "sync",
    "render",
    "notify",
];
const SETTINGS: [(&str, &[&str]); 21] = [
    ("timeout", &["5", "10", "30", "60", "120", "300"]),
    ("interval", &["15", "30", "60", "900", "3600"]),
    ("retries", &["0", "2", "3", "5", "8"]),
    ("enabled", &["true", "false"]),
    ("level", &["info", "warn", "error", "debug"]),
    ("workers", &["1", "2", "4", "8", "16"]),
    ("region", &["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1"]),
    ("format", &["json", "text", "csv", "plain"]),
    ("max_size", &["1048576", "5242880", "10485760", "268435456"]),
    ("batch_size", &["10", "50", "100", "500", "1000"]),
    ("concurrency", &["2", "4", "6", "12", "32"]),
    ("ttl", &["60", "600", "3600", "86400", "604800"]),
    ("mode", &["production", "batch", "live", "async", "strict"]),
    ("directory", &["/var/tmp", "/srv/data", "/var/lib/data", "/opt/data", "/data"]),
    ("prefix", &["v1", "v2", "main", "default", "prod"]),
    ("pool", &["2", "4", "5", "10", "20"]),
    ("compress", &["true", "false"]),
    ("schedule", &["hourly", "daily", "weekly", "monthly"]),
    ("keep", &["3", "7", "14", "30", "90"]),
    ("encoding", &["utf-8", "latin-1"]),
    ("verbose", &["true", "false"]),
];
const REMARKS: [&str; 26] = [
    "see the runbook before changing",
    "raised after the last load test",
    "seconds",
    "bytes",
    "same as in staging",
    "must match the ingress",
    "lowered, the nodes ran out of memory",
    "used by the nightly job",
    "the default is too low for production",
    "off until the migration is done",
    "kept for the old clients",
    "per worker",
    "ask platform before raising",
    "not used in the container",
    "measured in March",
    "the dashboard reads the same value",
    "temporary",
    "per replica",
    "was 60 before",
    "needs a restart",
    "one for each region",
    "do not set to zero",
    "see the ticket",
    "copied from the old setup",
    "only the scheduler looks at it",
    "the load balancer gives up earlier",
];
const NPM: [(&str, &[&str]); 14] = [
    ("fund", &["false"]),
    ("audit", &["false", "true"]),
    ("save-exact", &["true"]),
    ("engine-strict", &["true", "false"]),
    ("loglevel", &["warn", "error", "notice"]),
    ("progress", &["false"]),
    ("fetch-retries", &["2", "4", "5"]),
    ("fetch-timeout", &["120000", "300000", "600000"]),
    ("fetch-retry-mintimeout", &["10000", "20000"]),
    ("fetch-retry-maxtimeout", &["60000", "120000"]),
    ("prefer-offline", &["true"]),
    ("update-notifier", &["false"]),
    ("legacy-peer-deps", &["true", "false"]),
    ("maxsockets", &["15", "40", "50"]),
];
const DOCKER: [(&str, &str); 9] = [
    ("HttpHeaders", r#"{"User-Agent":"Docker-Client/24.0.7 (linux)"}"#),
    ("psFormat", r#""table {{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.Status}}\\t{{.Names}}""#),
    ("imagesFormat", r#""table {{.ID}}\\t{{.Repository}}\\t{{.Tag}}\\t{{.CreatedAt}}\\t{{.Size}}""#),
    ("statsFormat", r#""table {{.Container}}\\t{{.CPUPerc}}\\t{{.MemUsage}}""#),
    ("pluginsFormat", r#""table {{.ID}}\t{{.Name}}\t{{.Enabled}}""#),
    ("servicesFormat", r#""table {{.ID}}\t{{.Name}}\t{{.Mode}}\t{{.Replicas}}""#),
    ("detachKeys", r#""ctrl-e,e""#),
    ("plugins", r#"{"-x-cli-hints":{"enabled":"false"},"compose":{"ecosystem":"false"}}"#),
    ("aliases", r#"{"builder":"buildx"}"#),
];
const STEMS: [&str; 24] = [
    "settings",
    "defaults",
    "limits",
    "routes",
    "logging",
    "regions",
    "retention",
    "targets",
    "features",
    "schedule",
    "values",
    "mapping",
    "hosts",
    "profiles",
    "options",
    "quota",
    "rollout",
    "alerts",
    "volumes",
    "labels",
    "backends",
    "layout",
    "notes",
    "jobs",
];
const ENDINGS: [(&str, Syntax); 9] = [
    ("yml", Syntax::Yaml),
    ("yaml", Syntax::Yaml),
    ("json", Syntax::Json),
    ("conf", Syntax::Ini),
    ("ini", Syntax::Ini),
    ("toml", Syntax::Toml),
    ("cfg", Syntax::Ini),
    ("properties", Syntax::Dotenv),
    ("sh", Syntax::Shell),
];

impl Syntax {
    /// The syntax of a file of settings by its name. `None` where it is of another sort, or has readers that know each of its lines.
    #[must_use]
    pub fn of_settings(name: &str) -> Option<Self> {
        const KNOWN: [&str; 13] = [
            "package.json",
            "package-lock.json",
            "npm-shrinkwrap.json",
            "composer.json",
            "tsconfig.json",
            "pyproject.toml",
            "Cargo.toml",
            "poetry.toml",
            "manifest.json",
            "pnpm-lock.yaml",
            "setup.cfg",
            "tox.ini",
            "jsconfig.json",
        ];
        let name = name.strip_suffix(".example").or_else(|| name.strip_suffix(".dist")).unwrap_or(name);
        if name == ".env" || name.starts_with(".env.") || name.ends_with(".env") {
            return Some(Self::Dotenv);
        }
        let ending = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?.1;
        ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, syntax)| *syntax).filter(|_| !KNOWN.contains(&name))
    }
}

/// The name of a file of settings, one for each `number`.
#[must_use]
pub fn neighbour(seed: &Seed, number: usize) -> String {
    let stem = seed.pick(&format!("neighbour {number}"), &STEMS).unwrap_or_default();
    let ending = seed.pick(&format!("neighbour's ending {number}"), &ENDINGS).map_or("", |(ending, _)| ending);
    format!("{stem}.{ending}")
}

/// No file of settings has more parts.
const MOST_BLOCKS: usize = 1000;

/// `core` among settings, up to `size` bytes or a little less: all of it, in one piece or as the members of one object.
#[must_use]
pub fn surrounded(core: &str, syntax: Syntax, seed: &Seed, size: usize) -> String {
    let mut draw = Draw { seed, number: 0, topics: Vec::new() };
    if matches!(syntax, Syntax::Json | Syntax::DockerConfig) {
        return object(core, syntax, &mut draw, size);
    }
    let mut blocks: Vec<String> = Vec::new();
    let first = if syntax == Syntax::Shell && !core.starts_with("#!") { "#!/bin/sh\nset -e\n" } else { "" };
    let mut length = first.len() + core.len();
    for _ in 0..if syntax == Syntax::Bare { 0 } else { MOST_BLOCKS } {
        let block = draw.block(syntax, size.saturating_sub(length));
        if length + block.len() + 1 > size {
            break;
        }
        length += block.len() + 1;
        blocks.push(block);
    }
    // A comment at the top may come before anything but the first line of a script.
    let at = if core.starts_with("#!") { 0 } else { draw.below(blocks.len() + 1) };
    if !core.is_empty() {
        blocks.insert(at, core.to_owned());
    }
    first.to_owned() + &blocks.join("\n")
}

/// Values as settings of this syntax: the text of a file that holds them.
#[must_use]
pub fn as_settings(values: &[(String, String)], syntax: Syntax) -> String {
    let lower = |name: &str| name.to_ascii_lowercase();
    match syntax {
        Syntax::Json | Syntax::DockerConfig => {
            let members: serde_json::Map<_, _> = values.iter().map(|(name, value)| (lower(name), value.as_str().into())).collect();
            format!("{:#}\n", serde_json::Value::Object(members))
        }
        Syntax::Yaml => values.iter().map(|(name, value)| format!("{}: {value}\n", lower(name))).collect(),
        Syntax::Ini | Syntax::Toml => {
            let mark = if syntax == Syntax::Toml { "\"" } else { "" };
            let section = values.first().and_then(|(name, _)| name.split('_').next()).map(lower).unwrap_or_default();
            let lines: String = values.iter().map(|(name, value)| format!("{} = {mark}{value}{mark}\n", lower(name))).collect();
            format!("[{section}]\n{lines}")
        }
        _ => values.iter().map(|(name, value)| format!("{name}={value}\n")).collect(),
    }
}

fn object(core: &str, syntax: Syntax, draw: &mut Draw<'_>, size: usize) -> String {
    let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(core).unwrap_or_default();
    let text = |members: &serde_json::Map<String, serde_json::Value>| format!("{:#}\n", serde_json::Value::Object(members.clone()));
    for _ in 0..400 {
        let (name, value) = draw.member(syntax);
        if members.contains_key(&name) {
            continue;
        }
        let mut more = members.clone();
        more.insert(name, value);
        if text(&more).len() > size {
            break;
        }
        members = more;
    }
    text(&members)
}

/// Drawn one after the other.
struct Draw<'a> {
    seed: &'a Seed,
    number: usize,
    /// Those that were drawn: no section or name comes twice.
    topics: Vec<String>,
}

impl Draw<'_> {
    fn below(&mut self, count: usize) -> usize {
        self.number += 1;
        self.seed.below(&format!("text {}", self.number), count)
    }

    fn pick<T: Copy>(&mut self, choices: &[T], default: T) -> T {
        let at = self.below(choices.len());
        choices.get(at).copied().unwrap_or(default)
    }

    fn topic(&mut self) -> String {
        let word = self.pick(&TOPICS, "batch");
        let numbered = (2..).map(|number| format!("{word}_{number}"));
        let topic = std::iter::once(word.to_owned()).chain(numbered).find(|topic| !self.topics.contains(topic)).unwrap_or_default();
        self.topics.push(topic.clone());
        topic
    }

    fn setting(&mut self) -> (&'static str, &'static str) {
        let (name, values) = self.pick(&SETTINGS, ("enabled", &["true"]));
        (name, self.pick(values, "true"))
    }

    fn comment(&mut self) -> String {
        let (topic, remark) = (self.pick(&TOPICS, "batch"), self.pick(&REMARKS, "seconds"));
        if self.below(3) == 0 { format!("# {remark}\n") } else { format!("# {topic}: {remark}\n") }
    }

    /// Some lines that belong together, of `most` bytes where that can be.
    fn block(&mut self, syntax: Syntax, most: usize) -> String {
        let mut text = if syntax == Syntax::Comments || self.below(3) == 0 { self.comment() } else { String::new() };
        let topic = if matches!(syntax, Syntax::Comments | Syntax::Npmrc) { String::new() } else { self.topic() };
        match syntax {
            Syntax::Ini | Syntax::Toml => text += &format!("[{topic}]\n"),
            Syntax::Yaml => text += &format!("{topic}:\n"),
            _ => {}
        }
        let lines = 1 + self.below(6);
        let mut names: Vec<&str> = Vec::new();
        for _ in 0..lines {
            let (name, value) = if syntax == Syntax::Npmrc {
                let (name, values) = self.pick(&NPM, ("fund", &["false"]));
                (name, self.pick(values, "false"))
            } else {
                self.setting()
            };
            let is_plain = matches!(value, "true" | "false") || value.bytes().all(|byte| byte.is_ascii_digit());
            let line = match syntax {
                Syntax::Comments => self.comment(),
                Syntax::Ini => format!("{name} = {value}\n"),
                Syntax::Toml if is_plain => format!("{name} = {value}\n"),
                Syntax::Toml => format!("{name} = \"{value}\"\n"),
                Syntax::Yaml => format!("  {name}: {value}\n"),
                Syntax::Npmrc => format!("{name}={value}\n"),
                _ => format!("{}_{}={value}\n", topic.to_ascii_uppercase(), name.to_ascii_uppercase()),
            };
            if names.contains(&name) || !names.is_empty() && text.len() + line.len() > most {
                continue;
            }
            names.push(name);
            text += &line;
        }
        text
    }

    fn member(&mut self, syntax: Syntax) -> (String, serde_json::Value) {
        if syntax == Syntax::DockerConfig {
            let (name, value) = self.pick(&DOCKER, ("psFormat", "\"\""));
            return (name.to_owned(), serde_json::from_str(value).unwrap_or_default());
        }
        let value = |value: &str| serde_json::from_str(value).unwrap_or_else(|_| value.into());
        let topic = self.topic();
        let count = self.below(5);
        if count == 0 {
            let (name, text) = self.setting();
            return (format!("{topic}_{name}"), value(text));
        }
        let members: serde_json::Map<_, _> = (0..count).map(|_| self.setting()).map(|(name, text)| (name.to_owned(), value(text))).collect();
        (topic, members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::claims::Claims;
    use crate::bait::surfaces::Surface;
    use crate::secret::key_ring::KeyRing;

    fn seed(number: usize) -> Seed {
        let claims = Claims {
            service: format!("service-{number}"),
            environment: "prod".to_owned(),
            surface: Surface::File,
            kind: String::new(),
            epoch: 1,
            edition: String::new(),
        };
        Seed::of(KeyRing::new([3; 32]).newest(), &claims)
    }

    #[test]
    fn a_file_reaches_about_the_size_that_is_asked_for_and_keeps_its_core() {
        for syntax in [Syntax::Dotenv, Syntax::Shell, Syntax::Ini, Syntax::Toml, Syntax::Yaml, Syntax::Json, Syntax::Comments] {
            let values = [("STORE_URL".to_owned(), "https://user@host/x".to_owned())];
            let core = as_settings(&values, syntax);
            for size in [200, 900, 3000] {
                let text = surrounded(&core, syntax, &seed(size), size);
                assert!(text.len() <= size.max(core.len()) && text.len() * 10 >= size * 5, "{syntax:?} {size} {}", text.len());
                assert!(text.contains("https://user@host/x"));
                assert_eq!(text, surrounded(&core, syntax, &seed(size), size));
                if syntax == Syntax::Json {
                    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
                }
                if syntax == Syntax::Yaml {
                    let document: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
                    assert_eq!(document["store_url"].as_str(), Some("https://user@host/x"));
                }
            }
            assert!(surrounded(&core, syntax, &seed(1), 0).trim_end().ends_with(core.trim_end()));
        }
        assert_eq!(surrounded("x\n", Syntax::Bare, &seed(1), 900), "x\n");
    }

    #[test]
    fn a_file_of_settings_is_known_by_its_name() {
        for (name, syntax) in [
            ("settings.yml", Some(Syntax::Yaml)),
            (".env.example", Some(Syntax::Dotenv)),
            (".env", Some(Syntax::Dotenv)),
            ("x.conf.dist", Some(Syntax::Ini)),
            ("package.json", None),
            (".npmrc", None),
            ("main.py", None),
            ("yml", None),
        ] {
            assert_eq!(Syntax::of_settings(name), syntax, "{name}");
        }
        assert!((0..50).all(|number| Syntax::of_settings(&neighbour(&seed(number), 1)).is_some()));
    }
}
