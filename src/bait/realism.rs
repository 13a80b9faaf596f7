//! What a new file or variable has to look like to be one among its neighbours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bait::danger::refuse_name;
use crate::bait::kinds::contract::Area;
use crate::bait::seed::Seed;
use crate::bait::surroundings::Syntax;
use crate::image::entry::{EntryKind, split};
use crate::image::file_tree::{FileTree, ancestors, join};
use crate::image::listing::Node;
use crate::oci::config::ImageConfig;

/// A file's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// 0664 at most.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: i64,
}

/// The directory of an area, relative to the root.
#[must_use]
pub fn directory(area: Area, config: &ImageConfig, tree: &FileTree) -> String {
    let exists = |path: &str| tree.exists(path.as_bytes()).then(|| path.to_owned());
    let first = |parent: &str| {
        let children = tree.children(parent.as_bytes());
        let mut paths = children.iter().map(|name| join(parent.as_bytes(), name));
        let found = paths.find(|path| tree.get(path).is_none_or(|(node, _)| node.kind == EntryKind::Directory))?;
        String::from_utf8(found).ok()
    };
    match area {
        Area::App => {
            let working = config.working_dir.trim_matches('/');
            let working = (!working.is_empty()).then(|| working.to_owned());
            let known = || ["app", "usr/src/app", "srv/app", "opt/app"].into_iter().find_map(exists);
            working.or_else(known).or_else(|| first("srv")).or_else(|| first("opt")).or_else(|| first("home")).unwrap_or_else(|| "app".to_owned())
        }
        Area::Home => {
            let user = config.user.split(':').next().unwrap_or_default();
            let own = exists(&format!("home/{user}")).filter(|_| !user.is_empty() && user != "root");
            own.or_else(|| exists("root")).or_else(|| first("home")).unwrap_or_else(|| "root".to_owned())
        }
        Area::Side => exists("opt").or_else(|| exists("srv")).unwrap_or_else(|| "opt".to_owned()),
    }
}

/// The attributes of a new file at `path`: its neighbours' owner and group, and what they may do with it. A file that its neighbours'
/// readers cannot read would stop whatever copies or packs the folder, and be the only one of its kind. It is as old as the
/// newest neighbour that was copied by this build (`began`), else as the newest such file of the image, or as the build itself: a file
/// from the base image's time would not hold a credential of today.
#[must_use]
pub fn attributes(path: &[u8], tree: &FileTree, began: i64) -> Attributes {
    let nearest = ancestors(path).collect::<Vec<_>>().into_iter().rev().find(|directory| tree.exists(directory)).unwrap_or_default();
    let siblings = tree.children(nearest);
    let files = siblings.iter().filter_map(|name| tree.get(&join(nearest, name))).map(|(node, _)| node).filter(|node| node.kind == EntryKind::File);
    // Builders that fix all times write 0 or 1. What a command of this build made is younger than what it began with.
    let copied = |node: &Node| node.mtime <= 1 || (node.mtime <= began && node.mtime.abs_diff(began) < SAME_BUILD);
    let newest = files.max_by_key(|node| (copied(node), node.mtime));
    let Some(node) = newest.or_else(|| tree.get(nearest).map(|(node, _)| node)) else {
        return Attributes { mode: 0o600, uid: 0, gid: 0, mtime: copied_last(tree, began) };
    };
    let mtime = newest.filter(copied).map_or_else(|| copied_last(tree, began), |node| node.mtime);
    Attributes { mode: 0o400 | u32::from(node.mode & 0o664), uid: node.uid, gid: node.gid, mtime }
}

/// About how many bytes a new file of settings has: as many as one of the image's own from layer `own` on, where there are enough of them.
#[must_use]
pub fn usual_size(tree: &FileTree, own: usize, seed: &Seed, path: &str) -> usize {
    let mut sizes: Vec<u64> = Vec::new();
    for layer in tree.layers().iter().skip(own) {
        let mut rows = layer.rows();
        while let Some(row) = rows.next() {
            let name = String::from_utf8_lossy(split(row.path).1);
            let is_settings = row.node.kind == EntryKind::File && (40..12_000).contains(&row.node.size) && Syntax::of_settings(&name).is_some();
            if is_settings && sizes.len() < 64 {
                sizes.push(row.node.size);
            }
        }
    }
    sizes.extend(if sizes.len() < USUAL.len() { &USUAL[..] } else { &[] });
    let size = usize::try_from(seed.pick(&format!("size of {path}"), &sizes).unwrap_or(500)).unwrap_or(500);
    size * (85 + seed.below(&format!("size in parts of {path}"), 30)) / 100
}

/// Bytes of small files of settings, each as often as the next.
const USUAL: [u64; 24] =
    [40, 75, 110, 140, 175, 210, 250, 295, 340, 395, 455, 520, 600, 690, 800, 930, 1090, 1290, 1550, 1900, 2400, 3200, 4600, 8000];

/// When the newest file that the build copied was written.
fn copied_last(tree: &FileTree, began: i64) -> i64 {
    let newest = tree.layers().iter().filter_map(|layer| layer.newest_file(began)).max();
    newest.filter(|mtime| mtime.abs_diff(began) < SAME_BUILD).unwrap_or(began)
}

/// A source file may be this much older than the build that copies it.
const SAME_BUILD: u64 = 90 * 86_400;

