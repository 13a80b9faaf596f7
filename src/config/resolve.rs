//! The one answer to every question of settings: flags over variables over file over defaults.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::bait::surfaces::Surface;
use crate::config::error::{ConfigError, Place, Problem};
use crate::config::file::{
    AlertEntry, CacheChoice, ConfigFile, DisclosureChoice, Environment, Promotion, ProviderChoice, TokenPolicy, Upload, Vocabulary,
};
use crate::config::reader::{self, MAX_BYTES};
use crate::config::vars::{self, Variable, Variables};
use crate::config::walk::nearest;
use crate::ledger::place::Place as LedgerPlace;
use crate::oci::reference::Reference;
use crate::policy::exception::Exception;
use crate::policy::gate::{Enforce, FailOn, InlineAllow};
use crate::secret::value::Secret;

/// What was said on the command line. `None` and empty mean that nothing was.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub config: Option<PathBuf>,
    pub service: Option<String>,
    pub environment: Option<String>,
    pub to: Vec<Reference>,
    pub surfaces: Vec<Surface>,
    pub decoy_host: Option<String>,
    pub fail_on: Option<FailOn>,
    pub enforce: Option<Enforce>,
    /// Added to the file's.
    pub rules: Vec<PathBuf>,
    pub baseline: Option<PathBuf>,
    /// Added to the file's.
    pub ignore_files: Vec<PathBuf>,
    pub inline_allow: Option<InlineAllow>,
    pub key_file: Option<PathBuf>,
    pub ledger: Option<PathBuf>,
    pub cache: Option<CacheChoice>,
    /// Added to the file's and the variable's.
    pub plain_http: Vec<String>,
    pub ca_file: Option<PathBuf>,
    pub disclosure: Option<DisclosureChoice>,
    pub upload: Option<Upload>,
}

/// Every setting, resolved. Paths are absolute, or relative to the working directory where that is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration file that was read.
    pub config: Option<PathBuf>,
    /// `None`: [`Settings::service_of`] falls back on the destination.
    pub service: Option<String>,
    pub decoy_host: Option<String>,
    pub providers: ProviderChoice,
    pub fail_on: FailOn,
    pub enforce: Enforce,
    /// The environment that this run is for, if one was named.
    pub environment: Option<String>,
    /// Destinations and surfaces from the command line; [`Settings::plan`] puts them over the environment's own.
    pub to: Vec<Reference>,
    pub surfaces: Vec<Surface>,
    pub environments: BTreeMap<String, Environment>,
    /// A place of the user's own for each surface: a path for `file` and `buried`, a name for `env` and `history`.
    pub plant: BTreeMap<Surface, String>,
    /// The configuration's, then those of the file of exceptions.
    pub exceptions: Vec<Exception>,
    /// The file of exceptions, which need not exist.
    pub exceptions_file: PathBuf,
    pub baseline: Option<PathBuf>,
    /// Of other scanners.
    pub ignore_files: Vec<PathBuf>,
    pub inline_allow: InlineAllow,
    pub rules: Vec<PathBuf>,
    pub registry: RegistrySettings,
    pub alerts: Vec<AlertEntry>,
    pub disclosure: DisclosureChoice,
    /// Whether the file wants vendors to be asked if what is found still works; the flag of `scan` and `ship` goes over it.
    pub validate: bool,
    /// `None` where no home directory is known either; ask [`crate::config::key::key_ring`].
    pub key_file: Option<PathBuf>,
    /// The value of `HONEYCRATE_KEY`; it goes before the key file.
    pub key: Option<Secret>,
    pub scratch: PathBuf,
    /// `None`: results of scans are not kept, or there is no place for them.
    pub cache: Option<CacheFolder>,
    ledger: Option<LedgerPlace>,
    /// Public keys of others who may read records that are sealed as a whole.
    pub ledger_recipients: Vec<String>,
    /// Where what has to be kept between runs lies. `None` where no home directory is known.
    pub state: Option<PathBuf>,
}

/// Where results of scans are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFolder {
    pub path: PathBuf,
    /// Somebody named it; otherwise it is the usual one.
    pub chosen: bool,
}

