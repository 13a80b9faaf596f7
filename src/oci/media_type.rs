//! Media types: the OCI and Docker spellings of one kind of document.

pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
pub const OCI_FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";

/// The order in which a registry is asked for a manifest.
pub const ACCEPTED_MANIFESTS: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/// Whether this names a list of manifests.
#[must_use]
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

/// Whether this names the manifest of one image.
#[must_use]
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// Whether this names the configuration of a runnable image, and not of some other artifact.
#[must_use]
pub fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
}

/// Whether this names a layer of files, of any family and packing.
#[must_use]
pub fn is_layer(media_type: &str) -> bool {
    media_type.contains(".tar")
}

/// Layers of this type must not be distributed; registries hold only a pointer to them.
#[must_use]
pub fn is_foreign_layer(media_type: &str) -> bool {
    media_type.contains("nondistributable") || media_type.contains(".foreign.")
}

/// The type of a gzip layer in the family that `manifest_type` belongs to. Families are never mixed in one manifest.
#[must_use]
pub fn gzip_layer_for(manifest_type: &str) -> &'static str {
    if manifest_type == DOCKER_MANIFEST { DOCKER_LAYER_GZIP } else { OCI_LAYER_GZIP }
}

/// The same of a zstd layer.
#[must_use]
pub fn zstd_layer_for(manifest_type: &str) -> &'static str {
    if manifest_type == DOCKER_MANIFEST { DOCKER_LAYER_ZSTD } else { OCI_LAYER_ZSTD }
}

/// The OCI spelling of a type; types that only one family knows stay.
#[must_use]
pub fn in_oci_family(media_type: &str) -> &str {
    match media_type {
        DOCKER_LIST => OCI_INDEX,
        DOCKER_MANIFEST => OCI_MANIFEST,
        DOCKER_CONFIG => OCI_CONFIG,
        DOCKER_LAYER => OCI_LAYER,
        DOCKER_LAYER_GZIP => OCI_LAYER_GZIP,
        DOCKER_LAYER_ZSTD => OCI_LAYER_ZSTD,
        DOCKER_FOREIGN_LAYER => OCI_FOREIGN_LAYER,
        other => other,
    }
}
