//! What a container would see: layers merged, whiteouts applied, without a copy of anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::image::entry::{EntryKind, split};
use crate::image::listing::{LayerListing, Node};

/// The merged view of an image's layers. A look-up asks the layers from the newest down.
///
/// Source: OCI image specification, layer.md, "Applying Changesets".
#[derive(Debug, Clone)]
pub struct FileTree {
    /// Oldest first.
    layers: Vec<Arc<LayerListing>>,
    /// Layers of which nothing is known.
    unread: usize,
}

/// What became of a path that one layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Live,
    /// A later layer, by index, deletes it or its directory.
    Deleted {
        by: usize,
    },
    /// A later layer, by index, holds another version.
    Overwritten {
        by: usize,
    },
}

impl FileTree {
    /// The tree of these layers, oldest first.
    #[must_use]
    pub fn new(layers: Vec<Arc<LayerListing>>) -> Self {
        Self { layers, unread: 0 }
    }

    /// The same, where so many of the layers were not read and stand here empty.
    #[must_use]
    pub fn without(self, unread: usize) -> Self {
        Self { unread, ..self }
    }

    /// How many layers were not read, so that what is not in this tree may still be in the image.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// The entry that a container sees at a path, and the layer that it comes from. Symlinks are not followed.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<(Node, usize)> {
        for (index, layer) in self.layers.iter().enumerate().rev() {
            if let Some(node) = layer.get(path) {
                return Some((node, index));
            }
            if hides(layer, path) {
                return None;
            }
        }
        None
    }

    /// The target of the symlink that a container sees at a path.
    #[must_use]
    pub fn link(&self, path: &[u8]) -> Option<Vec<u8>> {
        let (node, layer) = self.get(path)?;
        if node.kind == EntryKind::Symlink { self.layers[layer].link(path) } else { None }
    }

    /// Whether any layer holds this path, also if a later one deletes it.
    #[must_use]
    pub fn ever_existed(&self, path: &[u8]) -> bool {
        self.layers.iter().any(|layer| layer.get(path).is_some() || layer.any_child(path, |_| true))
    }

    /// What became of a path that layer `layer` holds.
    #[must_use]
    pub fn fate(&self, layer: usize, path: &[u8]) -> Fate {
        for (by, later) in self.layers.iter().enumerate().skip(layer + 1) {
            if later.get(path).is_some() {
                return Fate::Overwritten { by };
            }
            if hides(later, path) {
                return Fate::Deleted { by };
            }
        }
        Fate::Live
    }

    /// The names that a container sees directly below a directory, whiteouts left out.
    #[must_use]
    pub fn children(&self, directory: &[u8]) -> Vec<Vec<u8>> {
        let names: BTreeSet<Vec<u8>> = self.layers.iter().flat_map(|layer| layer.children(directory)).collect();
        names.into_iter().filter(|name| !name.starts_with(b".wh.")).filter(|name| self.exists(&join(directory, name))).collect()
    }

    /// Whether a container sees something at this path, also a directory that no layer lists by itself.
    #[must_use]
    pub fn exists(&self, path: &[u8]) -> bool {
        for layer in self.layers.iter().rev() {
            if layer.get(path).is_some() || layer.any_child(path, |name| !name.starts_with(b".wh.")) {
                return true;
            }
            if hides(layer, path) {
                return false;
            }
        }
        false
    }

    /// The nearest part of the path, itself included, that a container sees as a symlink.
    #[must_use]
    pub fn symlink_on_the_way(&self, path: &[u8]) -> Option<Vec<u8>> {
        ancestors(path).chain([path]).find(|part| self.get(part).is_some_and(|(node, _)| node.kind == EntryKind::Symlink)).map(<[u8]>::to_vec)
    }

    /// The nearest part of the path, itself left out, that a container sees as something other than a directory.
    #[must_use]
    pub fn obstacle_on_the_way(&self, path: &[u8]) -> Option<Vec<u8>> {
        ancestors(path).find(|part| self.get(part).is_some_and(|(node, _)| node.kind != EntryKind::Directory)).map(<[u8]>::to_vec)
    }

    /// The tree of the first `count` layers, and that of the others.
    #[must_use]
    pub fn parted(&self, count: usize) -> (Self, Self) {
        let (below, above) = self.layers.split_at(count.min(self.layers.len()));
        (Self { layers: below.to_vec(), unread: self.unread }, Self { layers: above.to_vec(), unread: self.unread })
    }

    /// Whether some layer would hide what a layer below all of these holds at a path, or hold it anew.
    #[must_use]
    pub fn covers(&self, path: &[u8]) -> bool {
        self.layers.iter().any(|layer| layer.get(path).is_some() || layer.any_child(path, |_| true) || hides(layer, path))
    }

    /// Layers, oldest first.
    #[must_use]
    pub fn layers(&self) -> &[Arc<LayerListing>] {
        &self.layers
    }
}

/// A path below a directory.
#[must_use]
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

/// The directories above a path, outermost first, the root left out.
pub fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr::memchr_iter(b'/', path).map(|slash| &path[..slash])
}

