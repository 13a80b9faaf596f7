//! From flags to what the journeys need: settings, keys, doors to the world.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::ColorChoice;

use crate::alert::sinks;
use crate::bait::host::DecoyHost;
use crate::bait::kinds::KINDS;
use crate::cli::args::{Global, Registries as RegistryFlags, Switch};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::rule_files;
use crate::cli::scratch::{Scratch, give_up_at_end};
use crate::cli::terminal::Terminal;
use crate::cli::work_tree;
use crate::config::error::ConfigError;
use crate::config::file::{CacheChoice, Upload, Vocabulary};
use crate::config::key;
use crate::config::resolve::{Overrides, Settings, resolve};
use crate::config::vars::{self, Variables};
use crate::forge::ci::{Asks, CiContext, ForgeKind, Visibility};
use crate::forge::contract::Forge;
use crate::forge::error::ForgeError;
use crate::ledger::place::{Doors, Ledger, Place as LedgerPlace};
use crate::ledger::record::Context;
use crate::ledger::stores;
use crate::ledger::stores::contract::Store;
use crate::net::client::{HttpClient, NetSettings, Purpose};
use crate::oci::location::Location;
use crate::pipeline::progress::Progress;
use crate::pipeline::session::{Rules, Session};
use crate::pipeline::tell::Desk;
use crate::pipeline::under_way::UnderWay;
use crate::pipeline::vendor_tokens::VendorTokens;
use crate::pipeline::vendors::Asking;
use crate::policy::baseline::{self, Baseline};
use crate::policy::foreign;
use crate::policy::gate::Policy;
use crate::provider::PROVIDERS;
use crate::reader::cache::Cache;
use crate::registry::access::Access;
use crate::registry::credentials::{CredentialSettings, Credentials};
use crate::registry::registries::Registries;
use crate::report::disclosure::Disclosure;
use crate::scan::foreign_rules::contract::{self, LeftOut};
use crate::secret::fingerprint::FingerprintKey;
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;

/// The settings of one command, with the environment that they came from.
pub struct Setup {
    pub settings: Settings,
    /// What the CI job, or else the work tree, says of itself.
    pub ci: CiContext,
    variables: Variables,
    quiet: bool,
    forge: OnceLock<Result<Option<Arc<dyn Forge>>, String>>,
}

impl Setup {
    /// Settings from the file, the environment and the flags that every command takes.
    ///
    /// # Errors
    /// With every problem of the configuration.
    pub fn new(global: &Global) -> Result<Self, Failure> {
        Self::with(global, Overrides::default(), &here())
    }

    /// The same under a command's own flags, where `directory` holds the configuration and what relative paths lead to.
    ///
    /// # Errors
    /// With every problem of the configuration.
    pub fn with(global: &Global, overrides: Overrides, directory: &Path) -> Result<Self, Failure> {
        let overrides = Overrides {
            // A policy that was fetched goes over the one that is named.
            config: overrides.config.or_else(|| global.config.clone()),
            ledger: global.ledger.clone(),
            cache: global.cache.clone().map(CacheChoice::from),
            key_file: global.key_file.clone(),
            ..overrides
        };
        overrides.ledger.as_deref().map_or(Ok(()), |text| refuse_password(&LedgerPlace::read(text, directory)))?;
        let variables = Variables::of_process();
        let kinds = KINDS.iter().map(|kind| (kind.id(), kind.surfaces().to_vec())).collect();
        let sinks = sinks::KINDS.iter().map(|(id, _)| *id).collect();
        let settings = resolve(overrides, &variables, directory, &Vocabulary { kinds, sinks, providers: provider_vocabulary() })?;
        let event = variables.get(vars::GITHUB_EVENT_PATH).and_then(|path| std::fs::read_to_string(path).ok());
        let ci = CiContext::detect(&variables.public(), event.as_deref(), &work_tree::facts(&here()));
        Ok(Self { settings, ci, variables, quiet: global.quiet, forge: OnceLock::new() })
    }

    /// The owner's keys.
    ///
    /// # Errors
    /// When there are none, or they cannot be used.
    pub fn keys(&self) -> Result<KeyRing, Failure> {
        Ok(key::key_ring(&self.settings)?)
    }

