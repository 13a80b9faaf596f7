//! What will be planted where: plain data, without a value, made before anything is changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bait::claims::Claims;
use crate::bait::danger::{Refusal, refuse_env, refuse_path};
use crate::bait::error::BaitError;
use crate::bait::history_style::{Grammar, HistoryStyle};
use crate::bait::kinds;
use crate::bait::kinds::contract::{BaitKind, Fields, Spot};
use crate::bait::realism::{Attributes, attributes, directory, variable_prefix};
use crate::bait::seed::Seed;
use crate::bait::surfaces::Surface;
use crate::image::entry::split;
use crate::image::file_tree::FileTree;
use crate::oci::config::{History, ImageConfig};
use crate::secret::key_ring::EpochKey;

/// Docker takes no image with more: overlay mounts 127, and two are a container's own.
///
/// Source: moby, `layer/layer_store.go`, `maxLayerDepth`.
pub const MAX_LAYERS: usize = 125;

/// What the owner asks for.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    pub service: String,
    pub environment: String,
    pub surfaces: Vec<Surface>,
    /// Bait kinds by surface, where the default is not wanted.
    pub kinds: BTreeMap<Surface, String>,
    /// A path, a variable's name or a build argument's name by surface, where the choice is not left to us.
    pub places: BTreeMap<Surface, String>,
    /// Who mints for a surface.
    pub minters: BTreeMap<Surface, Minter>,
    /// The edition of the token on a surface, where it is not the first.
    pub editions: BTreeMap<Surface, String>,
    /// When the image was built, seconds since 1970.
    pub created: i64,
}

/// Who mints, as far as a plan needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minter {
    /// The kinds that it mints, its favourite first, each with the host that such a token leads to.
    pub kinds: Vec<(&'static str, String)>,
}

impl Minter {
    /// The host that a token of this kind leads to.
    fn host(&self, kind: &str) -> Option<&str> {
        self.kinds.iter().find(|(id, _)| *id == kind).map(|(_, host)| host.as_str())
    }
}

/// The plan for one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePlan {
    pub platform: String,
    pub grammar: Grammar,
    /// Whether this builder writes variables into the history.
    pub writes_variables: bool,
    /// New history is inserted before this step of today's.
    pub history_at: usize,
    pub baits: Vec<PlannedBait>,
    /// Surfaces that were asked for and have no place in this image.
    pub skipped: Vec<Skipped>,
}

/// One bait to be planted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedBait {
    pub claims: Claims,
    /// The host that it leads to.
    pub host: String,
    pub place: Place,
}

/// Where a bait goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "lowercase")]
pub enum Place {
    /// A file, with no leading `/`. `source` is what the history says it was copied from.
    File { path: String, source: String, attributes: Attributes },
    /// Such a file, deleted by the next layer.
    Buried { path: String, source: String, attributes: Attributes },
    /// Variables, the identifying one first.
    Variables { names: Vec<String> },
    /// A build argument in the history.
    Argument { name: String },
}

/// A surface without bait, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub surface: Surface,
    pub why: String,
}

impl Place {
    /// How many layers this place takes.
    #[must_use]
    pub fn layers(&self) -> usize {
        match self {
            Self::File { .. } => 1,
            Self::Buried { .. } => 2,
            Self::Variables { .. } | Self::Argument { .. } => 0,
        }
    }

    /// The place in a few words: `/path`, a variable's or an argument's name.
    #[must_use]
    pub fn location(&self) -> String {
        match self {
            Self::File { path, .. } | Self::Buried { path, .. } => format!("/{path}"),
            Self::Variables { names } => names.join(", "),
            Self::Argument { name } => name.clone(),
        }
    }
}

impl PlanRequest {
    /// The honeytokens that this request needs, one for each surface: the same for every platform of an index.
    ///
    /// # Errors
    /// When a kind is unknown or does not fit its surface.
    pub fn claims(&self, key: &EpochKey) -> Result<Vec<Claims>, BaitError> {
        let wanted = Surface::ALL.into_iter().filter(|surface| self.surfaces.contains(surface));
        wanted.map(|surface| self.claims_on(surface, key)).collect()
    }

    fn host(&self, claims: &Claims) -> String {
        self.minters.get(&claims.surface).and_then(|minter| minter.host(&claims.kind)).unwrap_or_default().to_owned()
    }

