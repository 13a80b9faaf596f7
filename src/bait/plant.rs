//! Carries a plan out: the entries of new layers, the edit of the config, and what is now where.

use crate::bait::error::BaitError;
use crate::bait::history_style::{Grammar, HistoryStyle, Step};
use crate::bait::honeytoken::Honeytoken;
use crate::bait::kinds;
use crate::bait::kinds::contract::{BaitKind, Fields};
use crate::bait::placement::Placement;
use crate::bait::plan::{ImagePlan, Place, PlannedBait};
use crate::bait::realism::{Attributes, directories};
use crate::image::entry::{EntryKind, split};
use crate::image::file_tree::{FileTree, join};
use crate::image::layer_writer::NewEntry;
use crate::oci::config::{ConfigEdit, History, ImageConfig};
use crate::oci::digest::Digest;

/// What planting adds to an image.
#[derive(Debug, Clone, Default)]
pub struct Planting {
    /// New layers, lowest first, each as its entries.
    pub layers: Vec<Vec<NewEntry>>,
    /// Variables and history; the layer list follows from the layers.
    pub edit: ConfigEdit,
    pub placements: Vec<Placement>,
}

/// Plants `tokens` as planned. Nothing of the image but Env, history and the layer list changes.
///
/// # Errors
/// When the plan has a bait without a token.
pub fn plant_image(plan: &ImagePlan, tokens: &[Honeytoken], config: &ImageConfig, tree: &FileTree) -> Result<Planting, BaitError> {
    let mut work = Work { style: HistoryStyle::of(config), tree, planting: Planting::default(), steps: Vec::new() };
    for bait in order(&plan.baits) {
        let claims = &bait.claims;
        let missing = || BaitError::NoToken { surface: claims.surface, kind: claims.kind.clone() };
        let token = tokens.iter().find(|token| token.claims == *claims).ok_or_else(missing)?;
        let kind = kinds::find(&claims.kind).ok_or_else(|| BaitError::UnknownKind { kind: claims.kind.clone() })?;
        let step = work.plant(kind, &Fields::of(token), &bait.place);
        let location = match (&bait.place, step) {
            (Place::Argument { name }, Some(step)) => format!("{} {name}", plan.history_at + step),
            (place, _) => place.location(),
        };
        work.planting.placements.push(Placement::new(token, &plan.platform, &location));
    }
    work.style.spread(&mut work.steps);
    let Work { mut planting, steps, style, .. } = work;
    let at = |step: &History| if style.is_variables(step) { style.variables_at.min(plan.history_at) } else { plan.history_at };
    planting.edit.history = steps.into_iter().map(|step| (at(&step), step)).collect();
    planting.placements.sort_by_key(|placement| placement.claims.surface);
    Ok(planting)
}

/// Layers first, then what leaves only a line in the history: an argument must not come before a RUN step, which would repeat it.
fn order(baits: &[PlannedBait]) -> Vec<&PlannedBait> {
    let rank = |bait: &PlannedBait| match bait.place {
        Place::Buried { .. } => 0,
        Place::File { .. } => 1,
        Place::Variables { .. } => 2,
        Place::Argument { .. } => 3,
    };
    let mut ordered: Vec<&PlannedBait> = baits.iter().collect();
    ordered.sort_by_key(|bait| rank(bait));
    ordered
}

struct Work<'a> {
    style: HistoryStyle,
    tree: &'a FileTree,
    planting: Planting,
    steps: Vec<History>,
}

