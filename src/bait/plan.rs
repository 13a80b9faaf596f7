//! What will be planted where: plain data, without a value, made before anything is changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bait::claims::Claims;
use crate::bait::danger::{Refusal, refuse_env, refuse_path, refuse_place};
use crate::bait::error::BaitError;
use crate::bait::history_style::{Grammar, HistoryStyle, Slot};
use crate::bait::kinds;
use crate::bait::kinds::contract::{Area, BaitKind, Fields, Spot};
use crate::bait::realism::{Attributes, attributes, directory, usual_size, variable_prefix};
use crate::bait::seed::Seed;
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::{Syntax, neighbour};
use crate::image::entry::{EntryKind, split};
use crate::image::file_tree::{FileTree, ancestors};
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
    /// A file in a new layer, with others beside it that hold nothing.
    File { file: PlannedFile, slot: Slot, beside: Vec<PlannedFile> },
    /// A file in a new layer that no container sees.
    Buried { file: PlannedFile, slot: Slot, burial: Burial },
    /// Variables, the identifying one first: set by a new step before `step` of today's, and `before` that variable of today's.
    Variables { names: Vec<String>, step: usize, before: usize },
    /// A build argument in the history, before `step` of today's.
    Argument { name: String, step: usize },
    /// A variable of one command in the history, whose new layer holds files that mean nothing.
    Command { name: String, command: String, slot: Slot, file: PlannedFile, beside: Vec<PlannedFile> },
}

/// What a container does not see of a buried file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Burial {
    /// A second new layer deletes it.
    Deleted { slot: Slot },
    /// This layer of today's has a later version of it, and stays as it is.
    Replaced { by: usize },
}

/// A new file, with no leading `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFile {
    pub path: String,
    /// What the history says that it was copied from.
    pub source: String,
    pub attributes: Attributes,
    /// About how many bytes it has, where its kind allows.
    pub size: usize,
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
            Self::File { .. } | Self::Command { .. } | Self::Buried { burial: Burial::Replaced { .. }, .. } => 1,
            Self::Buried { burial: Burial::Deleted { .. }, .. } => 2,
            Self::Variables { .. } | Self::Argument { .. } => 0,
        }
    }

    /// The place in a few words: `/path`, a variable's or an argument's name.
    #[must_use]
    pub fn location(&self) -> String {
        match self {
            Self::File { file, .. } | Self::Buried { file, .. } => format!("/{}", file.path),
            Self::Variables { names, .. } => names.join(", "),
            Self::Argument { name, .. } | Self::Command { name, .. } => name.clone(),
        }
    }

    /// The files that it brings.
    fn files(&self) -> impl Iterator<Item = &PlannedFile> {
        let (file, beside): (_, &[PlannedFile]) = match self {
            Self::File { file, beside, .. } | Self::Command { file, beside, .. } => (Some(file), beside),
            Self::Buried { file, .. } => (Some(file), &[]),
            Self::Variables { .. } | Self::Argument { .. } => (None, &[]),
        };
        file.into_iter().chain(beside)
    }

    /// The files that it brings without bait, with no leading `/`: by them its layer looks like others.
    pub fn beside(&self) -> impl Iterator<Item = &str> {
        let has_bait = usize::from(!matches!(self, Self::Command { .. }));
        self.files().skip(has_bait).map(|file| file.path.as_str())
    }

    /// The new command that it brings.
    fn command(&self) -> Option<Slot> {
        match self {
            Self::Command { slot, .. } | Self::Buried { burial: Burial::Deleted { slot }, .. } => Some(*slot),
            _ => None,
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
        baits: Vec::new(),
        skipped: Vec::new(),
    };
    let began = style.began().unwrap_or(request.created);
    let planner = Planner { request, config, tree, style, began };
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
    /// When the build began, seconds since 1970: what it copied is older.
    began: i64,
}