    fn claims_on(&self, surface: Surface, key: &EpochKey) -> Result<Claims, BaitError> {
        let (service, environment) = (self.service.clone(), self.environment.clone());
        let mut claims = Claims {
            service,
            environment,
            surface,
            kind: String::new(),
            epoch: key.epoch(),
            edition: self.editions.get(&surface).cloned().unwrap_or_default(),
        };
        let defaults: &[&str] = match surface {
            Surface::File => &["registry-login"],
            Surface::Env => &["database-url", "https-url"],
            Surface::Buried => &["git-credentials", "npm-index"],
            Surface::History => &["pypi-index"],
        };
        let minter = self.minters.get(&surface);
        let mints = |kind: &str| minter.is_some_and(|minter| minter.host(kind).is_some());
        let usual: Vec<&str> = defaults.iter().copied().filter(|kind| mints(kind)).collect();
        let fits = |id: &&str| kinds::find(id).is_some_and(|kind| kind.surfaces().contains(&surface));
        let favourite = minter.and_then(|minter| minter.kinds.iter().map(|(id, _)| *id).find(fits));
        let chosen = Seed::of(key, &claims).pick("kind", &usual).or(favourite).ok_or(BaitError::NoKind { surface })?;
        claims.kind = self.kinds.get(&surface).map_or(chosen, String::as_str).to_owned();
        let kind = kinds::find(&claims.kind).ok_or_else(|| BaitError::UnknownKind { kind: claims.kind.clone() })?;
        if !kind.surfaces().contains(&surface) {
            return Err(BaitError::KindOnSurface { kind: claims.kind, surface });
        }
        if mints(&claims.kind) { Ok(claims) } else { Err(BaitError::NotMinted { kind: claims.kind, surface }) }
    }
}

/// Plans one image. Where a proposed name or path is refused the next one is taken; a surface without any is skipped, and says why.
///
/// # Errors
/// When a kind does not fit, a place that the owner gave is refused, or no surface at all has a place.
pub fn plan_image(request: &PlanRequest, key: &EpochKey, config: &ImageConfig, tree: &FileTree) -> Result<ImagePlan, BaitError> {
    let style = HistoryStyle::of(config);
    let mut plan = ImagePlan {
        platform: config.platform.to_string(),
        grammar: style.grammar,
        writes_variables: style.writes_variables,
        history_at: style.at,
        baits: Vec::new(),
        skipped: Vec::new(),
    };
    let planner = Planner { request, config, tree, style };
    for claims in request.claims(key)? {
        let surface = claims.surface;
        let kind = kinds::find(&claims.kind).ok_or_else(|| BaitError::UnknownKind { kind: claims.kind.clone() })?;
        let seed = Seed::of(key, &claims);
        let taken: Vec<&Place> = plan.baits.iter().map(|bait| &bait.place).collect();
        match (planner.place(kind, surface, &seed, &taken), request.places.contains_key(&surface)) {
            (Ok(place), _) => plan.baits.push(PlannedBait { host: request.host(&claims), claims, place }),
            (Err(refusal), true) => return Err(BaitError::Refused { surface, refusal }),
            (Err(refusal), false) => plan.skipped.push(Skipped { surface, why: refusal.to_string() }),
        }
    }
    if plan.baits.is_empty() {
        let why = match plan.skipped.first() {
            Some(skipped) => format!("{}: {}", skipped.surface, skipped.why),
            None => "no surface was asked for".to_owned(),
        };
        return Err(BaitError::NothingFits { image: plan.platform, why });
    }
    Ok(plan)
}

struct Planner<'a> {
    request: &'a PlanRequest,
    config: &'a ImageConfig,
    tree: &'a FileTree,
    style: HistoryStyle,
}

