//! What a bait kind is: a credential type, the texts that carry it, and how it is known again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::host::DecoyHost;
use crate::bait::seed::Seed;
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;
use crate::bait::token::{Codes, Layout, Names, Sealed};
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::{EpochKey, KeyRing};
use crate::secret::value::Secret;

/// One credential type that can be bait.
pub trait BaitKind: Sync {
    /// Stable, in kebab case.
    fn id(&self) -> &'static str;

    /// What a thief thinks it opens.
    fn describe(&self) -> &'static str;

    /// Where its texts look natural.
    fn surfaces(&self) -> &'static [Surface];

    /// The field that identifies it.
    fn identifying(&self) -> &'static str;

    /// The text of a file that holds it.
    fn file_text(&self, fields: &Fields<'_>) -> String;

    /// The syntax of that text, where settings can stand around it.
    fn syntax(&self) -> Syntax {
        Syntax::Bare
    }

    /// Where such a file could lie, most natural first. No tool reads these by itself.
    fn file_spots(&self) -> &'static [Spot];

    /// The same for a file that a later layer deletes: no container sees it, so it may have the name that tools read.
    fn buried_spots(&self) -> &'static [Spot] {
        self.file_spots()
    }

    /// What its variables' names begin with, most natural first. No SDK reads the names.
    fn variable_stems(&self) -> &'static [&'static str];

    /// Its variables: what each name ends with, and the value. The first identifies the placement.
    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)>;

    /// The name of the build argument that it leaks through on the history surface. A container does not have it.
    fn build_argument(&self) -> &'static str;

    /// Which scanners find its texts.
    fn seen_by(&self) -> Seen;

    /// The same kind as one whose tokens tell themselves. `None` for those that only a vendor makes.
    fn self_telling(&self) -> Option<&dyn SelfTelling> {
        None
    }
}

/// A kind whose tokens are sealed under the owner's key: they tell themselves what they are, and lead to the owner's decoy.
pub trait SelfTelling: BaitKind {
    /// The label of the decoy's host for it: `registry`, `git` …
    fn service(&self) -> &'static str;

    /// The sealed part of the credential.
    fn layout(&self) -> &'static Layout;

    /// The credential in its fields. Its texts are made of them and of nothing else.
    fn mint(&self, recipe: &Recipe<'_>) -> Vec<(&'static str, Secret)>;

    /// The honeytoken of a recipe.
    fn token(&self, recipe: &Recipe<'_>) -> Honeytoken {
        let fields: Vec<(String, Secret)> = self.mint(recipe).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let identifying = Fields::new(&fields).get(self.identifying());
        let fingerprint = Fingerprint::of_token(recipe.key, self.sealed(identifying).unwrap_or(identifying));
        Honeytoken { claims: recipe.claims.clone(), fields, handle: Vec::new(), host: recipe.host.name(self.service()), fingerprint }
    }

    /// How a thief would use it first.
    fn usage(&self, fields: &Fields<'_>, scheme: &str) -> Usage;

    /// The sealed part within a presented text, when the text has this credential's shape.
    fn sealed<'a>(&self, presented: &'a str) -> Option<&'a str>;

    /// What `presented` says, when it is a token of this kind.
    fn recognise(&self, ring: &KeyRing, presented: &str) -> Option<Opened> {
        let sealed = self.sealed(presented)?;
        let Sealed { codes, names } = self.layout().open(ring, sealed)?;
        let fingerprint = Fingerprint::of_token(ring.epoch(codes.epoch)?, sealed);
        Some(Opened { kind: self.id(), codes, names, fingerprint })
    }
}