impl Planner<'_> {
    fn place(&self, kind: &dyn BaitKind, surface: Surface, seed: &Seed, taken: &[&Place]) -> Result<Place, Refusal> {
        match surface {
            Surface::File => self.file(kind, seed, taken),
            Surface::Buried => self.buried(kind, seed, taken),
            Surface::Env => self.variables(kind, seed),
            Surface::History => self.argument(kind, seed, taken),
        }
    }

    /// Why the image and what is planned so far have no room for so many layers more.
    fn no_layers(&self, wanted: usize, taken: &[&Place]) -> Option<Refusal> {
        let layers = self.config.diff_ids.len() + taken.iter().map(|place| place.layers()).sum::<usize>();
        // Windows takes no files at all, which is told where their paths are looked at.
        let is_full = self.config.platform.os != "windows" && layers + wanted > MAX_LAYERS;
        is_full.then_some(Refusal::Layers { layers, wanted, limit: MAX_LAYERS })
    }

    fn has_shell(&self) -> bool {
        self.style.ran_commands || ["bin/sh", "usr/bin/sh"].iter().any(|path| self.tree.exists(path.as_bytes()))
    }

    fn file(&self, kind: &dyn BaitKind, seed: &Seed, taken: &[&Place]) -> Result<Place, Refusal> {
        if let Some(refusal) = self.no_layers(1, taken) {
            return Err(refusal);
        }
        let (mut file, slot) = self.new_file(Surface::File, kind.file_spots(), seed, taken)?;
        let beside = self.beside(&file, seed, &[0, 0, 0, 1, 1, 3], taken);
        if let Some((source, _)) = file.source.rsplit_once('/').filter(|_| !beside.is_empty()) {
            file.source = source.to_owned();
        }
        Ok(Place::File { file, slot, beside })
    }

    /// Files beside a new one in a folder that is new as well: who copies or makes a folder seldom has one file in it.
    fn beside(&self, file: &PlannedFile, seed: &Seed, numbers: &[usize], taken: &[&Place]) -> Vec<PlannedFile> {
        let mut beside: Vec<PlannedFile> = Vec::new();
        let is_new = |folder: &str| !self.tree.ever_existed(folder.as_bytes()) && !split(folder.as_bytes()).1.starts_with(b".");
        let Some((folder, _)) = file.path.rsplit_once('/').filter(|(folder, _)| is_new(folder)) else { return beside };
        for number in 1..=seed.pick("beside", numbers).unwrap_or_default() {
            let path = format!("{folder}/{}", neighbour(seed, number));
            let is_free = file.path != path && beside.iter().all(|other| other.path != path);
            if is_free && self.refuse(&path, false, taken).is_none() {
                let size = usual_size(self.tree, self.style.own_layer(), seed, &path);
                beside.push(PlannedFile { path, source: String::new(), attributes: file.attributes, size });
            }
        }
        beside
    }

    fn buried(&self, kind: &dyn BaitKind, seed: &Seed, taken: &[&Place]) -> Result<Place, Refusal> {
        let is_free = !self.request.places.contains_key(&Surface::Buried) && self.no_layers(1, taken).is_none();
        if let Some(place) = is_free.then(|| self.earlier_version(kind, seed, taken)).flatten() {
            return Ok(place);
        }
        if let Some(refusal) = self.no_layers(2, taken) {
            return Err(refusal);
        }
        let is_chosen = self.request.places.contains_key(&Surface::Buried);
        if self.config.platform.os != "windows" && self.style.writes_commands() && !self.has_shell() {
            return Err(Refusal::NoShell);
        }
        if self.style.puts_together && !is_chosen && !self.deletes() {
            return Err(Refusal::NoDeletions);
        }
        let (file, slot) = self.new_file(Surface::Buried, kind.buried_spots(), seed, taken)?;
        let slots = self.style.slots();
        let later: Vec<Slot> = slots.iter().filter(|later| later.layer > slot.layer).copied().collect();
        let slot_of_command = seed.pick("deleted", &later).unwrap_or(slot);
        Ok(Place::Buried { file, slot, burial: Burial::Deleted { slot: slot_of_command } })
    }

    /// A version of one of the image's own files of settings, below the layer that holds it: no container sees anything else than before.
    /// `None` where the image deletes files itself, as one more that is deleted shows least there, or where nothing fits.
    fn earlier_version(&self, kind: &dyn BaitKind, seed: &Seed, taken: &[&Place]) -> Option<Place> {
        if self.tree.unread() > 0 || kind.variable_stems().is_empty() || self.config.platform.os == "windows" {
            return None;
        }
        if self.deletes() && seed.below("burial", 3) == 0 {
            return None;
        }
        let own = self.style.own_layer();
        let layers = self.tree.layers();
        let mut found: Vec<(String, usize, usize)> = Vec::new();
        for (by, layer) in layers.iter().enumerate().skip(own) {
            let mut rows = layer.rows();
            while let Some(row) = rows.next() {
                let is_plain = row.node.kind == EntryKind::File && row.path.iter().all(u8::is_ascii_graphic) && found.len() < MOST_FILES;
                let Some(path) = std::str::from_utf8(row.path).ok().filter(|_| is_plain) else { continue };
                let name = path.rsplit('/').next().unwrap_or_default();
                if (64..16_384).contains(&row.node.size) && Syntax::of_settings(name).is_some() {
                    found.push((path.to_owned(), by, usize::try_from(row.node.size).unwrap_or_default()));
                }
            }
        }
        let slots = self.style.slots();
        seed.turn("version", &found).into_iter().find_map(|(path, by, size)| {
            let is_new = layers.iter().take(by).all(|layer| layer.get(path.as_bytes()).is_none());
            if !is_new || is_taken(&path, taken) || refuse_place(&path, true, self.config).is_some() {
                return None;
            }
            let fitting: Vec<Slot> = slots.iter().filter(|slot| slot.layer <= by && self.fits(&path, **slot, by)).copied().collect();
            let slot = seed.pick("slot", &fitting)?;
            let mut attributes = attributes(path.as_bytes(), &self.tree.parted(by + 1).0, self.began);
            if let Some(node) = layers.get(by).and_then(|layer| layer.get(path.as_bytes())) {
                attributes.mtime = node.mtime.min(attributes.mtime);
                (attributes.uid, attributes.gid, attributes.mode) = (node.uid, node.gid, u32::from(node.mode & 0o666));
            }
            let size = size * (70 + seed.below("earlier", 50)) / 100;
            let source = source_of(&path, &self.config.working_dir);
            Some(Place::Buried { file: PlannedFile { path, source, attributes, size }, slot, burial: Burial::Replaced { by } })
        })
    }

    /// Whether a layer of this build deletes files.
    fn deletes(&self) -> bool {
        self.tree.layers().iter().skip(self.style.own_layer()).any(|layer| {
            let mut rows = layer.rows();
            std::iter::from_fn(|| rows.next().map(|row| split(row.path).1.starts_with(b".wh."))).any(|is_whiteout| is_whiteout)
        })
    }

    /// Whether a new file can lie at `path` in a layer at `slot`, where layers from `until` on may replace it: no layer above it touches it,
    /// and a container sees no other folders than without it.
    fn fits(&self, path: &str, slot: Slot, until: usize) -> bool {
        let (below, above) = self.tree.parted(slot.layer);
        let between = above.parted(until.saturating_sub(slot.layer)).0;
        let path = path.as_bytes();
        let is_open = below.symlink_on_the_way(path).is_none() && below.obstacle_on_the_way(path).is_none();
        // A folder that comes later has the attributes that it is listed with there.
        let is_listed = |folder: &[u8]| above.get(folder).is_some_and(|(node, _)| node.kind == EntryKind::Directory);
        let has_folders = || ancestors(path).all(|folder| below.exists(folder) || !above.ever_existed(folder) || is_listed(folder));
        is_open && !between.covers(path) && has_folders()
    }

    fn new_file(&self, surface: Surface, spots: &[Spot], seed: &Seed, taken: &[&Place]) -> Result<(PlannedFile, Slot), Refusal> {
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
            match self.refuse(&path, surface == Surface::Buried, taken) {
                Some(refusal) => first = first.or(Some(refusal)),
                None => return Ok(self.planned(path, source, seed)),
            }
        }
        Err(first.unwrap_or(Refusal::Malformed { text: String::new(), wanted: "a path for this bait kind" }))
    }

    fn refuse(&self, path: &str, buried: bool, taken: &[&Place]) -> Option<Refusal> {
        let taken = || is_taken(path, taken).then(|| Refusal::ExistingPath { path: path.to_owned() });
        refuse_path(path.as_bytes(), buried, self.tree, self.config).or_else(taken)
    }

    fn planned(&self, path: String, source: String, seed: &Seed) -> (PlannedFile, Slot) {
        let all = self.tree.layers().len();
        let fitting: Vec<Slot> = self.style.slots().into_iter().filter(|slot| self.fits(&path, *slot, all)).collect();
        let slot = seed.pick("slot", &fitting).unwrap_or_else(|| self.style.top());
        let attributes = attributes(path.as_bytes(), self.tree, self.began);
        let size = usual_size(self.tree, self.style.own_layer(), seed, &path);
        (PlannedFile { path, source, attributes, size }, slot)
    }

    fn variables(&self, kind: &dyn BaitKind, seed: &Seed) -> Result<Place, Refusal> {
        let endings: Vec<&'static str> = kind.variables(&Fields::new(&[])).into_iter().map(|(ending, _)| ending).collect();
        let first_ending = endings.first().copied().unwrap_or_default();
        let with = |first: String, stem: &str| {
            let rest = endings.iter().skip(1).map(|ending| format!("{stem}{ending}"));
            std::iter::once(first).chain(rest).collect::<Vec<String>>()
        };
        let step = seed.pick("step", &self.style.variable_steps()).unwrap_or_default();
        let neighbours = step.checked_sub(1).map(|before| self.style.names_set(before)).unwrap_or_default();
        let position = |name: &str| self.config.env.iter().position(|line| line.split_once('=').is_some_and(|(known, _)| known == name));
        let before = neighbours.iter().filter_map(|name| position(name)).max().map_or(self.config.env.len(), |last| last + 1);
        let candidates: Vec<Vec<String>> = match self.request.places.get(&Surface::Env) {
            Some(name) => vec![with(name.clone(), name.strip_suffix(first_ending).unwrap_or(name))],
            None => {
                let prefix = variable_prefix(self.config);
                let stems = seed.turn("stem", kind.variable_stems());
                let prefixed = prefix.iter().flat_map(|prefix| stems.iter().map(move |stem| format!("{prefix}{stem}")));
                let mut stems: Vec<String> = prefixed.chain(stems.iter().map(|stem| (*stem).to_owned())).collect();
                // About as long as names are here, and with their beginning.
                let own: Vec<usize> = self.config.env.iter().rev().take(5).filter_map(|line| line.find('=')).collect();
                let usual = seed.pick("length", &own).unwrap_or(12) + seed.below("longer", 4);
                // Not every name of an application begins as the others do.
                let wants_prefix = seed.below("prefixed", 5) < 3;
                let is_prefixed = |stem: &str| prefix.as_ref().is_some_and(|prefix| stem.starts_with(prefix) == wants_prefix);
                stems.sort_by_key(|stem| (!is_prefixed(stem), (stem.len() + first_ending.len()).abs_diff(usual)));
                stems.iter().map(|stem| with(format!("{stem}{first_ending}"), stem)).collect()
            }
        };
        let mut first = None;
        for names in candidates {
            match names.iter().find_map(|name| refuse_env(name, self.config)) {
                Some(refusal) => first = first.or(Some(refusal)),
                None => return Ok(Place::Variables { names, step, before }),
            }
        }
        Err(first.unwrap_or(Refusal::Malformed { text: String::new(), wanted: "a variable for this bait kind" }))
    }

    fn argument(&self, kind: &dyn BaitKind, seed: &Seed, taken: &[&Place]) -> Result<Place, Refusal> {
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
            return Err(Refusal::ExistingKey { name });
        }
        // Where this build has no arguments, the only one would show.
        if !self.style.has_arguments()
            && !self.request.places.contains_key(&Surface::History)
            && self.has_shell()
            && self.no_layers(1, taken).is_none()
        {
            let spots = [Spot(Area::App, "build"), Spot(Area::App, "generated"), Spot(Area::Side, "build"), Spot(Area::App, "dist/conf")];
            for Spot(area, folder) in seed.turn("made", &spots) {
                let path = format!("{}/{folder}/{}", directory(area, self.config, self.tree), neighbour(seed, 0));
                if self.refuse(&path, false, taken).is_none() {
                    let (mut file, slot) = self.planned(path, String::new(), seed);
                    (file.attributes.uid, file.attributes.gid) = (0, 0);
                    let beside = self.beside(&file, seed, &[0, 0, 1, 2, 4, 7], taken);
                    let command = seed.pick("command", &COMMANDS).unwrap_or_default().to_owned();
                    return Ok(Place::Command { name, command, file, slot, beside });
                }
            }
        }
        // A command of ours would have to repeat it, too.
        let top = self.style.top();
        let least = taken.iter().filter_map(|place| place.command()).map(|slot| if slot == top { slot.step } else { slot.step + 1 }).max();
        let steps = self.style.argument_steps(least.unwrap_or_default());
        Ok(Place::Argument { name, step: seed.pick("step", &steps).unwrap_or(top.step) })
    }
}

