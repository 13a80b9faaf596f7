//! An image as it lies in a source: its documents, read and checked, over the store that holds its blobs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::image::blobs::{Blobs, read_document, read_verified};
use crate::image::error::ImageError;
use crate::oci::config::ImageConfig;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::manifest::{Document, Index, MAX_CHILDREN, MAX_DOCUMENT, Manifest};
use crate::oci::media_type;

/// An image, or an index of several, with everything needed to read any of its bytes.
#[derive(Clone)]
pub struct StoredImage {
    pub root: Root,
    pub blobs: Arc<dyn Blobs>,
    /// Layers come uncompressed because the source keeps them so (a Docker save): they are compressed before they leave.
    pub unpacked: bool,
    /// What is scanned with it where the whole store is looked at; else empty.
    pub beside: Beside,
}

/// The document that a tag or a source names.
#[derive(Clone)]
pub enum Root {
    Image(Box<Image>),
    Index { index: Index, children: Vec<Child> },
}

/// One line of an index.
#[derive(Clone)]
pub struct Child {
    pub descriptor: Descriptor,
    pub content: ChildContent,
}

/// What an index line leads to.
#[derive(Clone)]
pub enum ChildContent {
    /// An image for one platform.
    Image(Box<Image>),
    /// An attestation or other artifact: scanned as plain bytes, passed through untouched.
    Artifact(Box<Manifest>),
    /// An index inside the index.
    Index { index: Index, children: Vec<Child> },
}

/// Indexes may lie this deep in one another.
const MAX_DEPTH: usize = 3;

/// One image for one platform.
#[derive(Debug, Clone)]
pub struct Image {
    pub manifest: Manifest,
    pub config: ImageConfig,
}

/// What is scanned with an image and is no part of it. It is never planted on nor pushed.
#[derive(Clone, Default)]
pub struct Beside {
    /// What the image itself is called, where several have names.
    pub name: Option<String>,
    pub images: Vec<NamedImage>,
    pub blobs: Vec<LooseBlob>,
    /// What cannot be looked at, and why.
    pub not_scanned: Vec<String>,
    /// What is odd and hides nothing.
    pub anomalies: Vec<String>,
}

/// Another image.
#[derive(Clone)]
pub struct NamedImage {
    pub image: Image,
    /// Its tag, or that it has none.
    pub name: String,
}

/// A blob that is scanned as a file of its own: a layer among them is unpacked like any archive.
#[derive(Debug, Clone)]
pub struct LooseBlob {
    pub descriptor: Descriptor,
    /// What it is, in words that begin a path.
    pub what: String,
}

impl LooseBlob {
    #[must_use]
    pub fn new(descriptor: &Descriptor, kind: &str) -> Self {
        Self { descriptor: descriptor.clone(), what: format!("{kind} {}", descriptor.digest) }
    }
}

impl StoredImage {
    /// Reads the documents under `root`, checks their digests, and that history, layers and diffIDs go in step.
    ///
    /// # Errors
    /// When a document is missing, damaged or ambiguous, or indexes are nested too deep or too wide.
    pub fn open(blobs: Arc<dyn Blobs>, root: &Descriptor, unpacked: bool) -> Result<Self, ImageError> {
        let root = match read_document(&*blobs, root)? {
            Document::Manifest(manifest) => Root::Image(Box::new(Image::open(&*blobs, manifest)?)),
            Document::Index(index) => {
                let children = Children { blobs: &*blobs, left: MAX_CHILDREN }.open(&index, 1)?;
                Root::Index { index, children }
            }
        };
        Ok(Self { root, blobs, unpacked, beside: Beside::default() })
    }

