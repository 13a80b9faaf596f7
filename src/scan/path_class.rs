//! Which trees of an image hold other people's code, where guesses from context are nearly always wrong.

/// Directories that package managers and distributions fill.
const DEPENDENCY_TREES: &[&str] = &[
    "node_modules/",
    "site-packages/",
    "dist-packages/",
    "bower_components/",
    ".cargo/registry/",
    ".cargo/git/",
    "go/pkg/mod/",
    "vendor/bundle/",
    "/gems/",
    ".m2/repository/",
    ".gradle/caches/",
    ".nuget/packages/",
    "vendor/github.com/",
    "vendor/golang.org/",
    "usr/lib/",
    "usr/share/",
    "usr/include/",
    "usr/src/",
    "usr/bin/",
    "usr/sbin/",
    "usr/libexec/",
    "usr/local/lib/",
    "usr/local/go/",
    "usr/local/include/",
    "usr/local/share/",
    "var/lib/dpkg/",
    "var/lib/apt/",
    "var/lib/rpm/",
    "var/cache/",
    "lib/apk/",
    "nix/store/",
    ".rustup/toolchains/",
    ".pyenv/versions/",
    "opt/conda/",
    "lib/python",
    "lib/ruby",
    "lib/perl",
    "BOOT-INF/lib/",
    "WEB-INF/lib/",
];

/// Endings of files that are made of others.
const DERIVED_FILES: &[&str] = &[
    ".min.js",
    ".min.css",
    ".map",
    ".pyc",
    ".lock",
    "package-lock.json",
    "go.sum",
    ".so",
    ".a",
    ".o",
    ".jar",
    ".class",
    ".wasm",
    ".woff",
    ".woff2",
    ".svg",
    ".png",
    ".jpg",
    ".gif",
    ".pdf",
    ".ico",
    ".ttf",
    ".eot",
    ".mo",
    ".po",
    ".d.ts",
    ".rst",
    ".md",
    ".html",
    ".css",
];

/// Whether the path lies where package managers put things, or is a derived file.
#[must_use]
pub fn is_dependency(path: &[u8]) -> bool {
    let below = |tree: &&str| match tree.as_bytes() {
        [b'/', ..] => memchr::memmem::find(path, tree.as_bytes()).is_some(),
        tree => memchr::memmem::find_iter(path, tree).any(|at| at == 0 || path[at - 1] == b'/'),
    };
    DERIVED_FILES.iter().any(|ending| path.ends_with(ending.as_bytes())) || DEPENDENCY_TREES.iter().any(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_peoples_code_is_known_by_its_place() {
        for path in [
            "app/node_modules/a/index.js",
            "usr/lib/python3.11/site.py",
            "opt/venv/lib/python3.12/x.py",
            "app/dist/a.min.js",
            "var/lib/gems/3.1.0/gems/a.rb",
            "app/shop.jar!/BOOT-INF/lib/other.jar!/other.properties",
        ] {
            assert!(is_dependency(path.as_bytes()), "{path}");
        }
        for path in [
            "app/config.yaml",
            "app/shop.jar!/application.properties",
            "etc/app.conf",
            "home/user/.env",
            "srv/node_modules_of_ours.txt",
            "app/vendor.ini",
            "",
        ] {
            assert!(!is_dependency(path.as_bytes()), "{path}");
        }
    }
}