    /// The owner's keys, for commands that can do without.
    ///
    /// # Errors
    /// When there are keys that cannot be used.
    pub fn keys_if_any(&self) -> Result<Option<KeyRing>, Failure> {
        match key::key_ring(&self.settings) {
            Ok(ring) => Ok(Some(ring)),
            Err(ConfigError::KeyMissing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Where the key file is or would be.
    ///
    /// # Errors
    /// When no home directory is known and no place was given.
    pub fn key_file(&self) -> Result<PathBuf, Failure> {
        self.settings.key_file.clone().ok_or_else(|| Failure::usage("no place for the key is known: HOME is not set", "give one with --key-file"))
    }

    /// The ledger, for reading.
    ///
    /// # Errors
    /// When there is none yet, or it cannot be read.
    pub fn ledger_to_read(&self) -> Result<Box<dyn Store>, Failure> {
        Ok(stores::open_to_read(&self.ledger()?)?)
    }

    /// The ledger, unopened, with all doors that it may need.
    ///
    /// # Errors
    /// When no place for it is known, or keys or certificates cannot be used.
    pub fn ledger(&self) -> Result<Ledger, Failure> {
        self.with_doors(self.settings.ledger()?.clone())
    }

    /// Another ledger than that of the settings, as the command line names it.
    ///
    /// # Errors
    /// When the name holds a password, or keys or certificates cannot be used.
    pub fn ledger_at(&self, text: &Path) -> Result<Ledger, Failure> {
        let place = LedgerPlace::read(text, &here());
        refuse_password(&place)?;
        self.with_doors(place)
    }

    fn with_doors(&self, place: LedgerPlace) -> Result<Ledger, Failure> {
        let doors = match place {
            LedgerPlace::File(_) => Doors::default(),
            LedgerPlace::Url(_) => Doors {
                registries: Some(self.registries(&RegistryFlags::default())?),
                keys: self.keys_if_any()?,
                recipients: self.settings.ledger_recipients.clone(),
                ca_file: self.settings.registry.ca_file.clone(),
                password: self.variables.secret(vars::PGPASSWORD),
                password_file: self.variables.get(vars::PGPASSFILE).map(PathBuf::from).or_else(|| self.home().map(|home| home.join(".pgpass"))),
                state: self.settings.state.clone(),
            },
        };
        Ok(Ledger::new(place, doors))
    }

    /// Refuses images that come from or go to the repository that is the ledger.
    ///
    /// # Errors
    /// When one of them does.
    pub fn keep_apart<'a>(&self, images: impl IntoIterator<Item = &'a Location>) -> Result<(), Failure> {
        let Ok(place) = self.settings.ledger() else { return Ok(()) };
        let ledger = match place.repository() {
            None => return Ok(()),
            Some(Ok(ledger)) => ledger.name(),
            Some(Err(cause)) => return Err(Failure::usage(format!("ledger {place}: {cause}"), "name it oci://registry/repository")),
        };
        let is_it = |image: &&Location| matches!(image, Location::Registry(reference) if reference.name() == ledger);
        match images.into_iter().find(is_it) {
            None => Ok(()),
            Some(image) => Err(Failure::usage(
                format!("{image} is in the repository of the ledger: whoever pulls images there would read its list of records"),
                "give the ledger a private repository of its own, with --ledger or `ledger.url`",
            )),
        }
    }

    /// Everything that journeys share, and the scratch folder that is removed when it is dropped.
    ///
    /// # Errors
    /// When keys, rules, certificates or credentials cannot be used.
    pub fn session(&self, flags: &RegistryFlags) -> Result<(Session, Scratch), Failure> {
        let unwritable = |cause| {
            Failure::usage(format!("cannot use {}: {cause}", self.settings.scratch.display()), "point TMPDIR to a folder that may be written")
        };
        let scratch = Scratch::new("honeycrate-", &self.settings.scratch).map_err(unwritable)?;
        let access = Access {
            registries: self.registries(flags)?,
            docker_host: self.variables.get(vars::DOCKER_HOST).map(str::to_owned),
            scratch: scratch.path().to_owned(),
        };
        // Whether a value is bait, and what its fingerprint is, are answers that a stranger must not get: he could ask for any value.
        let keys = if self.ci.trusted() { self.keys_if_any()? } else { None };
        let (rules, left_out) = self.rules()?;
        let mut policy = self.policy()?;
        for line in contract::summary(&left_out) {
            if !self.quiet {
                anstream::eprintln!("note: of the rules, not taken over: {line}");
            }
            policy.not_taken_over.push(line);
        }
        let ledger = if self.ci.untrusted.is_none() && self.settings.ledger().is_ok() { Some(self.ledger()?) } else { None };
        let progress: Arc<dyn Progress> = Arc::new(Terminal::new(self.quiet));
        let session = Session {
            access,
            rules,
            policy,
            cache: self.cache(keys.as_ref()),
            fingerprint_key: keys.as_ref().map(FingerprintKey::of),
            vendor_tokens: VendorTokens::of(keys.as_ref(), ledger.as_ref(), &progress),
            keys,
            ledger,
            context: self.context(),
            untrusted: self.ci.untrusted,
            progress,
            under_way: UnderWay::default(),
            hold: self.settings.registry.upload == Upload::AfterVerdict,
            threads: std::thread::available_parallelism().map_or(2, usize::from).min(8),
            asking: Asking::Off,
            reader: Some(PathBuf::from("/proc/self/exe")),
        };
        give_up_at_end(&session.under_way);
        Ok((session, scratch))
    }

    /// What was scanned before. Without the owner's key nobody can tell who wrote an entry: then a cache is used only where strangers' code does
    /// not run, and in CI only where somebody wants it.
    fn cache(&self, keys: Option<&KeyRing>) -> Option<Arc<Cache>> {
        let folder = self.settings.cache.as_ref()?;
        let refused = |why: String| {
            if !self.quiet {
                anstream::eprintln!("note: no scan results are kept or used: {why}");
            }
        };
        if keys.is_none() {
            match self.ci.untrusted {
                Some(why) if folder.chosen => {
                    refused(format!("without the owner's key they could be a stranger's, and {why}"));
                    return None;
                }
                Some(_) => return None,
                None if self.ci.visibility != Visibility::Local && !folder.chosen => return None,
                None => {}
            }
        }
        Cache::open(&folder.path, keys).map_err(|error| refused(error.to_string())).ok().map(Arc::new)
    }

    /// A session that asks vendors about what it finds, if the command line or else the file wants it, and it may be. Then nothing leaves before
    /// the verdict: a credential that is alive weighs more than the scan of its layer could know.
    ///
    /// # Errors
    /// As [`Setup::session`].
    pub fn session_that_asks(&self, flags: &RegistryFlags, wanted: Option<Switch>) -> Result<(Session, Scratch), Failure> {
        let (session, scratch) = self.session(flags)?;
        let asking = match self.ci.asks {
            _ if !wanted.map_or(self.settings.validate, |wanted| wanted == Switch::On) => Asking::Off,
            Asks::Nobody(why) => Asking::Refused(why.to_owned()),
            Asks::CommandLine(why) if wanted.is_none() => {
                Asking::Refused(format!("{why}, so that `validate` in a file counts for nothing: give --validate on the command line of the job"))
            }
            Asks::CommandLine(_) | Asks::Anybody => Asking::on(vendors()?),
        };
        let hold = session.hold || asking.is_on();
        Ok((Session { asking, hold, ..session }, scratch))
    }

    fn home(&self) -> Option<PathBuf> {
        self.variables.get(vars::HOME).map(PathBuf::from)
    }

    /// The wire, as flags and file want it.
    ///
    /// # Errors
    /// When certificates cannot be used.
    pub fn http(&self) -> Result<HttpClient, Failure> {
        let home = self.variables.get(vars::HOME).map(PathBuf::from);
        let certs_dirs = home.iter().map(|home| home.join(".config/docker/certs.d")).chain([PathBuf::from("/etc/docker/certs.d")]).collect();
        let settings = NetSettings {
            ca_file: self.settings.registry.ca_file.clone(),
            certs_dirs,
            plain_http_hosts: self.settings.registry.plain_http.clone(),
            ..NetSettings::default()
        };
        HttpClient::new(settings).map_err(|error| Failure::usage(error.to_string(), error.hint().unwrap_or_default()))
    }

    /// The registries, as flags and file want them.
    ///
    /// # Errors
    /// When certificates or credentials cannot be used.
    pub fn registries(&self, flags: &RegistryFlags) -> Result<Registries, Failure> {
        let credentials = CredentialSettings {
            explicit: explicit(flags)?,
            environment: self.variables.for_registries(),
            home: self.variables.get(vars::HOME).map(PathBuf::from),
        };
        let allowed = self.settings.registry.allow_realm.iter().chain(&flags.allow_realm).cloned().collect();
        Ok(Registries::new(self.http()?, Credentials::new(credentials), allowed))
    }

    /// The built-in rules and the user's, and what of these is not taken over.
    ///
    /// # Errors
    /// With every problem of the user's rules.
    pub fn rules(&self) -> Result<(Rules, Vec<LeftOut>), Failure> {
        if self.settings.rules.is_empty() {
            return Ok((Rules::BuiltIn, Vec::new()));
        }
        let (rules, left_out) = rule_files::load(&self.settings.rules)?;
        Ok((Rules::Own(Arc::new(rules)), left_out))
    }

    /// What may pass, by the configuration and the files that it names.
    ///
    /// # Errors
    /// When one of these cannot be read or is not what it should be.
    fn policy(&self) -> Result<Policy, Failure> {
        let Settings { fail_on, inline_allow, enforce, .. } = self.settings;
        let baseline = self.settings.baseline.as_deref().map(read_baseline).transpose()?;
        let mut exceptions = self.settings.exceptions.clone();
        let mut not_taken_over = Vec::new();
        for path in &self.settings.ignore_files {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let text = read_capped(path, foreign::MAX_BYTES, "check `ignore-files` in the configuration and --ignore-file")?;
            let taken = foreign::read(&name, &text).map_err(|why| {
                let known = foreign::TABLE.iter().map(|format| format.id()).collect::<Vec<_>>().join(", ");
                Failure::usage(format!("{} cannot be taken over: {why}", path.display()), format!("these can: {known}"))
            })?;
            exceptions.extend(taken.exceptions);
            not_taken_over.extend(taken.left_out);
        }
        Ok(Policy { fail_on, inline_allow, enforce, exceptions, baseline, not_taken_over, ..Policy::default() })
    }

    /// A credential of a provider, by the name of its variable.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.variables.secret_named(name)
    }

    /// The release that is shipped: what the environment names, or the tag that the job runs for.
    #[must_use]
    pub fn release(&self) -> Option<String> {
        let tag = self.variables.get(vars::GITHUB_REF).and_then(|name| name.strip_prefix("refs/tags/"));
        self.variables.get(vars::HONEYCRATE_RELEASE).or(tag).or(self.variables.get(vars::CI_COMMIT_TAG)).map(str::to_owned)
    }

    /// Who is at the keyboard, as the system says.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        self.variables.get(vars::USER).map(str::to_owned)
    }