    /// The images, in the index's order.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        let one = match &self.root {
            Root::Image(image) => Some(&**image),
            Root::Index { .. } => None,
        };
        one.into_iter().chain(self.lines().into_iter().filter_map(|child| match &child.content {
            ChildContent::Image(image) => Some(&**image),
            ChildContent::Artifact(_) | ChildContent::Index { .. } => None,
        }))
    }

    /// All images that are scanned, and what finds call them where there is more than one: the platform, and which image it is.
    pub fn named_images(&self) -> impl Iterator<Item = (&Image, Option<String>)> {
        let is_one_of_several = matches!(self.root, Root::Index { .. }) || !self.beside.images.is_empty();
        let own = self.images().map(move |image| {
            let platform = image.config.platform.to_string();
            let label = self.beside.name.as_ref().map_or_else(|| platform.clone(), |name| format!("{platform} of {name}"));
            (image, is_one_of_several.then_some(label))
        });
        own.chain(self.beside.images.iter().map(|NamedImage { image, name }| (image, Some(format!("{} of {name}", image.config.platform)))))
    }

    /// Attestations and other manifests that are no images.
    pub fn artifacts(&self) -> impl Iterator<Item = &Manifest> {
        self.lines().into_iter().filter_map(|child| match &child.content {
            ChildContent::Artifact(manifest) => Some(&**manifest),
            ChildContent::Image(_) | ChildContent::Index { .. } => None,
        })
    }

    /// The lines of the index and of every index in it, each before those that lie in it. Empty for a root that is an image.
    #[must_use]
    pub fn lines(&self) -> Vec<&Child> {
        fn gather<'a>(children: &'a [Child], into: &mut Vec<&'a Child>) {
            for child in children {
                into.push(child);
                if let ChildContent::Index { children, .. } = &child.content {
                    gather(children, into);
                }
            }
        }
        let mut lines = Vec::new();
        if let Root::Index { children, .. } = &self.root {
            gather(children, &mut lines);
        }
        lines
    }

    /// The annotations of the index, of every index in it, and of their lines.
    #[must_use]
    pub fn index_annotations(&self) -> Vec<&BTreeMap<String, String>> {
        let own = match &self.root {
            Root::Image(_) => None,
            Root::Index { index, .. } => Some(&index.annotations),
        };
        let mut all: Vec<_> = own.into_iter().collect();
        for child in self.lines() {
            all.push(&child.descriptor.annotations);
            if let ChildContent::Index { index, .. } = &child.content {
                all.push(&index.annotations);
            }
        }
        all
    }

    /// The bytes of the root document.
    #[must_use]
    pub fn document(&self) -> &[u8] {
        match &self.root {
            Root::Image(image) => &image.manifest.bytes,
            Root::Index { index, .. } => &index.bytes,
        }
    }

    #[must_use]
    pub fn media_type(&self) -> &str {
        match &self.root {
            Root::Image(image) => &image.manifest.media_type,
            Root::Index { index, .. } => &index.media_type,
        }
    }

    /// The digest that a tag will point to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.document())
    }

    /// The root's own descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type(), self.digest(), self.document().len() as u64)
    }
}

/// Opens the lines of an index, and of those in it, up to a number of them all.
struct Children<'a> {
    blobs: &'a dyn Blobs,
    left: usize,
}

impl Children<'_> {
    fn open(&mut self, index: &Index, depth: usize) -> Result<Vec<Child>, ImageError> {
        let over = |why: String| OciError::Malformed { what: "index", why };
        self.left = self
            .left
            .checked_sub(index.manifests.len())
            .ok_or_else(|| over(format!("it and those in it list more than {MAX_CHILDREN} manifests")))?;
        if depth > MAX_DEPTH {
            return Err(over(format!("indexes are nested more than {MAX_DEPTH} deep")).into());
        }
        index.manifests.iter().map(|line| self.child(line, depth)).collect()
    }

    fn child(&mut self, descriptor: &Descriptor, depth: usize) -> Result<Child, ImageError> {
        let content = match read_document(self.blobs, descriptor)? {
            Document::Index(index) => {
                let children = self.open(&index, depth + 1)?;
                ChildContent::Index { index, children }
            }
            Document::Manifest(manifest) if is_image(descriptor, &manifest) => ChildContent::Image(Box::new(Image::open(self.blobs, manifest)?)),
            Document::Manifest(manifest) => ChildContent::Artifact(Box::new(manifest)),
        };
        Ok(Child { descriptor: descriptor.clone(), content })
    }
}

/// A line that calls itself an attestation and leads to layers of files is an image all the same: what can be run is unpacked and looked at.
fn is_image(descriptor: &Descriptor, manifest: &Manifest) -> bool {
    let has_files = manifest.layers.iter().any(|layer| media_type::is_layer(&layer.media_type));
    media_type::is_image_config(&manifest.config.media_type) && (has_files || !descriptor.is_attestation())
}

impl Image {
    pub(crate) fn open(blobs: &dyn Blobs, manifest: Manifest) -> Result<Self, ImageError> {
        if !media_type::is_image_config(&manifest.config.media_type) {
            let kind: String = manifest.config.media_type.chars().take(120).collect();
            return Err(OciError::Unsupported(format!("an artifact with config type {kind}")).into());
        }
        let config = ImageConfig::parse(&read_verified(blobs, &manifest.config, MAX_DOCUMENT)?)?;
        if config.diff_ids.len() != manifest.layers.len() {
            let why = format!("the manifest lists {} layers, the config {} diffIDs", manifest.layers.len(), config.diff_ids.len());
            return Err(OciError::Malformed { what: "image", why }.into());
        }
        Ok(Self { manifest, config })
    }
}
