//! An image as it lies in a source: its documents, read and checked, over the store that holds its blobs.

use std::sync::Arc;

use crate::image::blobs::{Blobs, read_verified};
use crate::image::error::ImageError;
use crate::oci::config::ImageConfig;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::manifest::{Document, Index, MAX_DOCUMENT, Manifest};
use crate::oci::media_type;

/// An image, or an index of several, with everything needed to read any of its bytes.
#[derive(Clone)]
pub struct StoredImage {
    pub root: Root,
    pub blobs: Arc<dyn Blobs>,
    /// Layers come uncompressed because the source keeps them so (a Docker save): they are compressed before they leave.
    pub unpacked: bool,
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
}

/// One image for one platform.
#[derive(Debug, Clone)]
pub struct Image {
    pub manifest: Manifest,
    pub config: ImageConfig,
}

impl StoredImage {
    /// Reads the documents under `root`, checks their digests, and that history, layers and diffIDs go in step.
    ///
    /// # Errors
    /// When a document is missing, damaged, ambiguous, or an index nests another.
    pub fn open(blobs: Arc<dyn Blobs>, root: &Descriptor, unpacked: bool) -> Result<Self, ImageError> {
        let bytes = read_verified(&*blobs, root, MAX_DOCUMENT)?;
        let declared = Some(root.media_type.as_str()).filter(|kind| !kind.is_empty());
        let root = match Document::parse(&bytes, declared)? {
            Document::Manifest(manifest) => Root::Image(Box::new(Image::open(&*blobs, manifest)?)),
            Document::Index(index) => {
                let children = index.manifests.iter().map(|line| Child::open(&*blobs, line)).collect::<Result<_, _>>()?;
                Root::Index { index, children }
            }
        };
        Ok(Self { root, blobs, unpacked })
    }

    /// The images, in the index's order.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        let (one, many) = match &self.root {
            Root::Image(image) => (Some(&**image), [].iter()),
            Root::Index { children, .. } => (None, children.iter()),
        };
        one.into_iter().chain(many.filter_map(|child| match &child.content {
            ChildContent::Image(image) => Some(&**image),
            ChildContent::Artifact(_) => None,
        }))
    }

    /// Attestations and other manifests that are no images.
    pub fn artifacts(&self) -> impl Iterator<Item = &Manifest> {
        let children = match &self.root {
            Root::Image(_) => [].iter(),
            Root::Index { children, .. } => children.iter(),
        };
        children.filter_map(|child| match &child.content {
            ChildContent::Artifact(manifest) => Some(&**manifest),
            ChildContent::Image(_) => None,
        })
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

impl Child {
    fn open(blobs: &dyn Blobs, descriptor: &Descriptor) -> Result<Self, ImageError> {
        let bytes = read_verified(blobs, descriptor, MAX_DOCUMENT)?;
        let declared = Some(descriptor.media_type.as_str()).filter(|kind| !kind.is_empty());
        let Document::Manifest(manifest) = Document::parse(&bytes, declared)? else {
            return Err(OciError::Unsupported("an index inside an index".to_owned()).into());
        };
        let content = if descriptor.is_attestation() || !media_type::is_image_config(&manifest.config.media_type) {
            ChildContent::Artifact(Box::new(manifest))
        } else {
            ChildContent::Image(Box::new(Image::open(blobs, manifest)?))
        };
        Ok(Self { descriptor: descriptor.clone(), content })
    }
}

impl Image {
    fn open(blobs: &dyn Blobs, manifest: Manifest) -> Result<Self, ImageError> {
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