    /// What the CI job says of the build.
    fn context(&self) -> Context {
        let ci = self.ci.clone();
        Context { commit: ci.commit, repository: ci.repository, job: ci.job }
    }

    /// What may be printed where it was asked for: the terminal and the log of a job are read by whoever may read the job.
    #[must_use]
    pub fn disclosure(&self) -> Disclosure {
        Disclosure::decide(self.settings.disclosure.wanted(), self.ci.visibility)
    }

    /// The job's forge: the same at every call, so that all of a run is asked in one bounded time. `None` outside of a job. Must be called inside
    /// a tokio runtime.
    ///
    /// # Errors
    /// When there is no token, or its API cannot be spoken to; as text, since no run ends by it.
    pub fn forge(&self) -> Result<Option<Arc<dyn Forge>>, String> {
        self.forge.get_or_init(|| self.open_forge().map(|forge| forge.map(Arc::from))).clone()
    }

    fn open_forge(&self) -> Result<Option<Box<dyn Forge>>, String> {
        let (name, api, token) = match self.ci.forge {
            Some(ForgeKind::GitHub) => ("GitHub", self.variables.get(vars::GITHUB_API_URL).unwrap_or("https://api.github.com"), vars::GITHUB_TOKEN),
            Some(ForgeKind::GitLab) => {
                ("GitLab", self.variables.get(vars::CI_API_V4_URL).unwrap_or("https://gitlab.com/api/v4"), vars::HONEYCRATE_GITLAB_TOKEN)
            }
            None => return Ok(None),
        };
        let url = url::Url::parse(api).map_err(|_| format!("`{api}` is no address"))?;
        let client = self.http().map_err(|failure| failure.to_string())?.for_host(&url, Purpose::Api).map_err(|error| error.to_string())?;
        let desk = Desk { client, api: api.to_owned(), token: self.variables.secret(token), job_token: self.variables.secret(vars::CI_JOB_TOKEN) };
        let forge = desk.forge(&self.ci).map_err(|error| error.in_one_line())?;
        forge.map(Some).ok_or_else(|| ForgeError::NoToken { forge: name }.in_one_line())
    }

