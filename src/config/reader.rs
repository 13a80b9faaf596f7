//! The reader of `honeycrate.yaml`: everything that is wrong with one is reported at once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_yaml::Value;
use time::Date;

use crate::bait::surfaces::Surface;
use crate::config::error::Problem;
use crate::config::file::{AlertEntry, ConfigFile, Environment, LedgerEntry, ProviderChoice, RegistryEntry, Vocabulary};
use crate::config::positions::{Node, Position};
use crate::config::walk::{Cursor, Walk};
use crate::oci::reference::Reference;
use crate::policy::exception::{Exception, parse_day};
use crate::secret::value::Secret;

/// The largest configuration that is read.
pub const MAX_BYTES: u64 = 1 << 20;

/// Reads a configuration; `file` is its name in problems.
///
/// # Errors
/// Every problem of the document, in its order.
pub fn parse(text: &str, file: &str, vocabulary: &Vocabulary) -> Result<ConfigFile, Vec<Problem>> {
    read(text, file, &mut |walk, root| Reader { walk, vocabulary, file }.document(root).unwrap_or_default())
}

/// Reads a list of exceptions in a file of its own.
///
/// # Errors
/// Every problem of the document, in its order.
pub fn parse_exceptions(text: &str, file: &str) -> Result<Vec<Exception>, Vec<Problem>> {
    let vocabulary = Vocabulary::default();
    read(text, file, &mut |walk, root| Reader { walk, vocabulary: &vocabulary, file }.exceptions(root, "the file"))
}

