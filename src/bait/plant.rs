//! Carries a plan out: the entries of new layers, the edit of the config, and what is now where.

use std::collections::BTreeMap;

use crate::bait::error::BaitError;
use crate::bait::history_style::{Grammar, HistoryStyle, NewStep, Slot, Step, seconds};
use crate::bait::honeytoken::Honeytoken;
use crate::bait::kinds;
use crate::bait::kinds::contract::{BaitKind, Fields};
use crate::bait::placement::Placement;
use crate::bait::plan::{Burial, ImagePlan, Place, PlannedBait, PlannedFile};
use crate::bait::realism::{Attributes, directories};
use crate::bait::seed::Seed;
use crate::bait::surroundings::{Syntax, as_settings, surrounded};
use crate::image::entry::{EntryKind, split};
use crate::image::file_tree::{FileTree, join};
use crate::image::layer_writer::NewEntry;
use crate::oci::config::{ConfigEdit, ImageConfig};
use crate::oci::digest::Digest;
use crate::secret::key_ring::EpochKey;

/// What planting adds to an image.
#[derive(Debug, Clone, Default)]
pub struct Planting {
    /// New layers, lowest first: the layer of today's below which each comes, and its entries.
    pub layers: Vec<(usize, Vec<NewEntry>)>,
    /// Variables and history; the layer list follows from the layers.
    pub edit: ConfigEdit,
    pub placements: Vec<Placement>,
}

/// Plants `tokens` as planned with `key`. Nothing of the image but Env, history and the layer list changes.
///
/// # Errors
/// When the plan has a bait without a token.
pub fn plant_image(plan: &ImagePlan, tokens: &[Honeytoken], key: &EpochKey, config: &ImageConfig, tree: &FileTree) -> Result<Planting, BaitError> {
    let mut work = Work { style: HistoryStyle::of(config), tree, layers: Vec::new(), steps: Vec::new(), env: Vec::new() };
    let mut placed: Vec<(&Honeytoken, &Place, Option<usize>)> = Vec::new();
    for bait in order(&plan.baits) {
        let claims = &bait.claims;
        let missing = || BaitError::NoToken { surface: claims.surface, kind: claims.kind.clone() };
        let token = tokens.iter().find(|token| token.claims == *claims).ok_or_else(missing)?;
        let kind = kinds::find(&claims.kind).ok_or_else(|| BaitError::UnknownKind { kind: claims.kind.clone() })?;
        let step = work.plant(kind, &Fields::of(token), &Seed::of(key, claims), &bait.place);
        placed.push((token, &bait.place, step));
    }
    let pace = plan.baits.first().map(|bait| Seed::of(key, &bait.claims));
    let draw = |number: usize| pace.as_ref().map_or(500, |seed| u32::try_from(seed.below(&format!("time {number}"), 1000)).unwrap_or_default());
    let (mut planting, numbers) = work.finish(draw);
    for (token, place, step) in placed {
        let at = step.and_then(|step| Some(planting.edit.history.get(numbers.iter().position(|number| *number == step)?)?.0 + step));
        let location = match (place, at) {
            (Place::Argument { name, .. } | Place::Command { name, .. }, Some(at)) => format!("{at} {name}"),
            (place, _) => place.location(),
        };
        planting.placements.push(Placement::new(token, &plan.platform, &location));
    }
    planting.placements.sort_by_key(|placement| placement.claims.surface);
    Ok(planting)
}

/// Layers first, then what leaves only a line in the history.
fn order(baits: &[PlannedBait]) -> Vec<&PlannedBait> {
    let rank = |bait: &PlannedBait| match bait.place {
        Place::Buried { .. } => 0,
        Place::File { .. } => 1,
        Place::Command { .. } => 2,
        Place::Variables { .. } => 3,
        Place::Argument { .. } => 4,
    };
    let mut ordered: Vec<&PlannedBait> = baits.iter().collect();
    ordered.sort_by_key(|bait| rank(bait));
    ordered
}