/// The first use of a credential.
#[derive(Debug, PartialEq, Eq)]
pub enum Usage {
    /// A GET with these headers. A login within the URL counts as one.
    Web { url: String, headers: Vec<(&'static str, String)> },
    /// A login at the database that the URL names.
    Database { url: String },
}

impl Usage {
    fn with(url: String, name: &'static str, value: String) -> Self {
        Self::Web { url, headers: vec![(name, value)] }
    }

    /// A GET with a user and a password.
    #[must_use]
    pub fn basic(url: String, user: &str, password: &str) -> Self {
        Self::with(url, "authorization", format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    /// A GET with a bearer token.
    #[must_use]
    pub fn bearer(url: String, token: &str) -> Self {
        Self::with(url, "authorization", format!("Bearer {token}"))
    }

    /// A GET with a header of its own.
    #[must_use]
    pub fn header(url: String, name: &'static str, value: &str) -> Self {
        Self::with(url, name, value.to_owned())
    }
}

/// What to mint.
#[derive(Debug)]
pub struct Recipe<'a> {
    pub key: &'a EpochKey,
    pub claims: &'a Claims,
    pub host: &'a DecoyHost,
    /// When the image was built, seconds since 1970.
    pub created: i64,
    pub codes: Codes,
    pub seed: Seed,
}

/// The fields of a minted credential, for rendering.
pub struct Fields<'a>(&'a [(String, Secret)]);

/// A place for a file: a part of the image, and a path below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot(pub Area, pub &'static str);

/// A part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Where the application lives.
    App,
    /// A home directory.
    Home,
    /// Beside the application: `/opt` or `/srv`.
    Side,
}

/// Whether each scanner finds a kind: the rule that fires, or why none does. Tried with gitleaks 8.30.1, TruffleHog of August 2026,
/// Kingfisher 2.14.0 and Trivy 0.67.2, on the kind's file, variables and build argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub gitleaks: Result<&'static str, &'static str>,
    pub trufflehog: Result<&'static str, &'static str>,
    pub kingfisher: Result<&'static str, &'static str>,
    pub trivy: Result<&'static str, &'static str>,
}

impl Seen {
    /// Whether any of them finds it. What none takes for a credential is bait for people who read.
    #[must_use]
    pub fn by_any(&self) -> bool {
        self.gitleaks.is_ok() || self.trufflehog.is_ok() || self.kingfisher.is_ok()
    }
}

/// What a presented token turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The id of its kind.
    pub kind: &'static str,
    pub codes: Codes,
    pub names: Option<Names>,
    /// The same as [`Honeytoken::fingerprint`] of that token.
    pub fingerprint: Fingerprint,
}

impl<'a> Recipe<'a> {
    #[must_use]
    pub fn new(key: &'a EpochKey, claims: &'a Claims, host: &'a DecoyHost, created: i64) -> Self {
        Self { key, claims, host, created, codes: Codes::of(key, claims), seed: Seed::of(key, claims) }
    }

    /// The sealed part of this token.
    #[must_use]
    pub fn seal(&self, layout: &Layout) -> String {
        layout.seal(self.key, self.codes, &self.claims.service, &self.claims.environment)
    }

    /// The service's own name, as people write it in paths and user names: `ghcr.io/acme/Shop` gives `shop`.
    #[must_use]
    pub fn name(&self) -> String {
        self.part(0).unwrap_or_else(|| "app".to_owned())
    }

    /// Who the service belongs to: `ghcr.io/acme/shop` gives `acme`.
    #[must_use]
    pub fn group(&self) -> String {
        self.part(1).filter(|part| !part.contains('.')).unwrap_or_else(|| "platform".to_owned())
    }

    /// A number of `digits` digits that does not begin with 0.
    #[must_use]
    pub fn number(&self, purpose: &str, digits: u32) -> usize {
        let least = 10_usize.pow(digits.saturating_sub(1));
        least + self.seed.below(purpose, least * 9)
    }

    /// One of several words.
    #[must_use]
    pub fn word(&self, purpose: &str, words: &[&'static str]) -> &'static str {
        self.seed.pick(purpose, words).unwrap_or_default()
    }

    fn part(&self, from_end: usize) -> Option<String> {
        let part = self.claims.service.rsplit('/').nth(from_end)?;
        let kept = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
        let part: String = part.split([':', '@']).next()?.chars().take(40).map(kept).collect();
        let part = part.trim_matches(['-', '.']).to_owned();
        (!part.is_empty()).then_some(part)
    }
}

impl<'a> Fields<'a> {
    #[must_use]
    pub fn of(token: &'a Honeytoken) -> Self {
        Self(&token.fields)
    }

    #[must_use]
    pub fn new(fields: &'a [(String, Secret)]) -> Self {
        Self(fields)
    }

    /// The value of a field, to be written into bait. Empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &'a str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.expose())
    }
}
