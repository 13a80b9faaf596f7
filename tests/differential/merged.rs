//! What a container sees of layers over one another: our merged tree beside what umoci unpacks and what Docker shows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use honeycrate::image::blobs::Blobs;
use honeycrate::image::entry::{Entry, EntryKind};
use honeycrate::image::file_tree::{FileTree, join};
use honeycrate::image::layer::{LayerVisitor, read_layer};
use honeycrate::image::layout::Layout;
use honeycrate::image::limits::Limits;
use honeycrate::image::stored::StoredImage;
use tempfile::tempdir;

use crate::common::command::must;
use crate::common::daemon::daemon;
use crate::common::numbers::Numbers;
use crate::common::raw_tar::{Header, end, entry, file};
use crate::hostile::{Form, Picture, parts_of_all};

/// Paths with what lies there: `directory`, `symlink`, or a file's size, which tells its layer.
type Tree = BTreeMap<Vec<u8>, String>;

/// Folders and files that Docker gives to every container.
const OF_DOCKER: [&[u8]; 5] = [b".dockerenv", b"dev", b"etc", b"proc", b"sys"];

#[test]
fn the_merged_tree_is_what_umoci_unpacks() {
    compare(48, false, |_, layout, folder| {
        let bundle = folder.join("bundle");
        must(Command::new("umoci").args(["unpack", "--image"]).arg(format!("{}:latest", layout.display())).arg(&bundle));
        seen(&bundle.join("rootfs"))
    });
}

/// Docker lets a whiteout hide what its own layer has brought before, against the specification: whiteouts come first.
#[test]
fn the_merged_tree_is_what_docker_shows() {
    compare(24, true, |picture, _, folder| {
        let (archive, export, root) = (folder.join("image.tar"), folder.join("export.tar"), folder.join("root"));
        std::fs::write(&archive, picture.docker_archive()).expect("scratch");
        std::fs::create_dir(&root).expect("scratch");
        must(daemon().docker().args(["load", "--quiet", "--input"]).arg(&archive));
        let container = must(daemon().docker().args(["create", "acme/hostile:1"]));
        must(daemon().docker().args(["export", container.trim(), "--output"]).arg(&export));
        must(daemon().docker().args(["rm", container.trim()]));
        must(Command::new("tar").args(["--extract", "--file"]).arg(&export).arg("--directory").arg(&root));
        let mut theirs = seen(&root);
        theirs.retain(|path, _| !OF_DOCKER.contains(&path.split(|&byte| byte == b'/').next().unwrap_or_default()));
        theirs
    });
}

/// Stacks of layers, as ours merges them and as somebody else does, who gets the image, its layout and a scratch folder.
fn compare(stacks: u64, in_order: bool, theirs: impl Fn(&Picture, &Path, &Path) -> Tree) {
    let mut shapes = BTreeSet::new();
    for seed in 0..stacks {
        let folder = tempdir().expect("scratch");
        let layout = folder.path().join("layout");
        std::fs::create_dir(&layout).expect("scratch");
        let (layers, shown) = stack(&mut Numbers(seed), in_order);
        let mut picture = parts_of_all(&layers).picture();
        picture.tag("latest");
        picture.write(Form::Layout, &layout);
        let ours = merged(&layout);
        assert_eq!(ours, theirs(&picture, &layout, folder.path()), "stack {seed}:\n{shown}");
        shapes.insert(ours.len());
    }
    assert!(shapes.len() > 4, "the stacks are all alike: {shapes:?}");
}