struct Work<'a> {
    style: HistoryStyle,
    tree: &'a FileTree,
    layers: Vec<Layer>,
    steps: Vec<NewStep>,
    env: Vec<(usize, String)>,
}

/// A new layer, before it is known when it was made.
struct Layer {
    slot: Slot,
    /// Its step among the new ones.
    step: Option<usize>,
    files: Vec<(PlannedFile, String)>,
    /// The file that it deletes.
    gone: Option<PlannedFile>,
    /// Whether a command made its files, and not somebody long before.
    is_made: bool,
}
impl Work<'_> {
    /// Plants one bait and gives the number, among the new steps, of the one that tells of it.
    fn plant(&mut self, kind: &dyn BaitKind, fields: &Fields<'_>, seed: &Seed, place: &Place) -> Option<usize> {
        let first = || kind.variables(fields).into_iter().next().map(|(_, value)| value).unwrap_or_default();
        match place {
            Place::File { file, slot, beside } => {
                let mut files = vec![(file.clone(), surrounded(&kind.file_text(fields), kind.syntax(), seed, file.size))];
                files.extend(beside.iter().map(|file| (file.clone(), settings(&file.path, "", seed, file.size))));
                self.copy(*slot, files)
            }
            Place::Buried { file, slot, burial: Burial::Deleted { slot: later } } => {
                let step = self.copy(*slot, vec![(file.clone(), surrounded(&kind.file_text(fields), kind.syntax(), seed, file.size))]);
                let target = format!("/{}", file.path);
                let removed = self.write(later.step, Step::Remove { target: &target });
                self.layers.push(Layer { slot: *later, step: removed, files: Vec::new(), gone: Some(file.clone()), is_made: true });
                step
            }
            Place::Buried { file, slot, burial: Burial::Replaced { .. } } => {
                let stem = seed.pick("stem", kind.variable_stems()).unwrap_or_default();
                let values: Vec<(String, String)> =
                    kind.variables(fields).into_iter().map(|(ending, value)| (format!("{stem}{ending}"), value)).collect();
                let core = as_settings(&values, syntax_of(&file.path));
                self.copy(*slot, vec![(file.clone(), settings(&file.path, &core, seed, file.size))])
            }
            Place::Variables { names, step, before } => {
                let values = kind.variables(fields);
                let lines: Vec<String> = names.iter().zip(&values).map(|(name, (_, value))| format!("{name}={value}")).collect();
                let step = self.write(*step, Step::Variables(&lines.join(" ")));
                self.env.extend(lines.into_iter().map(|line| (*before, line)));
                step
            }
            Place::Argument { name, step } => self.write(*step, Step::Argument(&format!("{name}={}", first()))),
            Place::Command { name, command, slot, file, beside } => {
                // A variable before a command is that command's; one that all of a line's are to have is exported.
                let is_one = !command.contains([';', '&']);
                let set = if is_one { format!("{name}={} ", first()) } else { format!("export {name}={} && ", first()) };
                let step = self.write(slot.step, Step::Run(&(set + command)));
                let made = std::iter::once(file).chain(beside).map(|file| (file.clone(), settings(&file.path, "", seed, file.size)));
                self.layers.push(Layer { slot: *slot, step, files: made.collect(), gone: None, is_made: true });
                step
            }
        }
    }

    /// One step that brings these files, the first of which says where from.
    fn copy(&mut self, slot: Slot, files: Vec<(PlannedFile, String)>) -> Option<usize> {
        let (file, _) = files.first()?;
        let is_folder = files.len() > 1;
        let folder = String::from_utf8_lossy(split(file.path.as_bytes()).0).into_owned();
        let target = if is_folder { format!("/{folder}/") } else { format!("/{}", file.path) };
        let owner = (file.attributes.uid, file.attributes.gid);
        let hash = Digest::of(files.iter().map(|(_, text)| text.as_str()).collect::<String>().as_bytes());
        let step = self.write(slot.step, Step::Copy { source: &file.source, target: &target, owner, hash: hash.hex(), is_folder });
        self.layers.push(Layer { slot, step, files, gone: None, is_made: false });
        step
    }

    fn write(&mut self, at: usize, step: Step<'_>) -> Option<usize> {
        let number = self.steps.len();
        self.steps.push(NewStep { at, number, step: self.style.write(step)? });
        Some(number)
    }

    /// Everything in its order and with its times, and the number that each of the new steps had here.
    fn finish(self, draw: impl Fn(usize) -> u32) -> (Planting, Vec<usize>) {
        let Self { style, tree, mut layers, mut steps, env } = self;
        style.settle(&mut steps, draw);
        layers.sort_by_key(|layer| layer.slot.layer);
        let entries = |layer: Layer| {
            let step = steps.iter().find(|step| Some(step.number) == layer.step);
            let now = step.map_or_else(|| style.seconds(), |step| seconds(step.step.created.as_deref()));
            let below = layer.slot.layer;
            (below, layer.entries(&tree.parted(below).0, now, style.grammar))
        };
        let layers = layers.into_iter().map(entries).collect();
        let numbers = steps.iter().map(|step| step.number).collect();
        let history = steps.into_iter().map(|step| (step.at, step.step)).collect();
        (Planting { layers, edit: ConfigEdit { env, history, diff_ids: Vec::new() }, placements: Vec::new() }, numbers)
    }
}
impl Layer {
    /// The entries in the order of their paths, over the layers below and as of `now`, in seconds since 1970.
    fn entries(self, below: &FileTree, now: Option<i64>, grammar: Grammar) -> Vec<NewEntry> {
        let mut entries: BTreeMap<Vec<u8>, NewEntry> = BTreeMap::new();
        for file in self.files.iter().map(|(file, _)| file).chain(&self.gone) {
            let path = file.path.as_bytes();
            let parent = split(path).0;
            for (folder, before) in directories(path, file.attributes, below) {
                // Who adds or deletes a file changes its folder, and makes those that are not there.
                let changes = folder == parent || !below.exists(&folder);
                let attributes = Attributes { mtime: now.filter(|_| changes).unwrap_or(before.mtime), ..before };
                let known = entries.entry(folder.clone()).or_insert_with(|| entry(folder, EntryKind::Directory, attributes, Vec::new()));
                known.mtime = known.mtime.max(attributes.mtime);
            }
        }
        for (file, text) in self.files {
            let mtime = now.filter(|_| self.is_made).unwrap_or(file.attributes.mtime);
            let path = file.path.into_bytes();
            entries.insert(path.clone(), entry(path, EntryKind::File, Attributes { mtime, ..file.attributes }, text.into_bytes()));
        }
        if let Some(file) = self.gone {
            let (parent, name) = split(file.path.as_bytes());
            let whiteout = join(parent, &[b".wh.", name].concat());
            // Docker's differ writes whiteouts with 0600, all others without permissions; all as root.
            let mode = if grammar == Grammar::Classic { 0o600 } else { 0 };
            let attributes = Attributes { mode, uid: 0, gid: 0, mtime: now.unwrap_or(file.attributes.mtime) };
            entries.insert(whiteout.clone(), entry(whiteout, EntryKind::File, attributes, Vec::new()));
        }
        entries.into_values().collect()
    }
}