impl Planner<'_> {
    fn place(&self, kind: &dyn BaitKind, surface: Surface, seed: &Seed, taken: &[&Place]) -> Result<Place, Refusal> {
        if let Some(refusal) = self.no_layers(surface, taken) {
            return Err(refusal);
        }
        match surface {
            Surface::File => self.file(false, kind.file_spots(), seed, taken),
            Surface::Buried => self.file(true, kind.buried_spots(), seed, taken),
            Surface::Env => self.variables(kind, seed),
            Surface::History => self.argument(kind),
        }
    }

    /// Why no layers for this surface can be put on top of the image and of what is planned so far.
    fn no_layers(&self, surface: Surface, taken: &[&Place]) -> Option<Refusal> {
        let wanted = match surface {
            Surface::File => 1,
            Surface::Buried => 2,
            Surface::Env | Surface::History => return None,
        };
        if self.config.platform.os == "windows" {
            // It takes no files at all, which is told where their paths are looked at.
            return None;
        }
        let layers = self.config.diff_ids.len() + taken.iter().map(|place| place.layers()).sum::<usize>();
        if layers + wanted > MAX_LAYERS {
            return Some(Refusal::Layers { layers, wanted, limit: MAX_LAYERS });
        }
        let shell = || ["bin/sh", "usr/bin/sh"].iter().any(|path| self.tree.exists(path.as_bytes()));
        let unlikely = surface == Surface::Buried && self.style.writes_commands() && !self.style.ran_commands && !shell();
        unlikely.then_some(Refusal::NoShell)
    }

    fn file(&self, buried: bool, spots: &[Spot], seed: &Seed, taken: &[&Place]) -> Result<Place, Refusal> {
        let surface = if buried { Surface::Buried } else { Surface::File };
        let candidates: Vec<(String, String)> = match self.request.places.get(&surface) {
            Some(path) => {
                let path = path.strip_prefix('/').unwrap_or(path).to_owned();
                let source = String::from_utf8_lossy(split(path.as_bytes()).1).into_owned();
                vec![(path, source)]
            }
            None => {
                let below = |Spot(area, path): &Spot| (format!("{}/{path}", directory(*area, self.config, self.tree)), (*path).to_owned());
                seed.turn("spot", spots).iter().map(below).collect()
            }
        };
        let mut first = None;
        for (path, source) in candidates {
            let refusal = refuse_path(path.as_bytes(), buried, self.tree, self.config)
                .or_else(|| taken.iter().any(|place| place.location() == format!("/{path}")).then(|| Refusal::ExistingPath { path: path.clone() }));
            match refusal {
                Some(refusal) => first = first.or(Some(refusal)),
                None => {
                    let attributes = attributes(path.as_bytes(), self.tree, self.request.created);
                    return Ok(if buried { Place::Buried { path, source, attributes } } else { Place::File { path, source, attributes } });
                }
            }
        }
        Err(first.unwrap_or(Refusal::Malformed { text: String::new(), wanted: "a path for this bait kind" }))
    }

    fn variables(&self, kind: &dyn BaitKind, seed: &Seed) -> Result<Place, Refusal> {
        let endings: Vec<&'static str> = kind.variables(&Fields::new(&[])).into_iter().map(|(ending, _)| ending).collect();
        let first_ending = endings.first().copied().unwrap_or_default();
        let with = |first: String, stem: &str| {
            let rest = endings.iter().skip(1).map(|ending| format!("{stem}{ending}"));
            std::iter::once(first).chain(rest).collect::<Vec<String>>()
        };
        let candidates: Vec<Vec<String>> = match self.request.places.get(&Surface::Env) {
            Some(name) => vec![with(name.clone(), name.strip_suffix(first_ending).unwrap_or(name))],
            None => {
                let prefix = variable_prefix(self.config);
                let stems = seed.turn("stem", kind.variable_stems());
                let prefixed = prefix.iter().flat_map(|prefix| stems.iter().map(move |stem| format!("{prefix}{stem}")));
                let stems: Vec<String> = prefixed.chain(stems.iter().map(|stem| (*stem).to_owned())).collect();
                stems.iter().map(|stem| with(format!("{stem}{first_ending}"), stem)).collect()
            }
        };
        let mut first = None;
        for names in candidates {
            match names.iter().find_map(|name| refuse_env(name, self.config)) {
                Some(refusal) => first = first.or(Some(refusal)),
                None => return Ok(Place::Variables { names }),
            }
        }
        Err(first.unwrap_or(Refusal::Malformed { text: String::new(), wanted: "a variable for this bait kind" }))
    }

    fn argument(&self, kind: &dyn BaitKind) -> Result<Place, Refusal> {
        if !self.style.writes_arguments() {
            return Err(match self.style.grammar {
                Grammar::None if self.config.history.is_empty() => Refusal::NoHistory,
                Grammar::None => Refusal::OddHistory,
                _ => Refusal::NoArguments,
            });
        }
        // A build argument of this name in an earlier step would have had another value.
        let name = self.request.places.get(&Surface::History).map_or(kind.build_argument(), String::as_str).to_owned();
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(letter) || name.as_bytes()[0].is_ascii_digit() {
            return Err(Refusal::Malformed { text: name, wanted: "a build argument's name of letters, digits and underscores" });
        }
        let used = |step: &History| step.created_by.as_deref().is_some_and(|by| by.contains(&format!("{name}=")));
        if self.config.env_value(&name).is_some() || self.config.history.iter().any(used) {
            Err(Refusal::ExistingKey { name })
        } else {
            Ok(Place::Argument { name })
        }
    }
}