/// Layers of files, folders, symlinks and whiteouts of every form over few names, so that they meet; in the order of a walk, or in any.
fn stack(numbers: &mut Numbers, in_order: bool) -> (Vec<Vec<u8>>, String) {
    let mut shown = String::new();
    let layers = (0..2 + numbers.below(3)).map(|layer| {
        // A name that is a folder in one layer and a file in another.
        let mut folders = vec!["d0", "d1"];
        let mut leaves = vec!["f0", "f1", "l0", ".wh.f0", ".wh.f1", ".wh.d0", ".wh.d1", ".wh.s0", ".wh.l0", ".wh..wh..opq", ".wh.none"];
        if numbers.one_in(2) {
            folders.push("s0")
        } else {
            leaves.push("s0")
        }
        let mut seen = BTreeSet::new();
        let mut entries = Vec::new();
        for number in 0..2 + numbers.below(6) {
            let mut path = String::new();
            for _ in 0..numbers.below(3) {
                path = format!("{path}{}/", *numbers.pick(&folders));
                if seen.insert(path.clone()) {
                    entries.push((path.clone(), entry(&path, b'5', b"")));
                }
            }
            path += *numbers.pick(&leaves);
            if !seen.insert(path.clone()) {
                continue;
            }
            let bytes = match path.rsplit('/').next() {
                Some("l0") => Header::new(&path, b'2').link("target").seal(),
                Some(name) if name.starts_with(".wh.") => file(&path, ""),
                _ => file(&path, vec![b'x'; 1 + layer * 100 + number]),
            };
            entries.push((path, bytes));
        }
        if in_order {
            entries.sort();
        }
        shown.extend(entries.iter().map(|(path, _)| format!("{layer} {path}\n")));
        entries.into_iter().flat_map(|(_, bytes)| bytes).chain(end()).collect()
    });
    (layers.collect(), shown)
}

fn merged(layout: &Path) -> Tree {
    let blobs = Layout::open(layout).expect("a layout");
    let root = blobs.find(Some("latest")).expect("an image");
    let blobs: Arc<dyn Blobs> = Arc::new(blobs);
    let stored = StoredImage::open(Arc::clone(&blobs), &root, false).expect("an image");
    let image = stored.images().next().expect("one image");
    let layers = image.manifest.layers.iter().zip(&image.config.diff_ids);
    let listings =
        layers.map(|(layer, diff_id)| Arc::new(read_layer(&*blobs, layer, diff_id, &Limits::default(), &mut Idle).expect("a layer").listing));
    let tree = FileTree::new(listings.collect());
    let mut all = Tree::new();
    gather(&tree, b"", &mut all);
    all
}

fn gather(tree: &FileTree, folder: &[u8], all: &mut Tree) {
    for name in tree.children(folder) {
        let path = join(folder, &name);
        let shown = match tree.get(&path) {
            Some((node, _)) if node.kind == EntryKind::File => node.size.to_string(),
            Some((node, _)) if node.kind == EntryKind::Symlink => "symlink".to_owned(),
            _ => "directory".to_owned(),
        };
        if shown == "directory" {
            gather(tree, &path, all);
        }
        all.insert(path, shown);
    }
}

/// Everything below a folder.
fn seen(root: &Path) -> Tree {
    let mut all = Tree::new();
    walk(root, b"", &mut all);
    all
}

fn walk(root: &Path, folder: &[u8], all: &mut Tree) {
    for found in std::fs::read_dir(root.join(String::from_utf8_lossy(folder).as_ref())).expect("a folder") {
        let found = found.expect("an entry");
        let path = join(folder, found.file_name().as_encoded_bytes());
        let kind = found.file_type().expect("a kind");
        if kind.is_dir() {
            walk(root, &path, all);
            all.insert(path, "directory".to_owned());
        } else {
            all.insert(path, if kind.is_symlink() { "symlink".to_owned() } else { found.metadata().expect("a file").len().to_string() });
        }
    }
}

/// A visitor that looks at nothing.
struct Idle;

impl LayerVisitor for Idle {
    fn file(&mut self, _: &Entry, _: &mut dyn BufRead) -> io::Result<()> {
        Ok(())
    }

    fn stray(&mut self, _: &'static str, _: &mut dyn BufRead) -> io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, _: u64) {}
}