/// Reads a document with what knows its shape. An empty one means the defaults.
fn read<T: Default>(text: &str, file: &str, shape: &mut dyn FnMut(&mut Walk, Cursor<'_>) -> T) -> Result<T, Vec<Problem>> {
    let mut walk = Walk::new(file);
    let document = read_with(text, &mut walk, shape);
    let problems = walk.into_problems();
    if problems.is_empty() { Ok(document) } else { Err(problems) }
}

fn read_with<T: Default>(text: &str, walk: &mut Walk, shape: &mut dyn FnMut(&mut Walk, Cursor<'_>) -> T) -> T {
    let node = match Node::index(text) {
        Ok(Some(node)) => node,
        Ok(None) => return T::default(),
        Err(unreadable) => {
            walk.problem(unreadable.at, format!("the document cannot be read: {}", unreadable.why), None);
            return T::default();
        }
    };
    let repeated = node.repeated_keys();
    if !repeated.is_empty() {
        for (key, at, first) in repeated {
            walk.problem(at, format!("key `{key}` is written twice"), Some(format!("the first is on line {}", first.line)));
        }
        return T::default();
    }
    let value: Value = match serde_yaml::from_str(text) {
        Ok(Value::Null) => return T::default(),
        Ok(value) => value,
        Err(error) => {
            let at = error.location().map_or(node.at, |at| Position { line: at.line(), column: at.column() });
            walk.problem(at, format!("the document cannot be read: {error}"), None);
            return T::default();
        }
    };
    shape(walk, Cursor::root(&value, &node))
}

/// Reads each part of the document; `None` where it is not there or not usable, which the walk has then noted.
struct Reader<'r> {
    walk: &'r mut Walk,
    vocabulary: &'r Vocabulary,
    /// The document's name.
    file: &'r str,
}

const SECTIONS: [&str; 18] = [
    "service",
    "decoy",
    "fail-on",
    "enforce",
    "environments",
    "plant",
    "exceptions",
    "baseline",
    "ignore-files",
    "inline-allow",
    "rules",
    "ledger",
    "cache",
    "providers",
    "registry",
    "alerts",
    "disclosure",
    "validate",
];

impl Reader<'_> {
    fn document(&mut self, root: Cursor<'_>) -> Option<ConfigFile> {
        let fields = self.walk.fields(root, "the configuration", &SECTIONS)?;
        let decoy_host = fields.get("decoy").and_then(|decoy| {
            let host = self.walk.fields(decoy, "`decoy`", &["host"])?.get("host")?;
            self.checked(host, "`decoy.host`", is_host, "a host name with an optional port, such as decoy.example.com")
        });
        let ledger = fields.get("ledger").map(|cursor| self.ledger(cursor)).unwrap_or_default();
        Some(ConfigFile {
            service: fields.get("service").and_then(|service| self.walk.text(service, "`service`")).map(str::to_owned),
            decoy_host,
            providers: fields.get("providers").map(|cursor| self.providers(cursor)).unwrap_or_default(),
            fail_on: fields.get("fail-on").and_then(|cursor| {
                let word = self.walk.word(cursor, "severity", &["none", "low", "medium", "high", "critical"])?;
                word.parse().ok()
            }),
            enforce: fields.get("enforce").and_then(|cursor| {
                let text = self.walk.text(cursor, "`enforce`")?;
                text.parse().map_err(|why| self.walk.problem(cursor.at(), why, None)).ok()
            }),
            environments: fields.get("environments").map(|cursor| self.environments(cursor)).unwrap_or_default(),
            plant: fields.get("plant").map(|cursor| self.plant(cursor)).unwrap_or_default(),
            exceptions: fields.get("exceptions").map(|cursor| self.exceptions(cursor, "`exceptions`")).unwrap_or_default(),
            baseline: fields.get("baseline").and_then(|cursor| self.walk.text(cursor, "`baseline`")).map(str::to_owned),
            ignore_files: fields.get("ignore-files").map(|cursor| self.texts(cursor, "`ignore-files`")).unwrap_or_default(),
            inline_allow: fields.get("inline-allow").and_then(|cursor| {
                let word = self.walk.word(cursor, "inline-allow", &["nowhere", "files", "everywhere"])?;
                word.parse().ok()
            }),
            rules: fields.get("rules").map(|cursor| self.texts(cursor, "`rules`")).unwrap_or_default(),
            ledger,
            cache: fields.get("cache").and_then(|cursor| self.walk.text(cursor, "`cache`")).map(|text| PathBuf::from(text).into()),
            registry: fields.get("registry").and_then(|cursor| self.registry(cursor)).unwrap_or_default(),
            alerts: fields.get("alerts").map(|cursor| self.alerts(cursor)).unwrap_or_default(),
            disclosure: fields.get("disclosure").and_then(|cursor| {
                let word = self.walk.word(cursor, "disclosure", &["auto", "findings", "placements"])?;
                word.parse().ok()
            }),
            validate: fields.get("validate").and_then(|cursor| Some(self.walk.word(cursor, "validate", &["on", "off"])? == "on")),
        })
    }

    fn ledger(&mut self, cursor: Cursor<'_>) -> LedgerEntry {
        let Some(fields) = self.walk.fields(cursor, "`ledger`", &["path", "url", "recipients"]) else { return LedgerEntry::default() };
        let path = fields.get("path").and_then(|cursor| self.walk.text(cursor, "`ledger.path`")).map(str::to_owned);
        let url = fields.get("url").and_then(|cursor| {
            let text = self.walk.text(cursor, "`ledger.url`")?;
            if path.is_some() {
                self.walk.problem(cursor.at(), "a ledger has a path or a URL, not both".to_owned(), None);
            } else if !text.contains("://") {
                self.walk.problem(cursor.at(), format!("`{text}` is no URL"), Some("write `path` for a file".to_owned()));
            }
            Some(text.to_owned())
        });
        let recipients = fields.get("recipients").map(|cursor| self.texts(cursor, "`ledger.recipients`")).unwrap_or_default();
        LedgerEntry { place: path.or(url), recipients }
    }

    fn environments(&mut self, cursor: Cursor<'_>) -> BTreeMap<String, Environment> {
        let mut environments = BTreeMap::new();
        for (name, at, cursor) in self.walk.entries(cursor, "`environments`").unwrap_or_default() {
            if !is_environment(name) {
                let suggestion = Some("lower-case letters, digits and `-`, at most 63".to_owned());
                self.walk.problem(at, "an environment's name is not usable".to_owned(), suggestion);
            }
            if cursor.is_empty() {
                environments.insert(name.to_owned(), Environment::default());
                continue;
            }
            let Some(fields) = self.walk.fields(cursor, "an environment", &["to", "surfaces", "kinds", "providers", "tokens", "promotion"]) else {
                continue;
            };
            let to = fields.get("to").map(|cursor| self.walk.items(cursor, "`to`")).unwrap_or_default();
            let to = to.into_iter().filter_map(|cursor| self.walk.parsed(cursor, "`to`")).collect();
            let surfaces = fields.get("surfaces").map(|cursor| {
                let items = self.walk.items(cursor, "`surfaces`");
                items.into_iter().filter_map(|cursor| self.surface(cursor)).collect()
            });
            let kinds = fields.get("kinds").map(|cursor| self.kinds(cursor)).unwrap_or_default();
            let providers = fields.get("providers").map(|cursor| self.providers_by_surface(cursor)).unwrap_or_default();
            let tokens = fields.get("tokens").and_then(|cursor| self.walk.parsed(cursor, "`tokens`"));
            let promotion = fields.get("promotion").and_then(|cursor| self.walk.parsed(cursor, "`promotion`"));
            environments.insert(name.to_owned(), Environment { to, surfaces, kinds, providers, tokens, promotion });
        }
        environments
    }

    fn surface(&mut self, cursor: Cursor<'_>) -> Option<Surface> {
        self.walk.word(cursor, "surface", &Surface::ALL.map(Surface::id))?.parse().ok()
    }

    fn kinds(&mut self, cursor: Cursor<'_>) -> BTreeMap<Surface, String> {
        let ids = Surface::ALL.map(Surface::id);
        let Some(fields) = self.walk.fields(cursor, "`kinds`", &ids) else { return BTreeMap::new() };
        let vocabulary = self.vocabulary;
        let mut kinds = BTreeMap::new();
        for surface in Surface::ALL {
            let known: Vec<&str> = vocabulary.kinds.iter().map(|(kind, _)| *kind).collect();
            let Some(cursor) = fields.get(surface.id()) else { continue };
            let Some(kind) = self.walk.word(cursor, "kind of bait", &known) else { continue };
            let fits = |(id, surfaces): &&(&str, Vec<Surface>)| *id == kind && surfaces.contains(&surface);
            if vocabulary.kinds.iter().any(|entry| fits(&entry)) {
                kinds.insert(surface, kind.to_owned());
            } else {
                let others: Vec<&str> = vocabulary.kinds.iter().filter(|(_, on)| on.contains(&surface)).map(|(id, _)| *id).collect();
                let suggestion = Some(format!("it can carry {}", others.join(", ")));
                self.walk.problem(cursor.at(), format!("surface `{surface}` cannot carry `{kind}`"), suggestion);
            }
        }
        kinds
    }

    fn providers_by_surface(&mut self, cursor: Cursor<'_>) -> BTreeMap<Surface, String> {
        let Some(fields) = self.walk.fields(cursor, "`providers`", &Surface::ALL.map(Surface::id)) else { return BTreeMap::new() };
        let of = |surface: Surface| Some((surface, self.provider(fields.get(surface.id())?)?));
        Surface::ALL.into_iter().filter_map(of).collect()
    }

    fn provider(&mut self, cursor: Cursor<'_>) -> Option<String> {
        let known: Vec<&str> = self.vocabulary.providers.iter().map(|(id, _)| *id).collect();
        self.walk.word(cursor, "provider", &known).map(str::to_owned)
    }

    fn providers(&mut self, cursor: Cursor<'_>) -> ProviderChoice {
        let vocabulary = self.vocabulary;
        let ids = vocabulary.providers.iter().map(|(id, _)| *id);
        let known: Vec<&str> = ["default", "fallback"].into_iter().chain(ids).collect();
        let Some(fields) = self.walk.fields(cursor, "`providers`", &known) else { return ProviderChoice::default() };
        let default = fields.get("default").and_then(|cursor| self.provider(cursor));
        let fallback = fields.get("fallback").and_then(|cursor| self.provider(cursor));
        let mut settings = BTreeMap::new();
        for (id, names) in &vocabulary.providers {
            let Some(cursor) = fields.get(id) else { continue };
            let Some(fields) = self.walk.fields(cursor, &format!("`providers.{id}`"), names) else { continue };
            let set = |name: &&str| Some(((*name).to_owned(), self.walk.text(fields.get(name)?, &format!("`providers.{id}.{name}`"))?.to_owned()));
            settings.insert((*id).to_owned(), names.iter().filter_map(set).collect());
        }
        ProviderChoice { default, fallback, settings }
    }

    fn plant(&mut self, cursor: Cursor<'_>) -> BTreeMap<Surface, String> {
        let Some(fields) = self.walk.fields(cursor, "`plant`", &Surface::ALL.map(Surface::id)) else { return BTreeMap::new() };
        let mut places = BTreeMap::new();
        for surface in Surface::ALL {
            let Some(cursor) = fields.get(surface.id()) else { continue };
            let (key, fits, wanted): (_, fn(&str) -> bool, _) = match surface {
                Surface::File | Surface::Buried => {
                    ("path", is_image_path, "an absolute path without `.` and `..`, such as /app/config/registry.json.bak")
                }
                Surface::Env | Surface::History => ("name", is_variable, "letters, digits and `_`, not beginning with a digit"),
            };
            let Some(cursor) = self.walk.fields(cursor, &format!("`plant.{surface}`"), &[key]).and_then(|fields| fields.get(key)) else { continue };
            let place = self.checked(cursor, &format!("`plant.{surface}.{key}`"), fits, wanted);
            places.extend(place.map(|place| (surface, place)));
        }
        places
    }

    fn exceptions(&mut self, cursor: Cursor<'_>, what: &str) -> Vec<Exception> {
        let items = self.walk.items(cursor, what);
        items.into_iter().filter_map(|cursor| self.exception(cursor)).collect()
    }

    fn exception(&mut self, cursor: Cursor<'_>) -> Option<Exception> {
        let known = ["rule", "path", "fingerprint", "reason", "owner", "expires"];
        let fields = self.walk.fields(cursor, "an exception", &known)?;
        for (key, why) in [("reason", "say why it is harmless"), ("owner", "say who decided"), ("expires", "write the last day, such as 2027-01-31")]
        {
            if fields.get(key).is_none() {
                self.walk.problem(cursor.at(), format!("an exception has no `{key}`"), Some(why.to_owned()));
            }
        }
        if ["rule", "path", "fingerprint"].iter().all(|key| fields.get(key).is_none()) {
            let suggestion = Some("give it a `fingerprint`, a `rule` or a `path`".to_owned());
            self.walk.problem(cursor.at(), "an exception matches everything".to_owned(), suggestion);
        }
        let rule = fields.get("rule").and_then(|cursor| self.walk.text(cursor, "`rule`"));
        let path = fields.get("path").and_then(|cursor| self.walk.text(cursor, "`path`"));
        let fingerprint = fields.get("fingerprint").and_then(|cursor| self.walk.parsed(cursor, "`fingerprint`"));
        let reason = fields.get("reason").and_then(|cursor| self.walk.text(cursor, "`reason`"));
        let owner = fields.get("owner").and_then(|cursor| self.walk.text(cursor, "`owner`"));
        let expires = fields.get("expires").and_then(|cursor| self.date(cursor));
        Some(Exception {
            rule: rule.map(str::to_owned),
            path: path.map(str::to_owned),
            fingerprint,
            line: None,
            reason: reason?.to_owned(),
            owner: Some(owner?.to_owned()),
            expires: Some(expires?),
            source: format!("{}:{}", self.file, cursor.at().line),
            is_taken_over: false,
        })
    }

    fn date(&mut self, cursor: Cursor<'_>) -> Option<Date> {
        let text = self.walk.text(cursor, "`expires`")?;
        let day = parse_day(text);
        if day.is_none() {
            let suggestion = Some("write year-month-day, such as 2027-01-31".to_owned());
            self.walk.problem(cursor.at(), "`expires` is not a date".to_owned(), suggestion);
        }
        day
    }

    fn registry(&mut self, cursor: Cursor<'_>) -> Option<RegistryEntry> {
        let fields = self.walk.fields(cursor, "`registry`", &["plain-http", "ca-file", "allow-realm", "upload"])?;
        let hosts = |reader: &mut Self, key: &str| -> Vec<String> {
            let items = fields.get(key).map(|cursor| reader.walk.items(cursor, &format!("`{key}`"))).unwrap_or_default();
            let host = |cursor| reader.checked(cursor, &format!("`{key}`"), is_host, "host[:port]");
            items.into_iter().filter_map(host).collect()
        };
        Some(RegistryEntry {
            plain_http: hosts(self, "plain-http"),
            ca_file: fields.get("ca-file").and_then(|cursor| self.walk.text(cursor, "`ca-file`")).map(str::to_owned),
            allow_realm: hosts(self, "allow-realm"),
            upload: fields.get("upload").and_then(|cursor| self.walk.parsed(cursor, "`upload`")),
        })
    }

    fn alerts(&mut self, cursor: Cursor<'_>) -> Vec<AlertEntry> {
        let items = self.walk.items(cursor, "`alerts`");
        items.into_iter().filter_map(|cursor| self.alert(cursor)).collect()
    }

    fn alert(&mut self, cursor: Cursor<'_>) -> Option<AlertEntry> {
        let fields = self.walk.fields(cursor, "an alert", &["kind", "path", "url"])?;
        let sinks = self.vocabulary.sinks.clone();
        let Some(kind) = fields.get("kind") else {
            self.walk.problem(cursor.at(), "an alert has no `kind`".to_owned(), Some(format!("one of {}", sinks.join(", "))));
            return None;
        };
        let kind = self.walk.word(kind, "alert", &sinks)?;
        let path = fields.get("path").and_then(|cursor| self.walk.text(cursor, "`path`"));
        let url = fields.get("url").and_then(|cursor| self.checked(cursor, "`url`", is_web_address, "https://… or http://…"));
        if fields.get("path").is_some() == fields.get("url").is_some() {
            self.walk.problem(cursor.at(), "an alert needs either a `path` or a `url`".to_owned(), None);
        }
        Some(AlertEntry { kind: kind.to_owned(), path: path.map(str::to_owned), url: url.map(Secret::new) })
    }

    fn texts(&mut self, cursor: Cursor<'_>, what: &str) -> Vec<String> {
        let items = self.walk.items(cursor, what);
        items.into_iter().filter_map(|cursor| self.walk.text(cursor, what)).map(str::to_owned).collect()
    }

    /// Text that passes `fits`; the message does not repeat it, for it may be a credential in the wrong place.
    fn checked(&mut self, cursor: Cursor<'_>, what: &str, fits: fn(&str) -> bool, wanted: &str) -> Option<String> {
        let text = self.walk.text(cursor, what)?;
        if !fits(text) {
            self.walk.problem(cursor.at(), format!("{what} is not usable"), Some(format!("write {wanted}")));
            return None;
        }
        Some(text.to_owned())
    }
}

