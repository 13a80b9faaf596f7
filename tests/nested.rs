//! What lies inside files: archives of every kind, made by the tools that people make them with, in images, folders, files and streams.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::tempdir;

use crate::common::command::{must, run_with_input};
use crate::common::honeycrate::{Honeycrate, list};
use crate::common::images::{Image, github_token};

/// Makes one file for each token that it is given, named by its kind.
const MAKER: &str = r##"
import bz2, gzip, io, lzma, os, py_compile, sqlite3, subprocess, sys, tarfile, zipfile
tokens = iter(sys.argv[1:])
def text():
    return f"# one\ntoken={next(tokens)}\n".encode()
def tar(mode, data, name="etc/app.conf"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:" + mode) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
def zipped(data, name="etc/app.conf", method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n" * 20)
        archive.writestr(name, data)
    return out.getvalue()
class Pipe(io.RawIOBase):
    def __init__(self): self.data = b""
    def writable(self): return True
    def write(self, data):
        self.data += bytes(data)
        return len(data)
def streamed(data):
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("etc/app.conf", data)
    return pipe.data
def put(name, data):
    open(name, "wb").write(data)
put("a.log.gz", gzip.compress(text()))
put("b.tar.bz2", tar("bz2", text()))
put("c.tar.xz", tar("xz", text()))
put("d.tar", tar("", text()))
put("e.jar", zipped(text()))
put("f.ear", zipped(zipped(text(), "WEB-INF/a.properties"), "shop.war", zipfile.ZIP_STORED))
put("g.zip", streamed(text()))
put("h.xz", lzma.compress(text(), preset=9))
put("i.tgz", tar("gz", tar("xz", text()), "backup/old.tar.xz"))
base = sqlite3.connect("j.db")
base.execute("PRAGMA encoding='UTF-16le'")
base.execute("CREATE TABLE account(name TEXT, token TEXT)")
base.execute("INSERT INTO account VALUES ('deploy', ?)", ("x" * 9000 + " " + next(tokens),))
base.commit()
base.close()
put("k.py", f"TOKEN = '{next(tokens)}'\n".encode())
py_compile.compile("k.py", "k.pyc")
os.remove("k.py")
git = lambda *words: subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words], check=True, capture_output=True)
git("init", "-q", "l")
os.chdir("l")
put("config.ini", text() + b"# and so on\n" * 400)
git("add", "."), git("commit", "-qm", "one")
put("config.ini", b"# gone\n" + b"# and so on\n" * 400)
git("commit", "-qam", "two"), git("gc", "-q", "--aggressive", "--prune=now")
put("loose", text())
git("add", "."), git("commit", "-qm", "three")
os.remove("config.ini"), os.remove("loose")
"##;

/// How the place of each token ends.
const PLACES: [&str; 13] = [
    "a.log.gz!/a.log",
    "b.tar.bz2!/b.tar!/etc/app.conf",
    "c.tar.xz!/c.tar!/etc/app.conf",
    "d.tar!/etc/app.conf",
    "e.jar!/etc/app.conf",
    "f.ear!/shop.war!/WEB-INF/a.properties",
    "g.zip!/etc/app.conf",
    "h.xz!/h",
    "i.tgz!/i.tar!/backup/old.tar.xz!/old.tar!/etc/app.conf",
    "j.db!/page-2/row-1",
    "k.pyc!/texts",
    ".pack!/blob-at-",
    "!/blob",
];

fn make(folder: &Path) {
    let tokens: Vec<String> = (100..100 + PLACES.len() as u8).map(github_token).collect();
    must(Command::new("python3").args(["-c", MAKER]).args(tokens).current_dir(folder).env("HOME", folder));
}

/// All files below a folder, by their path in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                waiting.push(entry);
            } else {
                let path = entry.strip_prefix(folder).expect("below").to_str().expect("text").to_owned();
                found.push((path, std::fs::read(entry).expect("a file")));
            }
        }
    }
    found
}