    /// The working directory as it was entered, links unresolved, and the folders in which a job's checkout lies.
    #[must_use]
    pub fn trees(&self) -> (PathBuf, Vec<PathBuf>) {
        let path = |variable| self.variables.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let real = here();
        let entered = path(vars::PWD).filter(|entered| entered.canonicalize().is_ok_and(|there| there == real));
        let trees = [vars::GITHUB_WORKSPACE, vars::CI_PROJECT_DIR].into_iter().filter_map(path).collect();
        (entered.unwrap_or(real), trees)
    }

    /// The configuration that the environment names.
    #[must_use]
    pub fn config_variable(&self) -> Option<PathBuf> {
        self.variables.get(vars::HONEYCRATE_CONFIG).map(PathBuf::from)
    }

    /// The certificates that the environment names.
    #[must_use]
    pub fn ca_file_variable(&self) -> Option<PathBuf> {
        self.variables.get(vars::HONEYCRATE_CA_FILE).map(PathBuf::from)
    }

    /// The decoy's host.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn decoy(&self) -> Result<Option<DecoyHost>, Failure> {
        let host = self.settings.decoy_host.as_deref().map(str::parse::<DecoyHost>).transpose();
        host.map_err(|error| Failure::usage(error.to_string(), error.hint()))
    }
}

