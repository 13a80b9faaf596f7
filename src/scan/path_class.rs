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
    "usr/src/linux",
    "usr/src/kernels/",
    "usr/bin/",
    "usr/sbin/",
    "usr/libexec/",
    "usr/local/go/",
    "usr/local/include/",
    "usr/local/share/man/",
    "usr/local/share/doc/",
    "var/lib/dpkg/",
    "var/lib/apt/",
    "var/lib/rpm/",
    "var/cache/apt/",
    "var/cache/apk/",
    "var/cache/debconf/",
    "var/cache/dnf/",
    "var/cache/yum/",
    "lib/apk/",
    "nix/store/",
    ".rustup/toolchains/",
    ".pyenv/versions/",
    "opt/conda/lib/",
    "opt/conda/pkgs/",
    "opt/conda/share/",
    "opt/conda/include/",
    "lib/python",
    "lib/php/",
    "lib/ruby",
    "lib/perl",
    "BOOT-INF/lib/",
    "WEB-INF/lib/",
];

/// Where web servers keep, by default, what their owners serve.
const WEB_ROOTS: &[&str] = &["usr/share/nginx/html/", "usr/share/caddy/", "usr/share/httpd/"];

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
    DERIVED_FILES.iter().any(|ending| path.ends_with(ending.as_bytes())) || is_in_dependency_tree(path)
}

/// Whether the path lies where package managers put things.
#[must_use]
pub fn is_in_dependency_tree(path: &[u8]) -> bool {
    is_in(DEPENDENCY_TREES, path) && !is_in(WEB_ROOTS, path)
}

fn is_in(trees: &[&str], path: &[u8]) -> bool {
    // A tree that does not end with `/` is the beginning of a folder's name; one that begins with it is not at the top.
    let begins = |at: usize| {
        let rest = &path[at..];
        trees.iter().any(|tree| match tree.strip_prefix('/') {
            Some(tree) => at > 0 && rest.starts_with(tree.as_bytes()),
            None => rest.starts_with(tree.as_bytes()),
        })
    };
    begins(0) || memchr::memchr_iter(b'/', path).any(|slash| begins(slash + 1))
}

/// Folders of a package that hold its tests, samples and documents.
const SAMPLE_FOLDERS: &[&str] = &[
    "test",
    "tests",
    "testing",
    "testdata",
    "test-data",
    "test_data",
    "test-fixtures",
    "testcerts",
    "testutil",
    "testutils",
    "unittests",
    "unit",
    "e2e",
    "integration",
    "integration-cli",
    "spec",
    "specs",
    "__tests__",
    "fixtures",
    "fixture",
    "mock",
    "mocks",
    "fuzz",
    "benches",
    "bench",
    "benchmarks",
    "example",
    "examples",
    "sample",
    "samples",
    "demo",
    "doc",
    "docs",
    "documentation",
    "man",
    "molecule",
    ".github",
];

/// Endings of such folders' names.
const SAMPLE_FOLDER_ENDINGS: &[&str] = &["_test", "_tests", "-test", "-tests"];

/// Beginnings of the names of a package's tests.
const TEST_PREFIXES: &[&str] = &["test_", "tests_", "test-", "tests-"];

/// Endings of a package's tests and documents, without the extension.
const SAMPLE_NAMES: &[&str] = &["_test", "_tests", ".test", ".spec", "-test", "_test_helpers", "test_helpers"];

/// Trees that hold what everybody can read as it was published, byte for byte: their package managers check it by its hash. Go modules from
/// elsewhere, and crates of other registries, may be private.
const PUBLISHED_TREES: &[&str] = &[
    ".cargo/registry/src/index.crates.io-",
    ".cargo/registry/src/github.com-1ecc6299db9ec823/",
    "go/pkg/mod/cloud.google.com/",
    "go/pkg/mod/golang.org/",
    "go/pkg/mod/google.golang.org/",
    "go/pkg/mod/gopkg.in/",
    "go/pkg/mod/k8s.io/",
    "go/pkg/mod/sigs.k8s.io/",
];

/// Whether the path is a test, sample or document of a package, in a tree that package managers fill, or a published source: for all to read with
/// the package. What such a file holds and anybody can make by himself, a key pair for one, is there to be seen.
#[must_use]
pub fn is_published_sample(path: &[u8]) -> bool {
    if !is_in_dependency_tree(path) {
        return false;
    }
    if is_in(PUBLISHED_TREES, path) {
        return true;
    }
    let mut parts = path.rsplit(|byte| *byte == b'/');
    let name = parts.next().unwrap_or_default();
    let stem = name.iter().position(|byte| *byte == b'.').filter(|at| *at > 0).map_or(name, |at| &name[..at]);
    let ends = |ending: &&str| name.windows(ending.len() + 1).any(|part| part.starts_with(ending.as_bytes()) && part.ends_with(b"."));
    let lower_name = name.to_ascii_lowercase();
    name.ends_with(b".md")
        || name.ends_with(b".rst")
        || TEST_PREFIXES.iter().any(|prefix| stem.starts_with(prefix.as_bytes()))
        || matches!(stem, b"METADATA" | b"test" | b"tests" | b"testing")
        || lower_name.starts_with(b"readme")
        || SAMPLE_NAMES.iter().any(ends)
        || parts.any(|folder| {
            SAMPLE_FOLDERS.iter().any(|sample| sample.as_bytes().eq_ignore_ascii_case(folder))
                || SAMPLE_FOLDER_ENDINGS.iter().any(|ending| folder.ends_with(ending.as_bytes()))
        })
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
            "usr/src/app/.env",
            "usr/share/nginx/html/.env",
            "usr/local/lib/app/config.yaml",
            "var/cache/app/prod.env",
            "opt/conda/app/creds.json",
            "app/vendor.ini",
            "",
        ] {
            assert!(!is_dependency(path.as_bytes()), "{path}");
        }
    }
    #[test]
    fn tests_and_documents_of_packages_are_published() {
        for path in [
            "root/go/pkg/mod/github.com/lib/pq@v1.12.3/testdata/ssl/server.key",
            "root/go/pkg/mod/golang.org/x/oauth2@v0.37.0/google/aws_test.go",
            "app/node_modules/zod/src/string.test.ts",
            "usr/lib/python3/dist-packages/jwt/tests/keys.py",
            "usr/share/doc/openssl/key.pem",
            "usr/share/man/man8/wg-quick.8.gz!/wg-quick.8",
            "usr/lib/python3/dist-packages/jwcrypto/tests-cookbook.py",
            "app/node_modules/a/agent_tests/server.key",
            "root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/pem-3.0.6/src/lib.rs",
            "root/go/pkg/mod/golang.org/x/crypto@v0.40.0/ssh/keys.go",
            "root/go/pkg/mod/github.com/acme/app@v1.2.0/testdata/server.key",
        ] {
            assert!(is_published_sample(path.as_bytes()), "{path}");
        }
        for path in [
            "app/tests/server.key",
            "app/README.md",
            "app/node_modules/a/server.key",
            "etc/ssl/private/test.key",
            "usr/lib/app/latest.key",
            "usr/local/lib/app/docs/server.key",
            "usr/share/nginx/html/docs/server.key",
            "root/go/pkg/mod/github.com/acme/app@v1.2.0/internal/server.key",
            "root/.cargo/registry/src/index.acme.io-1949cf8c6b5b557f/app-1.0.0/server.key",
        ] {
            assert!(!is_published_sample(path.as_bytes()), "{path}");
        }
    }
}
