//! An application on a Debian root file system of real packages, and the file that builds its image.

use std::path::{Path, PathBuf};

use crate::common::command::{must, program};

/// Lines of deterministic output: its own files, the system's, and how the folders on the way look.
///
/// It reads nothing that a bait may lawfully add: no listing of folders, no dump of the environment.
const PROGRAM: &str = r#"#!/bin/sh
set -eu
cd /srv/shop
echo "shop in $APP_ENV"
sha256sum --check manifest.txt
cat config.yml /etc/debian_version
stat -c '%A %u:%g %n' / /etc /root /srv /srv/shop /srv/shop/config.yml
test ! -e build.log
"#;

const RECIPE: &str = r#"FROM scratch
ADD rootfs.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV APP_ENV=production
WORKDIR /srv/shop
COPY shop.sh config.yml ./
RUN sha256sum shop.sh config.yml > manifest.txt && echo built > build.log
RUN rm build.log
CMD ["/bin/sh", "/srv/shop/shop.sh"]
"#;

/// The command that a container of the image runs.
pub(crate) const COMMAND: [&str; 2] = ["/bin/sh", "/srv/shop/shop.sh"];

/// Fills a folder with what `docker build` and `buildah build` need.
pub(crate) fn context(folder: &Path) {
    let rootfs = rootfs();
    let target = folder.join("rootfs.tar");
    std::fs::hard_link(&rootfs, &target).or_else(|_| std::fs::copy(&rootfs, &target).map(|_| ())).expect("the folder is writable");
    for (name, text) in [("Dockerfile", RECIPE), ("shop.sh", PROGRAM), ("config.yml", "port: 8080\nlog: info\n")] {
        std::fs::write(folder.join(name), text).expect("the folder is writable");
    }
}

fn rootfs() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(".cache/rootfs.tar");
    must(program(root.join(".ci/rootfs"), root).arg(&path));
    path
}