/// Which registries are spoken to how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// `host[:port]`.
    pub plain_http: Vec<String>,
    /// PEM certificates to trust besides the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Hosts of token services that may be on another domain than their registry.
    pub allow_realm: Vec<String>,
    pub upload: Upload,
}

/// What one run does for its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentPlan {
    pub name: String,
    pub to: Vec<Reference>,
    pub surfaces: Vec<Surface>,
    pub kinds: BTreeMap<Surface, String>,
    pub tokens: TokenPolicy,
    pub promotion: Promotion,
    /// Who mints for a surface, where it is not the default provider.
    pub providers: BTreeMap<Surface, String>,
}

/// The environment of a run that names none.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// The file of exceptions, beside the configuration.
pub const EXCEPTIONS_FILE: &str = ".honeycrateignore";

/// Resolves all settings. Reads the configuration file and the file of exceptions beside it, and nothing else.
///
/// # Errors
/// All problems of file and variables together; a file that was named and cannot be read.
pub fn resolve(overrides: Overrides, variables: &Variables, directory: &Path, vocabulary: &Vocabulary) -> Result<Settings, ConfigError> {
    let named = overrides.config.or_else(|| variables.get(vars::HONEYCRATE_CONFIG).map(PathBuf::from));
    let path = directory.join(named.as_deref().unwrap_or(Path::new("honeycrate.yaml")));
    let text = match read_capped(&path) {
        Ok(text) => Some(text),
        Err(ConfigError::Read { cause, .. }) if named.is_none() && cause.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let shown = named.as_deref().unwrap_or(Path::new("honeycrate.yaml")).display().to_string();
    let (file, mut problems) = match text.as_deref().map(|text| reader::parse(text, &shown, vocabulary)) {
        None => (ConfigFile::default(), Vec::new()),
        Some(Ok(file)) => (file, Vec::new()),
        Some(Err(problems)) => (ConfigFile::default(), problems),
    };
    // What the file names is relative to the file; what is typed is relative to where it is typed.
    let beside = path.parent().unwrap_or(directory).to_owned();
    let exceptions_file = beside.join(EXCEPTIONS_FILE);
    let more_exceptions = match read_capped(&exceptions_file) {
        Ok(text) => reader::parse_exceptions(&text, EXCEPTIONS_FILE).unwrap_or_else(|more| {
            problems.extend(more);
            Vec::new()
        }),
        Err(ConfigError::Read { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut said = Said { variables, problems: Vec::new() };
    let fail_on = said.parsed::<FailOn>(vars::HONEYCRATE_FAIL_ON);
    let enforce = said.parsed::<Enforce>(vars::HONEYCRATE_ENFORCE);
    let disclosure = said.parsed::<DisclosureChoice>(vars::HONEYCRATE_DISCLOSURE);
    let decoy_host = said.text(vars::HONEYCRATE_DECOY).filter(|host| said.is_host(vars::HONEYCRATE_DECOY, host));
    let plain_http = said.text(vars::HONEYCRATE_PLAIN_HTTP).unwrap_or_default();
    let plain_http: Vec<String> = plain_http.split(',').map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned).collect();
    let plain_http: Vec<String> = plain_http.into_iter().filter(|host| said.is_host(vars::HONEYCRATE_PLAIN_HTTP, host)).collect();
    let service = said.text(vars::HONEYCRATE_SERVICE);
    let environment = said.text(vars::HONEYCRATE_ENVIRONMENT);
    let path_of = |variable: Variable| variables.get(variable).map(|path| directory.join(path));
    let ca_file = path_of(vars::HONEYCRATE_CA_FILE);
    for name in variables.unreadable() {
        said.problems.push(Problem { place: Place::Variable(name), what: "its value is not UTF-8".to_owned(), suggestion: None });
    }
    problems.extend(said.problems);
    if !problems.is_empty() {
        return Err(ConfigError::Invalid { problems });
    }

    let here = |path: PathBuf| directory.join(path);
    let home = |variable: Variable, below: &str| {
        let base = variables.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        base.or_else(|| variables.get(vars::HOME).map(|home| Path::new(home).join(below))).map(|base| base.join("honeycrate"))
    };
    let state = home(vars::XDG_STATE_HOME, ".local/state");
    let chosen = |choice: CacheChoice, base: &Path| match choice {
        CacheChoice::In(path) => Some(CacheFolder { path: base.join(path), chosen: true }),
        CacheChoice::Off => None,
    };
    let cache = match (overrides.cache, variables.get(vars::HONEYCRATE_CACHE).map(|text| PathBuf::from(text).into()), file.cache) {
        (Some(choice), ..) | (None, Some(choice), _) => chosen(choice, directory),
        (None, None, Some(choice)) => chosen(choice, &beside),
        (None, None, None) => home(vars::XDG_CACHE_HOME, ".cache").map(|path| CacheFolder { path, chosen: false }),
    };
    let mut alerts = file.alerts;
    let webhook = variables.secret(vars::HONEYCRATE_WEBHOOK_URL);
    alerts.extend(webhook.map(|url| AlertEntry { kind: "webhook".to_owned(), path: None, url: Some(url) }));
    for path in alerts.iter_mut().filter_map(|alert| alert.path.as_mut()) {
        *path = beside.join(&path).display().to_string();
    }
    Ok(Settings {
        config: text.is_some().then_some(path),
        service: overrides.service.or(service).or(file.service),
        decoy_host: overrides.decoy_host.or(decoy_host).or(file.decoy_host),
        providers: file.providers,
        fail_on: overrides.fail_on.or(fail_on).or(file.fail_on).unwrap_or_default(),
        enforce: overrides.enforce.or(enforce).or(file.enforce).unwrap_or_default(),
        environment: overrides.environment.or(environment),
        to: overrides.to,
        surfaces: overrides.surfaces,
        environments: file.environments,
        plant: file.plant,
        exceptions: file.exceptions.into_iter().chain(more_exceptions).collect(),
        exceptions_file,
        baseline: overrides.baseline.map(here).or(file.baseline.map(|path| beside.join(path))),
        ignore_files: file.ignore_files.iter().map(|path| beside.join(path)).chain(overrides.ignore_files.into_iter().map(here)).collect(),
        inline_allow: overrides.inline_allow.or(file.inline_allow).unwrap_or_default(),
        rules: file.rules.iter().map(|path| beside.join(path)).chain(overrides.rules.into_iter().map(here)).collect(),
        registry: RegistrySettings {
            plain_http: file.registry.plain_http.into_iter().chain(plain_http).chain(overrides.plain_http).collect(),
            ca_file: overrides.ca_file.map(here).or(ca_file).or(file.registry.ca_file.map(|path| beside.join(path))),
            allow_realm: file.registry.allow_realm,
            upload: overrides.upload.or(file.registry.upload).unwrap_or_default(),
        },
        alerts,
        disclosure: overrides.disclosure.or(disclosure).or(file.disclosure).unwrap_or_default(),
        validate: file.validate.unwrap_or_default(),
        key_file: overrides
            .key_file
            .map(here)
            .or(path_of(vars::HONEYCRATE_KEY_FILE))
            .or_else(|| Some(home(vars::XDG_CONFIG_HOME, ".config")?.join("key"))),
        key: variables.secret(vars::HONEYCRATE_KEY),
        scratch: variables.get(vars::TMPDIR).map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
        cache,
        ledger: overrides
            .ledger
            .map(|place| LedgerPlace::read(&place, directory))
            .or_else(|| variables.secret(vars::HONEYCRATE_LEDGER).map(|place| LedgerPlace::of_secret(&place, directory)))
            .or_else(|| file.ledger.place.map(|place| LedgerPlace::read(Path::new(&place), &beside)))
            .or_else(|| state.as_ref().map(|state| LedgerPlace::File(state.join("ledger.sqlite")))),
        ledger_recipients: file.ledger.recipients,
        state,
    })
}

impl Settings {
    /// Where the ledger is. Asked for late, so that a run without planting needs no place for one.
    ///
    /// # Errors
    /// When no place is known, or it lies in a git work tree, where the ledger could be committed.
    pub fn ledger(&self) -> Result<&LedgerPlace, ConfigError> {
        let place = self.ledger.as_ref().ok_or(ConfigError::NoLedgerPlace)?;
        match place {
            LedgerPlace::File(path) => match work_tree_of(path) {
                Some(work_tree) => Err(ConfigError::LedgerInWorkTree { path: path.clone(), work_tree }),
                None => Ok(place),
            },
            LedgerPlace::Url(_) => Ok(place),
        }
    }

    /// What the image is: as set, else the name of its first destination.
    #[must_use]
    pub fn service_of(&self, destination: Option<&Reference>) -> Option<String> {
        self.service.clone().or_else(|| destination.map(Reference::name))
    }

    /// What to do for the environment of this run. Without a configured environment, any name will do.
    ///
    /// # Errors
    /// When environments are configured and the named one is not among them.
    pub fn plan(&self) -> Result<EnvironmentPlan, ConfigError> {
        let name = match (&self.environment, self.environments.len()) {
            (Some(name), _) if !reader::is_environment(name) => return Err(ConfigError::EnvironmentName { name: name.clone() }),
            (Some(name), _) => name.clone(),
            (None, 1) => self.environments.keys().next().cloned().unwrap_or_default(),
            (None, 2..) if self.to.is_empty() => {
                return Err(ConfigError::NoEnvironment { known: self.environments.keys().cloned().collect() });
            }
            (None, _) => DEFAULT_ENVIRONMENT.to_owned(),
        };
        let environment = match self.environments.get(&name) {
            Some(environment) => environment.clone(),
            None if self.environments.is_empty() || (self.environment.is_none() && !self.to.is_empty()) => Environment::default(),
            None => {
                let suggestion = nearest(&name, self.environments.keys().map(String::as_str)).map(str::to_owned);
                let known = self.environments.keys().cloned().collect();
                return Err(ConfigError::UnknownEnvironment { name, suggestion, known });
            }
        };
        let surfaces = if self.surfaces.is_empty() { environment.surfaces.unwrap_or(Surface::ALL.to_vec()) } else { self.surfaces.clone() };
        let to = if self.to.is_empty() { environment.to } else { self.to.clone() };
        let (tokens, promotion) = (environment.tokens.unwrap_or_default(), environment.promotion.unwrap_or_default());
        Ok(EnvironmentPlan { name, to, surfaces, kinds: environment.kinds, tokens, promotion, providers: environment.providers })
    }
}

/// What variables say, with the problems met while reading them.
struct Said<'a> {
    variables: &'a Variables,
    problems: Vec<Problem>,
}

impl Said<'_> {
    fn text(&self, variable: Variable) -> Option<String> {
        self.variables.get(variable).map(str::to_owned)
    }

    fn parsed<T: FromStr<Err = String>>(&mut self, variable: Variable) -> Option<T> {
        match self.variables.get(variable)?.parse() {
            Ok(value) => Some(value),
            Err(what) => {
                self.problems.push(Problem { place: Place::Variable(variable.name), what, suggestion: None });
                None
            }
        }
    }

    fn is_host(&mut self, variable: Variable, text: &str) -> bool {
        let valid = reader::is_host(text);
        if !valid {
            let suggestion = Some("write host[:port]".to_owned());
            self.problems.push(Problem { place: Place::Variable(variable.name), what: "it is not a host".to_owned(), suggestion });
        }
        valid
    }
}

fn read_capped(path: &Path) -> Result<String, ConfigError> {
    let failed = |cause| ConfigError::Read { path: path.to_owned(), cause };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
    }
    Ok(text)
}