/// Whether a layer hides `path` of the layers below it. Entries of the layer itself are not looked at.
fn hides(layer: &LayerListing, path: &[u8]) -> bool {
    let whiteout = |path: &[u8]| {
        let (parent, name) = split(path);
        layer.get(&join(parent, &[b".wh.", name].concat())).is_some()
    };
    let opaque = |directory: &[u8]| layer.get(&join(directory, b".wh..wh..opq")).is_some();
    whiteout(path)
        || opaque(b"")
        || ancestors(path).any(|part| whiteout(part) || opaque(part) || layer.get(part).is_some_and(|node| node.kind != EntryKind::Directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::entry::Entry;
    use crate::image::listing_builder::ListingBuilder;

    fn layer(entries: &[(&str, EntryKind)]) -> Arc<LayerListing> {
        let mut builder = ListingBuilder::default();
        for (path, kind) in entries {
            let entry = Entry { path: path.as_bytes().to_vec(), kind: *kind, size: 1, mode: 0o644, uid: 0, gid: 0, mtime: 0, link: Vec::new() };
            assert!(builder.push(&entry));
        }
        Arc::new(builder.finish())
    }

    use EntryKind::{Directory, File, Symlink};

    #[test]
    fn a_later_layer_hides_what_it_deletes() {
        let tree = FileTree::new(vec![
            layer(&[("app", Directory), ("app/keep", File), ("app/gone", File), ("app/new", File), ("cache/a/b", File), ("opaque/x", File)]),
            layer(&[("app/.wh.gone", File), ("app/new", File), (".wh.cache", File), ("opaque/.wh..wh..opq", File), ("opaque/y", File)]),
        ]);
        assert_eq!(tree.fate(0, b"app/keep"), Fate::Live);
        assert_eq!(tree.fate(0, b"app/gone"), Fate::Deleted { by: 1 });
        assert_eq!(tree.fate(0, b"app/new"), Fate::Overwritten { by: 1 });
        assert_eq!(tree.fate(0, b"cache/a/b"), Fate::Deleted { by: 1 });
        assert_eq!(tree.fate(0, b"opaque/x"), Fate::Deleted { by: 1 });
        assert_eq!(tree.get(b"app/gone"), None);
        assert!(tree.get(b"opaque/y").is_some());
        assert!(tree.ever_existed(b"cache/a") && !tree.exists(b"cache/a"));
        assert_eq!(tree.children(b"app"), [b"keep".to_vec(), b"new".to_vec()]);
        assert_eq!(tree.children(b""), [b"app".to_vec(), b"opaque".to_vec()]);
    }

    #[test]
    fn a_tree_is_parted_and_its_upper_part_covers_what_it_touches() {
        let tree =
            FileTree::new(vec![layer(&[("app", Directory), ("app/a", File)]), layer(&[("app", Directory), ("app/.wh.b", File), ("app/c/d", File)])]);
        let (below, above) = tree.parted(1);
        assert_eq!((below.layers().len(), above.layers().len(), tree.parted(9).1.layers().len()), (1, 1, 0));
        assert!(["app/b", "app/b/x", "app/c", "app/c/d"].iter().all(|path| above.covers(path.as_bytes())));
        assert!(!above.covers(b"app/a") && !above.covers(b"app/e/f"));
    }

    #[test]
    fn a_directory_that_becomes_a_file_takes_its_content_with_it() {
        let tree = FileTree::new(vec![layer(&[("a/b/c", File)]), layer(&[("a/b", File)])]);
        assert_eq!(tree.fate(0, b"a/b/c"), Fate::Deleted { by: 1 });
        assert_eq!(tree.obstacle_on_the_way(b"a/b/new"), Some(b"a/b".to_vec()));
    }

    #[test]
    fn a_layer_may_replace_what_it_deletes() {
        let tree = FileTree::new(vec![layer(&[("a", File)]), layer(&[(".wh.a", File), ("a", File)])]);
        assert_eq!(tree.get(b"a").map(|(_, layer)| layer), Some(1));
        assert_eq!(tree.fate(0, b"a"), Fate::Overwritten { by: 1 });
    }

    #[test]
    fn symlinks_on_the_way_are_seen() {
        let tree = FileTree::new(vec![layer(&[("run", Directory), ("var", Directory), ("var/run", Symlink)])]);
        assert_eq!(tree.symlink_on_the_way(b"var/run/token"), Some(b"var/run".to_vec()));
        assert_eq!(tree.symlink_on_the_way(b"var/lib/token"), None);
    }

    #[test]
    fn children_are_found_between_names_that_sort_around_the_slash() {
        let tree = FileTree::new(vec![layer(&[("d/a", File), ("d/a-b", File), ("d/a/x", File), ("d/a0", File), ("d/ab/c/d", File), ("e", File)])]);
        assert_eq!(tree.children(b"d"), [b"a".to_vec(), b"a-b".to_vec(), b"a0".to_vec(), b"ab".to_vec()]);
    }
}
