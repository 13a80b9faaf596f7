//! The sample image: small but real, with several layers and, at first, a secret that somebody believed deleted.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::image::blobs::{Blobs, Overlay};
use crate::image::entry::EntryKind;
use crate::image::error::ImageError;
use crate::image::layer_writer::{NewEntry, NewLayer, write_layer};
use crate::image::layout::write_layout;
use crate::image::stored::StoredImage;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::manifest::Manifest;
use crate::oci::media_type;

const BUILT: i64 = 1_760_000_000;
const BUILT_TEXT: &str = "2025-10-09T08:53:20Z";

/// Writes the sample image into an OCI layout. With `leak`, one layer holds that secret in a file which the next layer deletes.
///
/// # Errors
/// When the layout cannot be written.
pub fn write_sample(layout: &Path, leak: Option<&str>) -> Result<(), ImageError> {
    let mut steps: Vec<(String, Option<Vec<NewEntry>>)> = vec![
        ("ADD rootfs.tar.gz / # buildkit".to_owned(), Some(base())),
        ("ENV SHOP_PORT=8080".to_owned(), None),
        ("WORKDIR /app".to_owned(), Some(vec![directory("app", 0o755)])),
        ("COPY package.json server.js ./ # buildkit".to_owned(), Some(application())),
    ];
    if let Some(secret) = leak {
        let content = format!("# only for the build\nGITHUB_TOKEN={secret}\n");
        steps.push(("COPY .env.build ./ # buildkit".to_owned(), Some(vec![file("app/.env.build", 0o644, content.as_bytes())])));
        steps.push(("RUN /bin/sh -c npm ci && rm .env.build # buildkit".to_owned(), Some(vec![file("app/.wh..env.build", 0o644, b"")])));
    }
    steps.push(("USER node".to_owned(), None));
    steps.push(("CMD [\"node\" \"server.js\"]".to_owned(), None));

    let layers: Vec<NewLayer> = steps.iter().filter_map(|(_, entries)| entries.as_deref().map(|entries| write_layer(entries, 6))).collect();
    let history: Vec<_> = steps
        .iter()
        .map(|(step, entries)| {
            let mut line = serde_json::json!({ "created": BUILT_TEXT, "created_by": step, "comment": "buildkit.dockerfile.v0" });
            if entries.is_none() {
                line["empty_layer"] = true.into();
            }
            line
        })
        .collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "created": BUILT_TEXT,
        "config": {
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "SHOP_PORT=8080"], "Cmd": ["node", "server.js"], "WorkingDir": "/app", "User": "node",
            "Healthcheck": { "Test": ["CMD", "/usr/bin/true"], "Interval": 30_000_000_000_u64 },
        },
        "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>() },
        "history": history,
    });
    let config: Arc<[u8]> = config.to_string().into_bytes().into();

    let mut blobs: BTreeMap<Digest, Arc<[u8]>> = BTreeMap::new();
    let mut keep = |kind: &str, bytes: Arc<[u8]>| {
        let descriptor = Descriptor::new(kind, Digest::of(&bytes), bytes.len() as u64);
        blobs.insert(descriptor.digest.clone(), bytes);
        descriptor
    };
    let config = keep(media_type::OCI_CONFIG, config);
    let layers = layers.into_iter().map(|layer| keep(media_type::OCI_LAYER_GZIP, layer.bytes)).collect();
    let manifest = keep(media_type::OCI_MANIFEST, Manifest::new(media_type::OCI_MANIFEST, config, layers).bytes);
    let image = StoredImage::open(Arc::new(Overlay::new(Arc::new(Nothing), blobs)), &manifest, false)?;
    write_layout(layout, Some("shop"), &image)
}

fn base() -> Vec<NewEntry> {
    let release = b"PRETTY_NAME=\"Sample Linux 12\"\nNAME=\"Sample Linux\"\nID=sample\n";
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n";
    let program: Vec<u8> = (0..60_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut entries: Vec<NewEntry> = ["bin", "etc", "home", "home/node", "opt", "root", "tmp", "usr", "usr/bin", "usr/local", "usr/local/bin", "var"]
        .map(|path| directory(path, if path == "root" { 0o700 } else { 0o755 }))
        .into();
    entries.extend([
        file("bin/sh", 0o755, &program[..5_000]),
        file("etc/os-release", 0o644, release),
        file("etc/passwd", 0o644, passwd),
        file("usr/bin/true", 0o755, &program[..9_000]),
        file("usr/local/bin/node", 0o755, &program),
    ]);
    entries
}

fn application() -> Vec<NewEntry> {
    let server = "import http from 'node:http';\nhttp.createServer((_, res) => res.end('open')).listen(process.env.SHOP_PORT);\n";
    vec![
        file("app/package.json", 0o644, b"{\"name\":\"shop\",\"version\":\"1.4.0\",\"private\":true}\n"),
        file("app/server.js", 0o644, server.repeat(20).as_bytes()),
    ]
}

fn directory(path: &str, mode: u32) -> NewEntry {
    NewEntry { path: path.as_bytes().to_vec(), kind: EntryKind::Directory, mode, uid: 0, gid: 0, mtime: BUILT, content: Vec::new() }
}

fn file(path: &str, mode: u32, content: &[u8]) -> NewEntry {
    NewEntry { path: path.as_bytes().to_vec(), kind: EntryKind::File, mode, uid: 0, gid: 0, mtime: BUILT, content: content.to_vec() }
}

/// The store under the sample's overlay: all blobs are in the overlay.
struct Nothing;

impl Blobs for Nothing {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn io::Read + Send>, ImageError> {
        Err(ImageError::Missing { what: format!("blob {}", descriptor.digest) })
    }
}