/// Of an image's own files, so many are looked at.
const MOST_FILES: usize = 4096;

/// What a build runs that needs a credential and leaves files.
const COMMANDS: [&str; 16] = [
    "make config",
    "make -s build",
    "./ci/build.sh",
    "sh scripts/build.sh",
    "make prepare && make -C tools all",
    "make release",
    "sh ci/setup.sh && rm -rf /tmp/setup",
    "./scripts/prepare.sh --no-progress --target production",
    "make -j4 assets",
    "sh -e scripts/fetch.sh && make -s check",
    "./build.sh --release --jobs 4 --cache-dir /tmp/cache && rm -rf /tmp/cache",
    "make vendor",
    "set -eux; sh scripts/generate.sh; make -C build install; make clean",
    "set -eux; mkdir -p /tmp/work; sh ci/generate.sh --workdir /tmp/work --locale en --locale de --format json; rm -rf /tmp/work",
    "sh tools/render.sh --all",
    "make generate",
];

fn is_taken(path: &str, taken: &[&Place]) -> bool {
    taken.iter().flat_map(|place| place.files()).any(|file| file.path == path)
}

/// What a file of the application was copied from, as seen from the folder that is built.
fn source_of(path: &str, working_dir: &str) -> String {
    let working = working_dir.trim_matches('/');
    let inside = path.strip_prefix(working).and_then(|rest| rest.strip_prefix('/')).filter(|_| !working.is_empty());
    inside.unwrap_or_else(|| path.rsplit('/').next().unwrap_or(path)).to_owned()
}