/// `host[:port]`.
#[must_use]
pub fn is_host(text: &str) -> bool {
    // A reference has the same rule for its registry; the repository is there to make it one.
    let whole = format!("{text}/x").parse::<Reference>();
    whole.is_ok_and(|reference| reference.repository == "x" && reference.registry.eq_ignore_ascii_case(text))
}

/// Whether an environment may have this name.
#[must_use]
pub fn is_environment(name: &str) -> bool {
    (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_image_path(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|path| path.split('/').all(|part| !matches!(part, "" | "." | ".."))) && !path.contains(char::is_control)
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::{DisclosureChoice, Promotion, TokenPolicy};
    use crate::policy::gate::{Enforce, FailOn, InlineAllow};
    use time::macros::date;

    fn vocabulary() -> Vocabulary {
        let kinds = vec![("registry-login", vec![Surface::File, Surface::Buried]), ("database-url", vec![Surface::Env, Surface::History])];
        Vocabulary { kinds, sinks: vec!["json-lines", "webhook"], providers: vec![("embedded", vec![]), ("vendor", vec!["url", "region"])] }
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = parse(text, "honeycrate.yaml", &vocabulary()).expect_err("problems");
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_whole_configuration_is_read() {
        let text = r#"
service: ghcr.io/acme/shop
decoy: { host: "decoy.example.com:8443" }
fail-on: none
environments:
  production:
    to: ["ghcr.io/acme/shop:latest"]
    surfaces: [file, env]
    kinds: { file: registry-login }
    providers: { env: vendor }
    tokens: per-release
    promotion: record
  staging:
providers: { default: vendor, fallback: embedded, vendor: { url: "https://vendor.example.com" } }
plant:
  file: { path: /app/config/registry.json.bak }
  env: { name: REPORTING_DB_DSN }
exceptions:
  - { rule: generic-assignment, path: "app/test/**", fingerprint: 0123456789abcdef, reason: a fixture, owner: ann, expires: 2027-01-31 }
baseline: known.yaml
ignore-files: [.gitleaksignore]
inline-allow: everywhere
enforce: block-after:2027-03-31
rules: [rules/own.yaml]
ledger: { path: /var/lib/honeycrate/ledger.sqlite }
registry: { plain-http: ["localhost:5000"], ca-file: ca.pem, allow-realm: [auth.example.com] }
alerts: [{ kind: json-lines, path: alerts.jsonl }, { kind: webhook, url: "https://hooks.example.com/1" }]
disclosure: auto
"#;
        let file = parse(
            &text.replace(
                "  staging:
",
                "  staging: {}
",
            ),
            "x",
            &vocabulary(),
        )
        .expect("valid");
        assert_eq!(file.fail_on, Some(FailOn::None));
        assert_eq!(file.decoy_host.as_deref(), Some("decoy.example.com:8443"));
        let production = &file.environments["production"];
        assert_eq!(production.to[0].to_string(), "ghcr.io/acme/shop:latest");
        assert_eq!(production.surfaces, Some(vec![Surface::File, Surface::Env]));
        assert_eq!(production.kinds[&Surface::File], "registry-login");
        assert_eq!((production.tokens, production.promotion), (Some(TokenPolicy::PerRelease), Some(Promotion::Record)));
        assert_eq!(production.providers[&Surface::Env], "vendor");
        assert_eq!((file.providers.default_id(), file.providers.fallback.as_deref()), ("vendor", Some("embedded")));
        assert_eq!(file.providers.settings["vendor"]["url"], "https://vendor.example.com");
        assert_eq!(file.environments["staging"], Environment::default());
        assert_eq!(file.plant[&Surface::Env], "REPORTING_DB_DSN");
        assert_eq!(file.exceptions[0].expires, Some(time::macros::date!(2027 - 01 - 31)));
        assert_eq!(file.exceptions[0].source, "x:19");
        assert_eq!((file.baseline.as_deref(), &file.ignore_files[..]), (Some("known.yaml"), &[".gitleaksignore".to_owned()][..]));
        assert_eq!(file.inline_allow, Some(InlineAllow::Everywhere));
        assert_eq!(file.enforce, Some(Enforce::BlockAfter(date!(2027 - 03 - 31))));
        assert_eq!(file.registry.plain_http, ["localhost:5000"]);
        assert_eq!(file.alerts[1].url, Some(Secret::new("https://hooks.example.com/1".to_owned())));
        assert_eq!(file.disclosure, Some(DisclosureChoice::Auto));
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_place_and_a_way_out() {
        let text = "servce: shop
fail-on: hihg
environments:
  Production:
    to: [ghcr.io/Acme/shop]
    surfaces: [file, burried]
    kinds: { file: database-url, env: databse-url }
exceptions:
  - { fingerprint: 12, reason: x, owner: y, expires: 31.1.2027 }
  - reason: z
alerts:
  - kind: web-hook
  - { kind: webhook, url: 'javascript:x' }
plant: { file: { path: ../etc } }
ledger: /var/lib
";
        assert_eq!(
            problems(text),
            [
                "honeycrate.yaml:1:1: unknown key `servce` (did you mean `service`?)",
                "honeycrate.yaml:2:10: severity `hihg` does not exist (did you mean `high`?)",
                "honeycrate.yaml:4:3: an environment's name is not usable (lower-case letters, digits and `-`, at most 63)",
                "honeycrate.yaml:5:10: `to`: reference `ghcr.io/Acme/shop` is not valid: repository names are lower case",
                "honeycrate.yaml:6:22: surface `burried` does not exist (did you mean `buried`?)",
                "honeycrate.yaml:7:20: surface `file` cannot carry `database-url` (it can carry registry-login)",
                "honeycrate.yaml:7:39: kind of bait `databse-url` does not exist (did you mean `database-url`?)",
                "honeycrate.yaml:9:20: `fingerprint` must be text, not a number (put it in quotes)",
                "honeycrate.yaml:9:54: `expires` is not a date (write year-month-day, such as 2027-01-31)",
                "honeycrate.yaml:10:5: an exception has no `owner` (say who decided)",
                "honeycrate.yaml:10:5: an exception has no `expires` (write the last day, such as 2027-01-31)",
                "honeycrate.yaml:10:5: an exception matches everything (give it a `fingerprint`, a `rule` or a `path`)",
                "honeycrate.yaml:12:11: alert `web-hook` does not exist (did you mean `webhook`?)",
                "honeycrate.yaml:13:27: `url` is not usable (write https://… or http://…)",
                "honeycrate.yaml:14:24: `plant.file.path` is not usable (write an absolute path without `.` and `..`, such as /app/config/registry.json.bak)",
                "honeycrate.yaml:15:9: `ledger` must be a mapping of keys to values, not text",
            ]
        );
    }

    #[test]
    fn a_file_of_exceptions_is_read_and_refused_with_line_and_column() {
        let text =
            "# why\n- fingerprint: 0123456789abcdef\n  reason: a fixture\n  owner: ann\n  expires: 2027-01-31\n- { path: x/**, reason: y }\n- 7\n";
        let problems: Vec<String> = parse_exceptions(text, ".honeycrateignore").expect_err("problems").iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                ".honeycrateignore:6:3: an exception has no `owner` (say who decided)",
                ".honeycrateignore:6:3: an exception has no `expires` (write the last day, such as 2027-01-31)",
                ".honeycrateignore:7:3: an exception must be a mapping of keys to values, not a number",
            ]
        );
        let good = text.split_once("- {").expect("a second").0;
        assert_eq!(parse_exceptions(good, ".honeycrateignore").expect("valid")[0].source, ".honeycrateignore:2");
        assert_eq!(parse_exceptions("", "x"), Ok(Vec::new()));
    }

    #[test]
    fn a_key_written_twice_is_an_error() {
        assert_eq!(
            problems(
                "service: a
fail-on: low
service: b
"
            ),
            ["honeycrate.yaml:3:1: key `service` is written twice (the first is on line 1)"]
        );
    }

    #[test]
    fn broken_yaml_is_told_with_its_place() {
        let problems = problems(
            "service: a
rules: [a
fail-on: x
",
        );
        assert!(problems[0].starts_with("honeycrate.yaml:3:"), "{problems:?}");
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn a_document_that_repeats_itself_without_end_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]
"
        .to_owned();
        for level in 1..12 {
            let item = format!("*a{}", level - 1);
            text += &format!(
                "a{level}: &a{level} [{}]
",
                [item.as_str(); 9].join(", ")
            );
        }
        assert!(problems(&text)[0].contains("repetition limit"));
    }

    #[test]
    fn an_empty_document_means_the_defaults() {
        for text in [
            "",
            "# nothing yet
",
            "---
",
        ] {
            assert_eq!(parse(text, "x", &vocabulary()), Ok(ConfigFile::default()), "{text:?}");
        }
    }

    #[test]
    fn hosts_are_hosts() {
        for (text, valid) in [
            ("decoy.example.com", true),
            ("Decoy.example.com:8443", true),
            ("localhost", true),
            ("[::1]:80", true),
            ("a/b", false),
            ("http://x.y", false),
            ("x.y z", false),
            ("", false),
        ] {
            assert_eq!(is_host(text), valid, "{text}");
        }
    }
}