/// The providers that a configuration may name, with what can be set for each.
#[must_use]
pub fn provider_vocabulary() -> Vec<(&'static str, Vec<&'static str>)> {
    PROVIDERS.iter().map(|row| (row.id, row.settings.iter().map(|(name, _)| *name).collect())).collect()
}

/// The wire to vendors. Authorities that a configuration adds are for registries and forges: who writes one, such as the author of a tree that
/// somebody scans, must not be able to read along. The system's authorities count, with `SSL_CERT_FILE` and `SSL_CERT_DIR`.
///
/// # Errors
/// When certificates cannot be used.
pub fn vendors() -> Result<HttpClient, Failure> {
    HttpClient::new(NetSettings::default()).map_err(|error| Failure::usage(error.to_string(), error.hint().unwrap_or_default()))
}

/// A baseline, by its name as findings tell it.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read_baseline(path: &Path) -> Result<Baseline, Failure> {
    let text = read_capped(path, baseline::MAX_BYTES, "write it with `honeycrate baseline write`")?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Baseline::parse(&text, &name)
        .map_err(|error| Failure::usage(format!("{} cannot be used: {error}", path.display()), "`honeycrate baseline write` writes a valid one"))
}

fn read_capped(path: &Path, limit: u64, hint: &str) -> Result<String, Failure> {
    let failed = |why: String| Failure::usage(format!("cannot read {}: {why}", path.display()), hint);
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|cause| failed(cause.to_string()))?;
    file.take(limit + 1).read_to_string(&mut text).map_err(|cause| failed(cause.to_string()))?;
    if text.len() as u64 > limit {
        return Err(failed(format!("it is larger than {limit} bytes")));
    }
    Ok(text)
}

/// A command line is read by every user of the machine.
fn refuse_password(place: &LedgerPlace) -> Result<(), Failure> {
    let hint = "put the URL into HONEYCRATE_LEDGER, or its password into PGPASSWORD or ~/.pgpass";
    let refused = || Failure::usage(format!("the ledger {place} comes with its password, which every user of this machine could read"), hint);
    if place.has_password() { Err(refused()) } else { Ok(()) }
}

/// Credentials given with flags: a password is never an argument, which every user of the machine could read.
fn explicit(flags: &RegistryFlags) -> Result<Option<(String, Secret)>, Failure> {
    let Some(user) = &flags.username else { return Ok(None) };
    let mut password = zeroize::Zeroizing::new(String::new());
    let read = match &flags.password_file {
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(64 << 10).read_to_string(&mut password)),
        None if flags.password_stdin => std::io::stdin().lock().take(64 << 10).read_to_string(&mut password),
        None => return Err(Failure::usage("--username is given without a password", "add --password-stdin or --password-file FILE")),
    };
    read.map_err(|cause| Failure::new(Exit::Usage, format!("cannot read the password: {cause}"), ""))?;
    Ok(Some((user.clone(), Secret::new(password.trim_end_matches(['\n', '\r']).to_owned()))))
}

/// The working directory; relative paths are as good where it is not known.
#[must_use]
pub fn here() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| Path::new(".").to_owned())
}

/// Colours as `--color` says; on `auto`, as the terminal, `NO_COLOR` and `CLICOLOR` say.
pub fn colours(choice: ColorChoice) {
    let choice = match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}