fn paths(report: &Value, rule: &str) -> Vec<String> {
    let of_rule = list(report, "findings").iter().filter(|finding| finding["rule"] == rule);
    of_rule.map(|finding| finding["path"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_token_in_each_kind_of_file_is_found_in_an_image_and_in_a_folder() {
    let (folder, layout) = (tempdir().expect("scratch"), tempdir().expect("scratch"));
    make(folder.path());
    let files = files(folder.path());
    let named: Vec<(String, &[u8])> = files.iter().map(|(path, bytes)| (format!("opt/{path}"), &bytes[..])).collect();
    let entries: Vec<(&str, &[u8])> = named.iter().filter(|(path, _)| path.len() <= 100).map(|(path, bytes)| (&path[..], *bytes)).collect();
    let source = Image::shop().layer_of_bytes("COPY . /opt", &entries).write(layout.path());
    let honeycrate = Honeycrate::stranger();
    for target in [source.as_str(), folder.path().to_str().expect("text")] {
        let scanned = honeycrate.reported(&mut honeycrate.command(&["scan", target]));
        assert_eq!(scanned.ran.code, 1, "{}", scanned.ran.all());
        let found = paths(&scanned.report, "github-personal-token");
        for place in PLACES {
            assert!(found.iter().any(|path| path.contains(place)), "{place} is not in {found:#?}");
        }
        assert_eq!(found.len(), PLACES.len(), "{found:#?}");
        assert!(scanned.report["coverage"]["inside"]["files"].as_u64().is_some_and(|files| files > 20), "{}", scanned.report["coverage"]);
        let first = list(&scanned.report, "findings").iter().find(|finding| finding["path"].as_str().is_some_and(|path| path.contains("!/etc")));
        assert_eq!(first.expect("found")["line"], 2, "the line within the member");
    }
}

#[test]
fn one_file_and_a_stream_are_looked_into() {
    let folder = tempdir().expect("scratch");
    make(folder.path());
    let honeycrate = Honeycrate::stranger();
    let archive = folder.path().join("f.ear");
    let ran = honeycrate.run(&["scan", archive.to_str().expect("text")]);
    assert!(ran.code == 1 && ran.all().contains("f.ear!/shop.war!/WEB-INF/a.properties"), "{}", ran.all());
    let bytes = std::fs::read(folder.path().join("c.tar.xz")).expect("a file");
    let ran = run_with_input(&mut honeycrate.command(&["scan", "-"]), &bytes);
    assert!(ran.code == 1 && ran.all().contains("stdin!/content!/etc/app.conf"), "{}", ran.all());
}

#[test]
fn what_cannot_be_seen_is_found_and_the_policy_decides() {
    let folder = tempdir().expect("scratch");
    make(folder.path());
    let whole = std::fs::read(folder.path().join("e.jar")).expect("a file");
    // The flag of encryption, in local headers and in the directory.
    let mut locked = whole.clone();
    for (mark, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        for at in (0..locked.len() - 8).filter(|at| whole[*at..].starts_with(mark)) {
            locked[at + flags] |= 1;
        }
    }
    let quiet = std::fs::read(folder.path().join("h.xz")).expect("a file");
    let cut = &quiet[..20];
    let honeycrate = Honeycrate::stranger();
    let layout = tempdir().expect("scratch");
    let fixtures: [(&str, &[u8]); 2] = [("app/test/locked.zip", &locked), ("app/test/cut.xz", cut)];
    let source = Image::shop().layer_of_bytes("COPY test /app/test", &fixtures).write(layout.path());
    let scanned = honeycrate.reported(&mut honeycrate.command(&["scan", &source]));
    assert_eq!(scanned.ran.code, 0, "{}", scanned.ran.all());
    assert_eq!(paths(&scanned.report, "unscanned-encrypted-archive"), ["app/test/locked.zip"]);
    assert_eq!(paths(&scanned.report, "unscanned-damaged-archive"), ["app/test/cut.xz"]);
    assert_eq!(honeycrate.run(&["scan", &source, "--fail-on", "low"]).code, 1);

    let layout = tempdir().expect("scratch");
    let unknown: [(&str, &[u8]); 1] = [("app/data.7z", b"7z\xbc\xaf\x27\x1c\0\x04 and more")];
    let source = Image::shop().layer_of_bytes("COPY data.7z /app", &unknown).write(layout.path());
    let ran = honeycrate.run(&["scan", &source]);
    assert!(ran.code == 1 && ran.all().contains("unscanned-unknown-archive"), "{}", ran.all());
}