/// The text of a file of settings: `core` and what stands around it.
fn settings(path: &str, core: &str, seed: &Seed, size: usize) -> String {
    surrounded(core, syntax_of(path), &seed.within(path), size)
}

fn syntax_of(path: &str) -> Syntax {
    Syntax::of_settings(path.rsplit('/').next().unwrap_or(path)).unwrap_or(Syntax::Comments)
}

fn entry(path: Vec<u8>, kind: EntryKind, attributes: Attributes, content: Vec<u8>) -> NewEntry {
    let Attributes { mode, uid, gid, mtime } = attributes;
    NewEntry { path, kind, mode, uid, gid, mtime, content }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::bait::danger::Refusal;
    use crate::bait::danger::tests::tree;
    use crate::bait::history_style::tests::{BUILDAH, BUILDKIT, CLASSIC, KANIKO, KO, config};
    use crate::bait::kinds::contract::Recipe;
    use crate::bait::own::find;
    use crate::bait::plan::{Minter, PlanRequest, plan_image};
    use crate::bait::surfaces::Surface;
    use crate::image::file_tree::Fate;
    use crate::image::layer_writer::{write_layer, write_tar};
    use crate::image::listing::LayerListing;
    use crate::image::listing_builder::ListingBuilder;
    use crate::secret::fingerprint::Fingerprint;
    use crate::secret::key_ring::KeyRing;
    use crate::secret::value::Secret;

    const MEMBERS: &str =
        r#""Env":["PATH=/bin","SHOP_PORT=80","SHOP_MODE=x"],"WorkingDir":"/app","Entrypoint":["/app/shop"],"Healthcheck":{"Test":["CMD","true"]}"#;

    fn ring() -> KeyRing {
        KeyRing::new([5; 32])
    }

    /// Scanners pass over the domains that are reserved for examples.
    const HOST: &str = "ops.acme-internal.net";

    fn minters() -> BTreeMap<Surface, Minter> {
        let kinds: Vec<_> = kinds::KINDS.into_iter().map(|kind| (kind.id(), HOST.to_owned())).collect();
        Surface::ALL.into_iter().map(|surface| (surface, Minter { kinds: kinds.clone() })).collect()
    }

    fn request() -> PlanRequest {
        PlanRequest {
            service: "ghcr.io/acme/shop".to_owned(),
            environment: "prod".to_owned(),
            surfaces: Surface::ALL.to_vec(),
            kinds: BTreeMap::new(),
            places: BTreeMap::new(),
            minters: minters(),
            editions: BTreeMap::new(),
            created: 1_780_000_000,
        }
    }

    fn files() -> FileTree {
        tree(&[("app", EntryKind::Directory), ("app/shop", EntryKind::File), ("bin/sh", EntryKind::File), ("root", EntryKind::Directory)])
    }

    fn tokens(request: &PlanRequest) -> Vec<Honeytoken> {
        let ring = ring();
        let key = ring.newest();
        let mint = |claims: crate::bait::claims::Claims| {
            let kind = kinds::find(&claims.kind).expect("kind");
            match kind.self_telling() {
                Some(kind) => kind.token(&Recipe::new(key, &claims, &HOST.parse().expect("a host"), request.created)),
                None => {
                    let value = Secret::new("a vendor's".to_owned());
                    let fields = vec![(kind.identifying().to_owned(), value)];
                    let fingerprint = Fingerprint::of_token(key, kind.id());
                    Honeytoken { claims, fields, handle: Vec::new(), host: HOST.to_owned(), fingerprint }
                }
            }
        };
        request.claims(key).expect("claims").into_iter().map(mint).collect()
    }

    fn planted(request: &PlanRequest, config: &ImageConfig, tree: &FileTree) -> (ImagePlan, Planting) {
        let plan = plan_image(request, ring().newest(), config, tree).expect("a plan");
        let planting = plant_image(&plan, &tokens(request), ring().newest(), config, tree).expect("plants");
        (plan, planting)
    }

    /// The config's members, as text, without those that planting may change.
    fn kept(config: &ImageConfig) -> Vec<(String, String)> {
        let mut document: serde_json::Value = serde_json::from_slice(&config.bytes).expect("JSON");
        document.as_object_mut().expect("object").remove("history");
        document["rootfs"].as_object_mut().expect("object").remove("diff_ids");
        document["config"].as_object_mut().expect("object").remove("Env");
        document.as_object().expect("object").iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
    }

    /// Whether `all` has `part` in its order.
    fn holds<T: PartialEq>(all: &[T], part: &[T]) -> bool {
        let mut all = all.iter();
        part.iter().all(|one| all.any(|other| other == one))
    }

    #[test]
    fn only_env_history_and_layers_change_and_history_stays_in_step() {
        for steps in [BUILDKIT, CLASSIC, BUILDAH, KANIKO, KO, &[]] {
            for members in [MEMBERS, "", r#""Env":null"#] {
                let config = config(steps, members);
                let (_, planting) = planted(&request(), &config, &files());
                let diff_ids = planting.layers.iter().map(|(below, layer)| (*below, write_layer(layer, 6).diff_id)).collect();
                let edited = config.edited(&ConfigEdit { diff_ids, ..planting.edit }).expect("valid");
                assert_eq!(kept(&edited), kept(&config));
                assert!(holds(&edited.env, &config.env) && holds(&edited.diff_ids, &config.diff_ids) && holds(&edited.history, &config.history));
                let old: Vec<_> = edited.history.iter().filter(|step| config.history.contains(step)).collect();
                assert!(old.len() >= config.history.len());
                if !steps.is_empty() {
                    assert!((0..edited.diff_ids.len()).all(|layer| edited.history_of_layer(layer).is_some()), "{steps:?}");
                }
                assert_eq!(edited.history.is_empty(), steps.is_empty());
            }
        }
    }

    #[test]
    fn every_surface_has_its_own_token_and_each_can_be_found_again() {
        let config = config(BUILDKIT, MEMBERS);
        let (plan, planting) = planted(&request(), &config, &files());
        assert_eq!(plan.skipped, []);
        assert_eq!(planting.placements.iter().map(|placement| placement.claims.surface).collect::<Vec<_>>(), Surface::ALL);
        assert_eq!((planting.layers.len(), planting.edit.env.len(), planting.edit.history.len()), (4, 1, 5));
        let entries = planting.layers.iter().flat_map(|(_, entries)| entries);
        let mut texts: Vec<String> = entries.map(|entry| String::from_utf8(entry.content.clone()).expect("text")).collect();
        texts.extend(planting.edit.env.iter().map(|(_, line)| line.clone()));
        texts.extend(planting.edit.history.iter().filter_map(|(_, step)| step.created_by.clone()));
        let found: Vec<_> = texts.iter().filter_map(|text| find(&ring(), text)).map(|opened| opened.fingerprint).collect();
        for placement in &planting.placements {
            assert!(found.contains(&placement.fingerprint), "{placement:?}");
        }
        let named = |number: usize| {
            let request = PlanRequest { service: format!("acme/shop-{number}"), surfaces: vec![Surface::Env], ..request() };
            planted(&request, &config, &files()).1.edit.env[0].1.starts_with("SHOP_")
        };
        assert!((10..20).contains(&(0..20).filter(|number| named(*number)).count()), "most are named like their neighbours, as those are");
    }

    fn listing(entries: &[NewEntry]) -> Arc<LayerListing> {
        let mut builder = ListingBuilder::default();
        for new in entries {
            let NewEntry { path, kind, mode, uid, gid, mtime, content } = new.clone();
            let size = content.len() as u64;
            assert!(builder.push(&crate::image::entry::Entry { path, kind, size, mode, uid, gid, mtime, link: Vec::new() }));
        }
        Arc::new(builder.finish())
    }

    #[test]
    fn an_earlier_version_of_a_file_is_seen_by_no_container() {
        let file = |path: &str, kind, content: &[u8]| NewEntry {
            path: path.as_bytes().to_vec(),
            kind,
            mode: if kind == EntryKind::Directory { 0o755 } else { 0o640 },
            uid: 7,
            gid: 8,
            mtime: 1_779_992_000,
            content: content.to_vec(),
        };
        let below = listing(&[file("app", EntryKind::Directory, b""), file("bin/sh", EntryKind::File, b"#")]);
        let above = listing(&[file("app/conf", EntryKind::Directory, b""), file("app/conf/limits.yml", EntryKind::File, &[b'x'; 400])]);
        let steps: Vec<_> =
            ["ADD rootfs.tar /", "RUN make", "COPY conf /app/conf"].into_iter().map(|by| (by, "buildkit.dockerfile.v0", false)).collect();
        let empty = Arc::new(LayerListing::default());
        let (config, tree) = (config(&steps, MEMBERS), FileTree::new(vec![below.clone(), empty, above.clone()]));
        let request = PlanRequest { surfaces: vec![Surface::Buried], ..request() };
        let (plan, planting) = planted(&request, &config, &tree);
        let Place::Buried { file, slot, burial: Burial::Replaced { by: 2 } } = &plan.baits[0].place else { panic!("{:?}", plan.baits) };
        assert_eq!((file.path.as_str(), file.source.as_str()), ("app/conf/limits.yml", "conf/limits.yml"));
        let [(at, entries)] = &planting.layers[..] else { panic!("one layer") };
        assert!(*at == slot.layer && (1..=2).contains(at));
        let new = entries.last().expect("a file");
        assert_eq!((new.mode, new.uid, new.gid, new.mtime), (0o640, 7, 8, 1_779_992_000));
        let document: serde_yaml::Value = serde_yaml::from_slice(&new.content).expect("the syntax of its name");
        assert!(document.as_mapping().is_some_and(|members| members.len() > 1) && (200..=480).contains(&new.content.len()));
        assert!(find(&ring(), &String::from_utf8_lossy(&new.content)).is_some());
        // What a container sees is what it saw.
        let merged = FileTree::new(vec![below, listing(entries), above]);
        for path in ["app", "app/conf", "app/conf/limits.yml"] {
            let of = |tree: &FileTree| tree.get(path.as_bytes()).map(|(node, _)| (node.kind, node.mode, node.uid, node.gid, node.size));
            assert_eq!(of(&merged), of(&tree), "{path}");
        }
    }

    #[test]
    fn the_buried_file_is_gone_for_a_container_and_the_kept_one_is_there() {
        let config = config(BUILDKIT, MEMBERS);
        let base = files();
        let (plan, planting) = planted(&request(), &config, &base);
        let mut layers: Vec<Vec<Arc<LayerListing>>> = vec![Vec::new(); base.layers().len() + 1];
        for (below, entries) in &planting.layers {
            layers[(*below).min(base.layers().len())].push(listing(entries));
        }
        let layers = layers.into_iter().enumerate().flat_map(|(at, new)| new.into_iter().chain(base.layers().get(at).cloned())).collect();
        let tree = FileTree::new(layers);
        for bait in &plan.baits {
            match &bait.place {
                Place::File { file, .. } => {
                    let (node, _) = tree.get(file.path.as_bytes()).expect("a container sees it");
                    assert!(node.mode & !0o664 == 0 && node.mtime == file.attributes.mtime && node.mtime <= 1_780_000_000);
                }
                Place::Buried { file, .. } => {
                    assert_eq!(tree.get(file.path.as_bytes()), None);
                    let holder = tree.layers().iter().position(|layer| layer.get(file.path.as_bytes()).is_some()).expect("a layer holds it");
                    assert!(matches!(tree.fate(holder, file.path.as_bytes()), Fate::Deleted { .. }));
                }
                _ => {}
            }
        }
        for path in ["app", "app/shop", "root", "bin/sh"] {
            // A folder to which a file came is as old as that.
            let of = |tree: &FileTree| tree.get(path.as_bytes()).map(|(node, _)| (node.kind, node.mode, node.uid, node.gid, node.size));
            assert_eq!(of(&tree), of(&base), "{path}");
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes_and_nothing_names_the_tool() {
        let config = config(BUILDKIT, MEMBERS);
        let bytes = || {
            let (plan, planting) = planted(&request(), &config, &files());
            let layers: Vec<Vec<u8>> = planting.layers.iter().map(|(_, layer)| write_tar(layer)).collect();
            let env: Vec<String> = planting.edit.env.into_iter().map(|(_, line)| line).collect();
            (plan, layers, env, serde_json::to_string(&planting.edit.history).expect("plain"), planting.placements)
        };
        let (plan, layers, env, history, placements) = bytes();
        assert_eq!((plan, layers.clone(), env.clone(), history.clone(), placements), bytes());
        for text in layers.iter().map(|layer| String::from_utf8_lossy(layer).into_owned()).chain(env).chain([history]) {
            let text = text.to_lowercase();
            assert!(!text.contains("honey") && !text.contains("crate") && !text.contains("bait") && !text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn an_image_without_files_or_history_still_takes_bait() {
        let (plan, planting) = planted(&request(), &config(&[], ""), &FileTree::new(Vec::new()));
        assert_eq!(plan.skipped.iter().map(|skipped| skipped.surface).collect::<Vec<_>>(), [Surface::History]);
        assert_eq!(planting.placements.len(), 3);
    }

    #[test]
    fn a_refused_proposal_is_passed_over_and_a_refused_wish_is_an_error() {
        let config = config(BUILDKIT, MEMBERS);
        let free = planted(&request(), &config, &files()).0;
        let Place::File { file: PlannedFile { path, .. }, .. } = &free.baits[0].place else { panic!("a file") };
        let full = tree(&[("app", EntryKind::Directory), ("app/shop", EntryKind::File), ("root", EntryKind::Directory), (path, EntryKind::File)]);
        let Place::File { file: PlannedFile { path: other, .. }, .. } = &planted(&request(), &config, &full).0.baits[0].place else {
            panic!("a file")
        };
        assert_ne!(path, other);

        for (surface, place) in
            [(Surface::File, "/app/shop"), (Surface::File, "/root/.aws/credentials"), (Surface::Env, "SHOP_PORT"), (Surface::Env, "PGPASSWORD")]
        {
            let request = PlanRequest { places: BTreeMap::from([(surface, place.to_owned())]), ..request() };
            let error = plan_image(&request, ring().newest(), &config, &full).expect_err("refused");
            assert!(matches!(error, BaitError::Refused { .. }) && error.hint().is_some(), "{error}");
        }
        let places = BTreeMap::from([(Surface::File, "/opt/old/login.json".to_owned()), (Surface::Env, "OLD_STORE".to_owned())]);
        let plan = planted(&PlanRequest { places, ..request() }, &config, &full).0;
        assert_eq!((plan.baits[0].place.location().as_str(), plan.baits[1].place.location().as_str()), ("/opt/old/login.json", "OLD_STORE"));
    }

    #[test]
    fn a_database_image_takes_no_variable_and_a_windows_image_no_file() {
        let database = config(BUILDKIT, r#""Env":["PG_MAJOR=17"]"#);
        assert_eq!(planted(&request(), &database, &files()).0.skipped[0].surface, Surface::Env);
        let bytes = String::from_utf8(config(BUILDKIT, "").bytes.to_vec()).expect("text").replace("linux", "windows");
        let windows = ImageConfig::parse(bytes.as_bytes()).expect("valid");
        let (plan, planting) = planted(&request(), &windows, &files());
        assert!(plan.skipped.iter().all(|skipped| skipped.why == Refusal::Windows.to_string()) && planting.layers.is_empty());
        assert_eq!(plan.baits.len(), 2);
    }

    #[test]
    fn an_image_with_many_layers_gets_only_what_docker_can_still_mount() {
        for (layers, skipped, added) in
            [(121, vec![], 4), (122, vec![], 3), (123, vec![Surface::Buried], 2), (125, vec![Surface::File, Surface::Buried], 0)]
        {
            let steps: Vec<_> = std::iter::repeat_n(("RUN /bin/sh -c true # buildkit", "buildkit.dockerfile.v0", false), layers).collect();
            let (plan, planting) = planted(&request(), &config(&steps, MEMBERS), &files());
            assert_eq!(plan.skipped.iter().map(|skipped| skipped.surface).collect::<Vec<_>>(), skipped, "{layers}");
            assert!(plan.skipped.iter().all(|skipped| skipped.why.contains("Docker mounts 125 at most")), "{:?}", plan.skipped);
            assert_eq!(planting.layers.len(), added, "{layers}");
        }
        let steps: Vec<_> = std::iter::repeat_n(("COPY a b # buildkit", "buildkit.dockerfile.v0", false), 125).collect();
        let request = PlanRequest { places: BTreeMap::from([(Surface::File, "/opt/old/login.json".to_owned())]), ..request() };
        let error = plan_image(&request, ring().newest(), &config(&steps, MEMBERS), &files()).expect_err("no room");
        assert!(matches!(error, BaitError::Refused { refusal: Refusal::Layers { layers: 125, wanted: 1, .. }, .. }), "{error}");
    }

    #[test]
    fn an_image_without_a_shell_has_nobody_who_deletes_a_file() {
        let static_binary = tree(&[("shop", EntryKind::File)]);
        let config = config(&[("COPY shop /shop # buildkit", "buildkit.dockerfile.v0", false)], r#""Entrypoint":["/shop"],"User":"65532:65532""#);
        let (plan, planting) = planted(&request(), &config, &static_binary);
        assert_eq!(
            plan.skipped.iter().map(|skipped| (skipped.surface, skipped.why.clone())).collect::<Vec<_>>(),
            [(Surface::Buried, Refusal::NoShell.to_string())]
        );
        assert!(planting.edit.history.iter().all(|(_, step)| !step.created_by.as_deref().unwrap_or_default().contains("rm ")));
        assert_eq!(planting.layers.len(), 1);
        assert!(plan.baits.iter().any(|bait| matches!(bait.place, Place::Argument { .. })), "and nobody who runs a command");
    }

    /// Writes a planted image as `docker save` would, unpacked, for scanners to be tried on: `BAIT_IMAGE` names the directory.
    #[test]
    #[ignore = "writes files for people to scan"]
    #[expect(clippy::disallowed_methods, reason = "a directory for the person who runs it")]
    fn a_planted_image_for_scanners() {
        let directory = std::path::PathBuf::from(std::env::var("BAIT_IMAGE").expect("BAIT_IMAGE names a directory"));
        std::fs::create_dir_all(&directory).expect("a directory");
        let empty = write_tar(&[]);
        let base = config(&BUILDKIT[2..3], MEMBERS);
        let text = String::from_utf8(base.bytes.to_vec()).expect("text").replace(base.diff_ids[0].hex(), Digest::of(&empty).hex());
        let base = ImageConfig::parse(text.as_bytes()).expect("valid");
        let (plan, planting) = planted(&request(), &base, &files());
        let tars: Vec<Vec<u8>> = std::iter::once(empty).chain(planting.layers.iter().map(|(_, layer)| write_tar(layer))).collect();
        let edit = ConfigEdit { diff_ids: tars.iter().skip(1).map(|tar| (1, Digest::of(tar))).collect(), ..planting.edit };
        let edited = base.edited(&edit).expect("valid");
        let names: Vec<String> = tars.iter().enumerate().map(|(number, _)| format!("layer{number}.tar")).collect();
        for (name, tar) in names.iter().zip(&tars) {
            std::fs::write(directory.join(name), tar).expect("a file");
        }
        let name = format!("{}.json", Digest::of(&edited.bytes).hex());
        std::fs::write(directory.join(&name), &edited.bytes).expect("a file");
        let manifest = serde_json::json!([{ "Config": name, "RepoTags": ["acme/shop:1"], "Layers": names }]);
        std::fs::write(directory.join("manifest.json"), manifest.to_string()).expect("a file");
        std::fs::write(directory.with_extension("plan.json"), serde_json::to_string_pretty(&plan).expect("plain")).expect("a file");
    }

    #[test]
    fn every_kind_fits_every_surface_that_it_names() {
        let config = config(BUILDKIT, MEMBERS);
        for kind in kinds::KINDS {
            for surface in kind.surfaces() {
                let request = PlanRequest { surfaces: vec![*surface], kinds: BTreeMap::from([(*surface, kind.id().to_owned())]), ..request() };
                let (plan, planting) = planted(&request, &config, &files());
                assert_eq!(plan.skipped, [], "{} {surface}", kind.id());
                assert_eq!(planting.placements[0].claims.kind, kind.id());
            }
        }
        let request = PlanRequest { kinds: BTreeMap::from([(Surface::Env, "kubeconfig".to_owned())]), ..request() };
        assert!(matches!(plan_image(&request, ring().newest(), &config, &files()), Err(BaitError::KindOnSurface { .. })));
    }
}