impl Work<'_> {
    /// Plants one bait and gives the index, among the new steps, of the one that tells of it.
    fn plant(&mut self, kind: &dyn BaitKind, fields: &Fields<'_>, place: &Place) -> Option<usize> {
        match place {
            Place::File { path, source, attributes } => self.add_file(kind, fields, (path, source), *attributes),
            Place::Buried { path, source, attributes } => {
                let step = self.add_file(kind, fields, (path, source), *attributes);
                self.delete_file(path, *attributes);
                step
            }
            Place::Variables { names } => {
                let values = kind.variables(fields);
                let lines: Vec<String> = names.iter().zip(&values).map(|(name, (_, value))| format!("{name}={value}")).collect();
                let step = self.write(Step::Variables(&lines.join(" ")));
                self.planting.edit.env.extend(lines);
                step
            }
            Place::Argument { name } => {
                let values = kind.variables(fields);
                let value = values.first().map_or("", |(_, value)| value.as_str());
                self.write(Step::Argument(&format!("{name}={value}")))
            }
        }
    }

    fn add_file(&mut self, kind: &dyn BaitKind, fields: &Fields<'_>, (path, source): (&str, &str), attributes: Attributes) -> Option<usize> {
        let content = kind.file_text(fields).into_bytes();
        let hash = Digest::of(&content);
        let mut entries = self.above(path, attributes);
        entries.push(entry(path.as_bytes().to_vec(), EntryKind::File, attributes, content));
        self.planting.layers.push(entries);
        let owner = (attributes.uid, attributes.gid);
        self.write(Step::Copy { source, target: &format!("/{path}"), owner, hash: hash.hex() })
    }

    fn delete_file(&mut self, path: &str, attributes: Attributes) {
        let (parent, name) = split(path.as_bytes());
        let whiteout = join(parent, &[b".wh.", name].concat());
        // Docker's differ writes whiteouts with 0600, all others without permissions; all as root.
        let mode = if self.style.grammar == Grammar::Classic { 0o600 } else { 0 };
        let mtime = self.style.seconds().unwrap_or(attributes.mtime);
        let mut entries = self.above(path, attributes);
        entries.push(entry(whiteout, EntryKind::File, Attributes { mode, uid: 0, gid: 0, mtime }, Vec::new()));
        self.planting.layers.push(entries);
        self.write(Step::Remove { target: &format!("/{path}") });
    }

    fn above(&self, path: &str, attributes: Attributes) -> Vec<NewEntry> {
        let above = directories(path.as_bytes(), attributes, self.tree);
        let parent = split(path.as_bytes()).0;
        // Who adds or deletes a file changes its folder, and makes those that are not there.
        let changes = |folder: &[u8]| folder == parent || !self.tree.exists(folder);
        let now = self.style.seconds();
        let changed = |folder: &[u8], before: Attributes| Attributes { mtime: now.filter(|_| changes(folder)).unwrap_or(before.mtime), ..before };
        let entries = above.into_iter().map(|(path, before)| {
            let attributes = changed(&path, before);
            entry(path, EntryKind::Directory, attributes, Vec::new())
        });
        entries.collect()
    }

    fn write(&mut self, step: Step<'_>) -> Option<usize> {
        self.steps.push(self.style.write(step)?);
        Some(self.steps.len() - 1)
    }
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
        let planting = plant_image(&plan, &tokens(request), config, tree).expect("plants");
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

    #[test]
    fn only_env_history_and_layers_change_and_history_stays_in_step() {
        for steps in [BUILDKIT, CLASSIC, BUILDAH, KANIKO, KO, &[]] {
            for members in [MEMBERS, "", r#""Env":null"#] {
                let config = config(steps, members);
                let (_, planting) = planted(&request(), &config, &files());
                let layers: Vec<_> = planting.layers.iter().map(|layer| write_layer(layer, 6)).collect();
                let edit = ConfigEdit { diff_ids: layers.iter().map(|layer| layer.diff_id.clone()).collect(), ..planting.edit };
                let edited = config.edited(&edit).expect("valid");
                assert_eq!(kept(&edited), kept(&config));
                assert!(edited.env.starts_with(&config.env) && edited.diff_ids.starts_with(&config.diff_ids));
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
        assert_eq!((planting.layers.len(), planting.edit.env.len(), planting.edit.history.len()), (3, 1, 5));
        let mut texts: Vec<String> = planting.layers.iter().flatten().map(|entry| String::from_utf8(entry.content.clone()).expect("text")).collect();
        texts.extend(planting.edit.env.clone());
        texts.extend(planting.edit.history.iter().filter_map(|(_, step)| step.created_by.clone()));
        let found: Vec<_> = texts.iter().filter_map(|text| find(&ring(), text)).map(|opened| opened.fingerprint).collect();
        for placement in &planting.placements {
            assert!(found.contains(&placement.fingerprint), "{placement:?}");
        }
        assert!(planting.edit.env[0].starts_with("SHOP_"), "named like its neighbours");
    }

    #[test]
    fn the_buried_file_is_gone_for_a_container_and_the_kept_one_is_there() {
        let config = config(BUILDKIT, MEMBERS);
        let base = files();
        let (plan, planting) = planted(&request(), &config, &base);
        let mut layers = base.layers().to_vec();
        for layer in &planting.layers {
            let mut builder = ListingBuilder::default();
            for new in layer {
                let (path, size) = (new.path.clone(), new.content.len() as u64);
                let entry = crate::image::entry::Entry {
                    path,
                    kind: new.kind,
                    size,
                    mode: new.mode,
                    uid: new.uid,
                    gid: new.gid,
                    mtime: new.mtime,
                    link: Vec::new(),
                };
                assert!(builder.push(&entry));
            }
            layers.push(Arc::new(builder.finish()));
        }
        let tree = FileTree::new(layers);
        for bait in &plan.baits {
            match &bait.place {
                Place::File { path, attributes, .. } => {
                    let (node, _) = tree.get(path.as_bytes()).expect("a container sees it");
                    assert!(node.mode & !0o664 == 0 && attributes.mtime == 1_780_000_000);
                }
                Place::Buried { path, .. } => {
                    assert_eq!(tree.get(path.as_bytes()), None);
                    assert_eq!(tree.fate(1, path.as_bytes()), Fate::Deleted { by: 2 });
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
            let layers: Vec<Vec<u8>> = planting.layers.iter().map(|layer| write_tar(layer)).collect();
            (plan, layers, planting.edit.env, serde_json::to_string(&planting.edit.history).expect("plain"), planting.placements)
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
        let Place::File { path, .. } = &free.baits[0].place else { panic!("a file") };
        let full = tree(&[("app", EntryKind::Directory), ("app/shop", EntryKind::File), ("root", EntryKind::Directory), (path, EntryKind::File)]);
        let Place::File { path: other, .. } = &planted(&request(), &config, &full).0.baits[0].place else { panic!("a file") };
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
        for (layers, skipped, added) in [(122, vec![], 3), (123, vec![Surface::Buried], 1), (125, vec![Surface::File, Surface::Buried], 0)] {
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
        let tars: Vec<Vec<u8>> = std::iter::once(empty).chain(planting.layers.iter().map(|layer| write_tar(layer))).collect();
        let edit = ConfigEdit { diff_ids: tars.iter().skip(1).map(|tar| Digest::of(tar)).collect(), ..planting.edit };
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