/// The git work tree that `path` lies in, links resolved as far as the path exists.
#[must_use]
pub fn work_tree_of(path: &Path) -> Option<PathBuf> {
    let existing = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok())?;
    existing.ancestors().find(|ancestor| ancestor.join(".git").exists()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::finding::Severity;

    fn variables(set: &[(Variable, &str)]) -> Variables {
        let mut variables = Variables::default();
        for (variable, value) in set {
            variables.set(*variable, (*value).to_owned());
        }
        variables
    }

    fn directory(config: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("scratch");
        std::fs::write(directory.path().join("honeycrate.yaml"), config).expect("write");
        directory
    }

    fn resolved(overrides: Overrides, variables: &Variables, directory: &Path) -> Settings {
        resolve(overrides, variables, directory, &Vocabulary::default()).expect("valid")
    }

    #[test]
    fn exceptions_of_both_files_count_and_problems_of_both_are_told() {
        let entry = "reason: a fixture, owner: ann, expires: 2027-01-31";
        let directory = directory(&format!("exceptions: [{{ rule: a, {entry} }}]\nbaseline: known.yaml\nignore-files: [.trivyignore]\n"));
        let ignore = directory.path().join(EXCEPTIONS_FILE);
        std::fs::write(&ignore, format!("- {{ rule: b, {entry} }}\n")).expect("write");
        let flags = || Overrides { ignore_files: vec!["x/.gitleaksignore".into()], ..Overrides::default() };
        let settings = resolved(flags(), &Variables::default(), directory.path());
        let sources: Vec<&str> = settings.exceptions.iter().map(|exception| exception.source.as_str()).collect();
        assert_eq!(sources, ["honeycrate.yaml:1", ".honeycrateignore:1"]);
        assert_eq!(settings.baseline, Some(directory.path().join("known.yaml")));
        assert_eq!(settings.ignore_files, [".trivyignore", "x/.gitleaksignore"].map(|name| directory.path().join(name)));
        std::fs::write(&ignore, "- { rule: b }\n").expect("write");
        let error = resolve(flags(), &Variables::default(), directory.path(), &Vocabulary::default()).expect_err("no reason");
        assert_eq!(error.problems().len(), 3, "{error}");
    }

    #[test]
    fn flags_go_over_variables_over_file_over_defaults() {
        let bare = tempfile::tempdir().expect("scratch");
        let directory = directory("fail-on: low\nservice: file\nrules: [a.yaml]\n");
        let low = variables(&[(vars::HONEYCRATE_FAIL_ON, "none")]);
        let flag = Overrides { fail_on: Some(FailOn::Severity(Severity::Critical)), rules: vec!["b.yaml".into()], ..Overrides::default() };
        let none = Variables::default();
        assert_eq!(resolved(Overrides::default(), &none, bare.path()).fail_on, FailOn::Severity(Severity::High));
        assert_eq!(resolved(Overrides::default(), &none, directory.path()).fail_on, FailOn::Severity(Severity::Low));
        assert_eq!(resolved(Overrides::default(), &low, directory.path()).fail_on, FailOn::None);
        let settings = resolved(flag, &low, directory.path());
        assert_eq!(settings.fail_on, FailOn::Severity(Severity::Critical));
        assert_eq!(settings.service.as_deref(), Some("file"));
        assert_eq!(settings.rules, [directory.path().join("a.yaml"), directory.path().join("b.yaml")]);
    }

    #[test]
    fn problems_of_file_and_variables_come_together() {
        let directory = directory("fial-on: low\n");
        let variables = variables(&[(vars::HONEYCRATE_FAIL_ON, "severe"), (vars::HONEYCRATE_DECOY, "http://x")]);
        let error = resolve(Overrides::default(), &variables, directory.path(), &Vocabulary::default()).expect_err("problems");
        assert_eq!(
            error.to_string(),
            "the configuration has 3 problems
  honeycrate.yaml:1:1: unknown key `fial-on` (did you mean `fail-on`?)
  HONEYCRATE_FAIL_ON: `severe` is not one of none, low, medium, high, critical
  HONEYCRATE_DECOY: it is not a host (write host[:port])"
        );
    }

    #[test]
    fn a_missing_file_matters_only_when_it_was_named() {
        let directory = tempfile::tempdir().expect("scratch");
        assert_eq!(resolved(Overrides::default(), &Variables::default(), directory.path()).config, None);
        let named = Overrides { config: Some("other.yaml".into()), ..Overrides::default() };
        let error = resolve(named, &Variables::default(), directory.path(), &Vocabulary::default()).expect_err("missing");
        assert!(matches!(error, ConfigError::Read { .. }), "{error}");
    }

    #[test]
    fn a_file_over_the_cap_is_refused() {
        let directory = directory(&"#".repeat(usize::try_from(MAX_BYTES).expect("small") + 1));
        let error = resolve(Overrides::default(), &Variables::default(), directory.path(), &Vocabulary::default()).expect_err("too large");
        assert!(matches!(error, ConfigError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn a_ledger_in_a_work_tree_is_refused() {
        let directory = directory("ledger: { path: state/ledger.sqlite }\n");
        let settings = resolved(Overrides::default(), &Variables::default(), directory.path());
        assert_eq!(settings.ledger().expect("no work tree").to_string(), directory.path().join("state/ledger.sqlite").display().to_string());
        std::fs::create_dir(directory.path().join(".git")).expect("create");
        let error = settings.ledger().expect_err("in a work tree");
        assert!(matches!(error, ConfigError::LedgerInWorkTree { .. }), "{error}");
    }

    #[test]
    fn default_places_follow_home_and_state() {
        let directory = tempfile::tempdir().expect("scratch");
        let home = variables(&[(vars::HOME, "/nowhere/ann")]);
        let settings = resolved(Overrides::default(), &home, directory.path());
        assert_eq!(
            settings.ledger().expect("a place").to_string(),
            Path::new("/nowhere/ann/.local/state/honeycrate/ledger.sqlite").display().to_string()
        );
        assert_eq!(settings.key_file.as_deref(), Some(Path::new("/nowhere/ann/.config/honeycrate/key")));
        let state = variables(&[(vars::HOME, "/nowhere/ann"), (vars::XDG_STATE_HOME, "/nowhere/state")]);
        let settings = resolved(Overrides::default(), &state, directory.path());
        assert_eq!(settings.ledger().expect("a place").to_string(), Path::new("/nowhere/state/honeycrate/ledger.sqlite").display().to_string());
        let settings = resolved(Overrides::default(), &Variables::default(), directory.path());
        assert!(matches!(settings.ledger(), Err(ConfigError::NoLedgerPlace)));
    }

    #[test]
    fn a_plan_puts_flags_over_the_environments_own() {
        let directory = directory("environments: { production: { to: [ghcr.io/a/b:1], surfaces: [env] }, staging: {} }\n");
        let production = Overrides { environment: Some("production".to_owned()), ..Overrides::default() };
        let plan = resolved(production.clone(), &Variables::default(), directory.path()).plan().expect("a plan");
        assert_eq!((plan.to[0].to_string().as_str(), plan.surfaces.as_slice()), ("ghcr.io/a/b:1", [Surface::Env].as_slice()));
        let to = Overrides { to: vec!["ghcr.io/a/c:2".parse().expect("reference")], ..production };
        let plan = resolved(to, &Variables::default(), directory.path()).plan().expect("a plan");
        assert_eq!(plan.to[0].to_string(), "ghcr.io/a/c:2");
        let typo = Overrides { environment: Some("prodution".to_owned()), ..Overrides::default() };
        let error = resolved(typo, &Variables::default(), directory.path()).plan().expect_err("unknown");
        assert_eq!(error.hint().as_deref(), Some("did you mean `production`?"));
    }

    #[test]
    fn an_environment_needs_a_name_that_can_be_traced() {
        let directory = directory("environments: { production: {}, staging: {} }\n");
        let error = resolved(Overrides::default(), &Variables::default(), directory.path()).plan().expect_err("two to choose from");
        assert_eq!(error.hint().as_deref(), Some("add --env with one of production, staging"));
        for name in ["", "Prod uction", "Production"] {
            let named = Overrides { environment: Some(name.to_owned()), ..Overrides::default() };
            let error = resolved(named, &Variables::default(), directory.path()).plan().expect_err(name);
            assert!(matches!(error, ConfigError::EnvironmentName { .. }), "{error}");
        }
    }
}