/// What the image's own variables begin with (`SHOP_`), where at least two of them do and no tool reads such names.
#[must_use]
pub fn variable_prefix(config: &ImageConfig) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &config.env {
        let name = line.split('=').next().unwrap_or_default();
        // Base images note their versions in variables; such names are not the application's.
        let noted = ["_VERSION", "_RELEASE", "_SHA256", "_HOME", "_KEY", "_KEYS"].iter().any(|ending| name.ends_with(ending));
        let shouted = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        if let Some((prefix, rest)) = name.split_once('_').filter(|_| shouted && !noted && refuse_name(name, std::iter::empty()).is_none())
            && prefix.len() >= 2
            && !rest.is_empty()
        {
            *counts.entry(prefix).or_default() += 1;
        }
    }
    let (prefix, count) = counts.into_iter().rev().max_by_key(|(_, count)| *count)?;
    (count >= 2).then(|| format!("{prefix}_"))
}

/// The directories above a new file as entries of its layer: those that exist keep their attributes, new ones take the file's owner
/// and time. Directories that no layer lists by themselves are left to the runtime.
#[must_use]
pub fn directories(path: &[u8], file: Attributes, tree: &FileTree) -> Vec<(Vec<u8>, Attributes)> {
    let new = |directory: &[u8]| {
        let mode = if split(directory).1.starts_with(b".") { 0o700 } else { 0o755 };
        Attributes { mode, ..file }
    };
    let existing = |directory: &[u8]| {
        tree.get(directory).map(|(node, _)| Attributes { mode: node.mode.into(), uid: node.uid, gid: node.gid, mtime: node.mtime })
    };
    ancestors(path)
        .filter_map(|directory| match existing(directory) {
            Some(attributes) => Some((directory.to_vec(), attributes)),
            None if tree.exists(directory) => None,
            None => Some((directory.to_vec(), new(directory))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::danger::tests::{config, tree};

    #[test]
    fn the_application_is_found_where_the_image_says() {
        let tree = tree(&[("srv/shop", EntryKind::Directory), ("root", EntryKind::Directory), ("home/shop", EntryKind::Directory)]);
        assert_eq!(directory(Area::App, &config(r#""WorkingDir":"/srv/shop/""#), &tree), "srv/shop");
        assert_eq!(directory(Area::App, &config(""), &tree), "srv/shop");
        assert_eq!(directory(Area::Home, &config(r#""User":"shop:shop""#), &tree), "home/shop");
        assert_eq!(directory(Area::Home, &config(""), &tree), "root");
        assert_eq!(directory(Area::Side, &config(""), &tree), "srv");
    }

    #[test]
    fn a_file_looks_like_its_neighbours() {
        let tree = tree(&[("app", EntryKind::Directory), ("app/main.py", EntryKind::File)]);
        let expected = Attributes { mode: 0o644, uid: 0, gid: 0, mtime: 1_780_000_000 };
        assert_eq!(attributes(b"app/ci/x", &tree, 1_780_000_600), expected);
        assert_eq!(attributes(b"app/ci/x", &tree, 1_900_000_000), Attributes { mtime: 1_900_000_000, ..expected });
        // What the build made after it had begun is not what it copied.
        assert_eq!(attributes(b"app/ci/x", &tree, 1_779_999_999), Attributes { mtime: 1_779_999_999, ..expected });
        assert_eq!(directories(b"app/ci/x", expected, &tree).len(), 2);
        assert_eq!(attributes(b"opt/x", &FileTree::new(Vec::new()), 5), Attributes { mode: 0o600, uid: 0, gid: 0, mtime: 5 });
    }

    #[test]
    fn directories_on_the_way_look_as_before_and_deleted_ones_are_made_anew() {
        let entry = |path: &str, kind, mode, uid, mtime| crate::image::entry::Entry {
            path: path.as_bytes().to_vec(),
            kind,
            size: 0,
            mode,
            uid,
            gid: uid + 1,
            mtime,
            link: Vec::new(),
        };
        let layer = |entries: &[crate::image::entry::Entry]| {
            let mut builder = crate::image::listing_builder::ListingBuilder::default();
            assert!(entries.iter().all(|entry| builder.push(entry)));
            std::sync::Arc::new(builder.finish())
        };
        let directory = EntryKind::Directory;
        let below = layer(&[
            entry("srv", directory, 0o2755, 7, 1),
            entry("srv/tmp", directory, 0o1777, 8, 2),
            entry("srv/gone", directory, 0o711, 9, 3),
            entry("srv/implied/file", EntryKind::File, 0o644, 0, 4),
        ]);
        let above = layer(&[entry("srv", directory, 0o2750, 17, 11), entry("srv/.wh.gone", EntryKind::File, 0, 0, 0)]);
        let tree = FileTree::new(vec![below, above]);
        let file = Attributes { mode: 0o640, uid: 5, gid: 6, mtime: 99 };
        let srv = (b"srv".to_vec(), Attributes { mode: 0o2750, uid: 17, gid: 18, mtime: 11 });
        let of = |path: &str| directories(path.as_bytes(), file, &tree);
        assert_eq!(of("srv/tmp/x"), [srv.clone(), (b"srv/tmp".to_vec(), Attributes { mode: 0o1777, uid: 8, gid: 9, mtime: 2 })]);
        assert_eq!(of("srv/gone/x"), [srv.clone(), (b"srv/gone".to_vec(), Attributes { mode: 0o755, ..file })]);
        assert_eq!(of("srv/implied/x"), [srv]);
    }

    #[test]
    fn the_variables_prefix_is_the_applications_not_the_bases() {
        let env = r#""Env":["PATH=/bin","NGINX_VERSION=1","NJS_VERSION=2","NJS_RELEASE=2","SHOP_PORT=80","SHOP_MODE=x"]"#;
        assert_eq!(variable_prefix(&config(env)), Some("SHOP_".to_owned()));
        assert_eq!(variable_prefix(&config(r#""Env":["PYTHON_VERSION=3","PYTHON_X=1","A_B=1"]"#)), None);
    }
}
