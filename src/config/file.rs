//! The shape of `honeycrate.yaml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use crate::bait::surfaces::Surface;
use crate::oci::reference::Reference;
use crate::policy::exception::Exception;
use crate::policy::gate::{Enforce, FailOn, InlineAllow};
use crate::report::disclosure::Disclosure;
use crate::secret::value::Secret;

/// What a configuration may name although other rooms define it.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    /// The ids of bait kinds, with the surfaces that each can lie on.
    pub kinds: Vec<(&'static str, Vec<Surface>)>,
    /// The ids of alert sinks.
    pub sinks: Vec<&'static str>,
    /// The ids of providers, with what can be set for each.
    pub providers: Vec<(&'static str, Vec<&'static str>)>,
}

/// `honeycrate.yaml`, as written. `None` and empty mean that the default holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigFile {
    pub service: Option<String>,
    pub decoy_host: Option<String>,
    pub providers: ProviderChoice,
    pub fail_on: Option<FailOn>,
    pub enforce: Option<Enforce>,
    pub environments: BTreeMap<String, Environment>,
    /// A place of the user's own for each surface: a path for `file` and `buried`, a name for `env` and `history`.
    pub plant: BTreeMap<Surface, String>,
    pub exceptions: Vec<Exception>,
    /// As written: relative to the file's directory, as are the ignore files.
    pub baseline: Option<String>,
    /// Of other scanners.
    pub ignore_files: Vec<String>,
    pub inline_allow: Option<InlineAllow>,
    /// As written: relative to the file's directory.
    pub rules: Vec<String>,
    pub ledger: LedgerEntry,
    pub cache: Option<CacheChoice>,
    pub registry: RegistryEntry,
    pub alerts: Vec<AlertEntry>,
    pub disclosure: Option<DisclosureChoice>,
    pub validate: Option<bool>,
}

/// Where the ledger is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerEntry {
    /// A path relative to the file's directory, or a URL.
    pub place: Option<String>,
    /// Public keys of others who may read records that are sealed as a whole, as age writes them.
    pub recipients: Vec<String>,
}

/// Where images of one environment go, and what they carry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    pub to: Vec<Reference>,
    /// `None`: all.
    pub surfaces: Option<Vec<Surface>>,
    /// The kind of bait that a surface carries, where it is not the surface's own choice.
    pub kinds: BTreeMap<Surface, String>,
    pub tokens: Option<TokenPolicy>,
    pub promotion: Option<Promotion>,
    /// Who mints for a surface, where it is not the default provider.
    pub providers: BTreeMap<Surface, String>,
}

/// How long a token stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenPolicy {
    /// Until it is rotated, or the owner's key is.
    #[default]
    PerEpoch,
    /// Each release has its own.
    PerRelease,
    /// Each commit has its own.
    PerBuild,
}

impl FromStr for TokenPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "per-epoch" => Ok(Self::PerEpoch),
            "per-release" => Ok(Self::PerRelease),
            "per-build" => Ok(Self::PerBuild),
            _ => Err(format!("`{text}` is not one of per-epoch, per-release, per-build")),
        }
    }
}

/// What becomes of an image that comes with bait of another environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Promotion {
    /// It gets bait of its new environment besides.
    #[default]
    Plant,
    /// It goes on as it is, and the ledger learns of its new place.
    Record,
}

impl FromStr for Promotion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "plant" => Ok(Self::Plant),
            "record" => Ok(Self::Record),
            _ => Err(format!("`{text}` is not one of plant, record")),
        }
    }
}

/// Who mints, and how each is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderChoice {
    /// `None`: the embedded one.
    pub default: Option<String>,
    /// Takes the place of one that is down or has no tokens left. `None`: nobody does.
    pub fallback: Option<String>,
    /// By provider and name.
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
}

impl ProviderChoice {
    /// Who mints where nothing else is said.
    #[must_use]
    pub fn default_id(&self) -> &str {
        self.default.as_deref().unwrap_or("embedded")
    }
}

/// Which registries are spoken to how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryEntry {
    /// `host[:port]`.
    pub plain_http: Vec<String>,
    pub ca_file: Option<String>,
    /// Hosts of token services that may be on another domain than their registry.
    pub allow_realm: Vec<String>,
    pub upload: Option<Upload>,
}

/// When layers leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Upload {
    /// Each as soon as its own scan has passed, while the next is scanned.
    #[default]
    AsScanned,
    /// None before the whole image has passed.
    AfterVerdict,
}

impl FromStr for Upload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "as-scanned" => Ok(Self::AsScanned),
            "after-verdict" => Ok(Self::AfterVerdict),
            _ => Err(format!("`{text}` is not one of as-scanned, after-verdict")),
        }
    }
}

/// A receiver of alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertEntry {
    pub kind: String,
    pub path: Option<String>,
    /// Most webhook addresses hold a token.
    pub url: Option<Secret>,
}

/// Where results of earlier scans are kept, if at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheChoice {
    Off,
    /// As written.
    In(PathBuf),
}

impl From<PathBuf> for CacheChoice {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "off" { Self::Off } else { Self::In(path) }
    }
}

/// What published reports may say, as the owner asks; visibility has the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DisclosureChoice {
    #[default]
    Auto,
    Findings,
    Placements,
}

impl DisclosureChoice {
    /// The owner's wish; `None` leaves it to visibility.
    #[must_use]
    pub fn wanted(self) -> Option<Disclosure> {
        match self {
            Self::Auto => None,
            Self::Findings => Some(Disclosure::Findings),
            Self::Placements => Some(Disclosure::Placements),
        }
    }
}

impl FromStr for DisclosureChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "findings" => Ok(Self::Findings),
            "placements" => Ok(Self::Placements),
            _ => Err(format!("`{text}` is not one of auto, findings, placements")),
        }
    }
}
