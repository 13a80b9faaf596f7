#!/usr/bin/env python3
"""Whether bait shows: classifiers are trained to tell planted images from clean ones, by everything but the text of files.

usage: unremarkable.py FOLDER [--program FILE] [--sources N] [--built N] [--seed N] [--top N] [--keep]

Makes N clean images in FOLDER from random recipes with a fixed seed, plants each on every surface alone and on all at once, and measures
for every surface how well a random forest, gradient boosting and a logistic regression tell the two classes: the area under the ROC curve
(0.5 is chance), cross-validated in five parts. That is said twice: with every image in both classes, its twins always in the same part
(somebody who learns from the same images before and after), and with every image in one class alone (somebody who has images). What gives
bait away is listed, the features that the forest goes by most first, each with the AUC that it has alone.

Most images are made here, in the form that builders give them (tar headers, gzip heads and tails, history, times, whiteouts); --built of
them come from buildah and as many from Docker's own builder. A fifth of them hold a secret of their own, as public images do (3.1 of 15
million: GitGuardian's count of 2024); how often else something occurs is our estimate. Needs scikit-learn, zstandard and Go, for the gzip
that most builders write, buildah, dockerd and skopeo:

    python3 -m venv FOLDER/venv && FOLDER/venv/bin/pip install scikit-learn zstandard
    cargo build --release && FOLDER/venv/bin/python bench/unremarkable.py FOLDER

Two tables. The first sets planted images against clean ones by the form of layers, steps and variables. Bait is a credential more than
there was, and what holds it one layer, step or variable more: that shows against an image that never held one, whatever its form. So the second sets
bait against a secret that somebody left by accident, on the same surface of the same image, built anew with it: by form, and then with the
length, entropy and shape of values, which say what kind of credential it is.
"""

import argparse
import collections
import concurrent.futures
import datetime
import gzip
import hashlib
import io
import json
import math
import os
import pathlib
import random
import re
import shutil
import string
import subprocess
import sys
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SURFACES = ("file", "env", "buried", "history")
DAY = 86_400

GO = """package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
)

// One line for each file: level, file; it becomes file.gz.
func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var level int
		var name string
		if _, err := fmt.Sscan(lines.Text(), &level, &name); err != nil {
			panic(err)
		}
		in, err := os.Open(name)
		if err != nil {
			panic(err)
		}
		out, err := os.Create(name + ".gz")
		if err != nil {
			panic(err)
		}
		packer, err := gzip.NewWriterLevel(out, level)
		if err != nil {
			panic(err)
		}
		if _, err := io.Copy(packer, in); err != nil {
			panic(err)
		}
		if err := packer.Close(); err != nil {
			panic(err)
		}
		out.Close()
		in.Close()
	}
}
"""

# ---------------------------------------------------------------------------------------------------------------- recipes

Entry = collections.namedtuple("Entry", "path kind mode uid gid mtime data link")

# The program, its files, its variables, and how it is installed, by language.
LANGUAGES = {
    "python": dict(
        dirs=["app", "srv/app", "code"],
        main="main.py",
        one=["requirements.txt", "pyproject.toml"],
        ext=".py",
        env=["PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "PIP_NO_CACHE_DIR=off"],
        install="pip install --no-cache-dir -r requirements.txt",
        into="usr/local/lib/python3.12/site-packages",
        cmd=["python", "main.py"],
        base=["GPG_KEY", "PYTHON_VERSION", "PYTHON_SHA256"],
    ),
    "node": dict(
        dirs=["app", "usr/src/app", "home/node/app"],
        main="server.js",
        one=["package.json", "package-lock.json"],
        ext=".js",
        env=["NODE_ENV=production", "NPM_CONFIG_LOGLEVEL=warn"],
        install="npm ci --omit=dev",
        into="app/node_modules",
        cmd=["node", "server.js"],
        base=["NODE_VERSION", "YARN_VERSION"],
    ),
    "ruby": dict(
        dirs=["app", "rails", "usr/src/app"],
        main="config.ru",
        one=["Gemfile", "Gemfile.lock"],
        ext=".rb",
        env=["RAILS_ENV=production", "BUNDLE_WITHOUT=development:test", "LANG=C.UTF-8"],
        install="bundle install --jobs 4",
        into="usr/local/bundle/gems",
        cmd=["bundle", "exec", "puma"],
        base=["RUBY_VERSION", "RUBY_DOWNLOAD_SHA256"],
    ),
    "php": dict(
        dirs=["var/www/html", "app", "srv/app"],
        main="index.php",
        one=["composer.json", "composer.lock"],
        ext=".php",
        env=["APP_ENV=prod", "COMPOSER_ALLOW_SUPERUSER=1"],
        install="composer install --no-dev",
        into="srv/vendor",
        cmd=["php-fpm"],
        base=["PHP_VERSION", "PHP_SHA256", "PHPIZE_DEPS"],
    ),
    "java": dict(
        dirs=["app", "opt/app", "deployments"],
        main="app.jar",
        one=["application.yml", "logback.xml"],
        ext=".class",
        env=["JAVA_OPTS=-Xmx512m", "SPRING_PROFILES_ACTIVE=prod"],
        install="./mvnw -q package",
        into="root/.m2/repository",
        cmd=["java", "-jar", "app.jar"],
        base=["JAVA_HOME", "JAVA_VERSION"],
    ),
    "go": dict(
        dirs=["app", "srv", "opt/service"],
        main="server",
        one=["config.yaml"],
        ext=".tmpl",
        env=["GIN_MODE=release", "TZ=UTC"],
        install="apk add --no-cache ca-certificates tzdata",
        into="usr/share/zoneinfo",
        cmd=["/app/server"],
        base=[],
    ),
    "web": dict(
        dirs=["usr/share/nginx/app", "srv/www", "app"],
        main="index.htm",
        one=["nginx.conf", "robots.txt"],
        ext=".css",
        env=["NGINX_ENTRYPOINT_QUIET_LOGS=1"],
        install="apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*",
        into="usr/share/doc",
        cmd=["nginx", "-g", "daemon off;"],
        base=["NGINX_VERSION", "NJS_VERSION", "PKG_RELEASE"],
    ),
    "shell": dict(
        dirs=["app", "opt/tools", "work"],
        main="run.sh",
        one=["jobs.conf", "crontab.txt"],
        ext=".sh",
        env=["TZ=Europe/Berlin"],
        install="apt-get install -y --no-install-recommends curl jq",
        into="usr/lib/tools",
        cmd=["./run.sh"],
        base=[],
    ),
}
PLACES = ["config", "conf", "etc", "scripts", "deploy", "bin", "templates", "locale", "db", "ci", "assets", "migrations"]
NAMES = ["default", "logging", "settings", "production", "service", "limits", "routes", "workers", "metrics", "queue", "feature", "worker"]
ENDINGS = [".yml", ".json", ".conf", ".toml", ".ini", ".sh", ".env.example", ".xml", ".properties", ".sql", ".crt"]


def words(chance, size):
    at = chance.randrange(0, len(WORDS) - size)
    return WORDS[at : at + size]


def text():
    chance, out = random.Random(0), io.StringIO()
    while out.tell() < 200_000:
        out.write(
            " " * chance.randrange(0, 9) + chance.choice(NAMES) + "_" + format(chance.getrandbits(20), "x") + " = " + chance.choice(PLACES) + "\n"
        )
    return out.getvalue().encode()


WORDS = text()


def size_of(chance):
    return int(min(30_000, math.exp(chance.gauss(6.3, 1.5))) + 1)


def token(chance, length, letters=string.ascii_letters + string.digits):
    return "".join(chance.choice(letters) for _ in range(length))


class Tree:
    """What the image holds so far, so that folders and neighbours are known."""

    def __init__(self):
        self.of = {}

    def put(self, entries):
        for entry in entries:
            parent, _, name = entry.path.rpartition("/")
            if name.startswith(".wh."):
                gone = (parent + "/" if parent else "") + name[4:]
                self.of = {path: known for path, known in self.of.items() if path != gone and not path.startswith(gone + "/")}
            else:
                self.of[entry.path] = entry

    def folders(self, path, now, owner=(0, 0), whole=True):
        """The folders above a path as entries of a layer: the one that changed has the time of the step."""
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            old = self.of.get(folder)
            changed = depth == len(parts) or old is None
            if old is None:
                yield Entry(folder, "d", 0o755, *owner, now, b"", "")
            elif whole or changed:
                yield old._replace(mtime=now if changed else old.mtime)


def layer_of(tree, files, now, whiteouts=(), style=None, owner=(0, 0)):
    """Entries of a layer in the order of paths, the folders on the way once each; also puts them into the tree."""
    found = {}
    white = {}
    for path in whiteouts:
        parent, _, name = path.rpartition("/")
        place = (parent + "/" if parent else "") + ".wh." + name
        for folder in tree.folders(path, now):
            found.setdefault(folder.path, folder)
        white[place] = Entry(place, "f", style["whiteout"] if style else 0, 0, 0, now, b"", "")
    for entry in files:
        for folder in tree.folders(entry.path, now, owner):
            found.setdefault(folder.path, folder)
        found[entry.path] = entry
    found.update(white)
    entries = [found[path] for path in sorted(found)]
    tree.put(entries)
    return entries


# ----------------------------------------------------------------------------------------------------------- builders' forms

# How builders write a layer and a step, from images that each of them made (buildah 1.28, Docker 28) or from their sources.
FORMS = {
    # Go's archive/tar and compress/gzip; no owner names; folders on the way.
    "buildkit": dict(type_bits=False, gzip=("go", -1), whiteout=0),
    "docker": dict(type_bits=False, gzip=("go", -1), whiteout=0o600),
    # containers/storage writes the file type into the mode; pgzip writes a time before 1970 and ends with two empty blocks.
    "buildah": dict(type_bits=True, gzip=("pgzip", 6), whiteout=0),
    # go-containerregistry packs with Go at its fastest.
    "kaniko": dict(type_bits=False, gzip=("go", 1), whiteout=0),
    "ko": dict(type_bits=False, gzip=("go", 1), whiteout=0),
    # Java's streams (zlib, no system or 255), archives padded to records of twenty blocks.
    "jib": dict(type_bits=False, gzip=("java", 6), whiteout=0, record=True),
    # GNU tar and pigz or gzip: names begin with `./`.
    "tarball": dict(type_bits=False, gzip=("zlib", 6), whiteout=0, record=True, dot=True, gnu=True, names=True),
}


def write_tar(entries, form):
    out = bytearray()
    for entry in entries:
        name = ("./" if form.get("dot") else "") + entry.path + ("/" if entry.kind == "d" else "")
        mtime = int(entry.mtime)
        if len(name) > 100:
            out += extended("path", name)
        if entry.kind == "l":
            out += header(name[:100], b"2", 0o777, entry, 0, mtime, form)
            continue
        mode = entry.mode | ({"d": 0o40000, "f": 0o100000}[entry.kind] if form["type_bits"] and entry.mode else 0)
        out += header(name[:100], b"5" if entry.kind == "d" else b"0", mode, entry, len(entry.data), mtime, form)
        out += entry.data + bytes(-len(entry.data) % 512)
    out += bytes(1024)
    if form.get("record"):
        out += bytes(-len(out) % 10240)
    return bytes(out)


def extended(key, value):
    text = f" {key}={value}\n"
    length = len(text) + len(str(len(text) + 2))
    text = (str(length) + text).encode()
    entry = Entry("", "f", 0, 0, 0, 0, text, "")
    return header("PaxHeaders.0/x", b"x", 0, entry, len(text), 0, FORMS["buildkit"]) + text + bytes(-len(text) % 512)


def header(name, kind, mode, entry, size, mtime, form):
    block = bytearray(512)
    block[: len(name)] = name.encode()
    for at, digits, value in ((100, 7, mode), (108, 7, entry.uid), (116, 7, entry.gid), (124, 11, size), (136, 11, mtime)):
        block[at : at + digits] = format(value, f"0{digits}o").encode()
    block[156:157] = kind
    block[157 : 157 + len(entry.link)] = entry.link.encode()
    if form.get("gnu"):
        block[257:265] = b"ustar  \0"
    else:
        block[257:265] = b"ustar\x0000"
        block[329:336] = block[337:344] = b"0000000"
    if form.get("names"):
        for at, number in ((265, entry.uid), (297, entry.gid)):
            text = b"root" if number == 0 else b"app"
            block[at : at + len(text)] = text
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


class Packer:
    """Packs tars, those for Go all at once at the end."""

    def __init__(self, folder):
        self.folder, self.waiting = folder / "packing", []
        self.folder.mkdir(parents=True)
        (self.folder / "main.go").write_text(GO)
        self.program = self.folder / "pack"
        subprocess.run(["go", "build", "-o", self.program, "main.go"], cwd=self.folder, check=True, env=dict(os.environ, GO111MODULE="off"))

    def go(self, tars_and_levels):
        lines = []
        for number, (tar, level) in enumerate(tars_and_levels):
            path = self.folder / str(number)
            path.write_bytes(tar)
            lines.append(f"{level} {path}\n")
        subprocess.run([self.program], input="".join(lines), text=True, check=True)
        packed = [(self.folder / f"{number}.gz").read_bytes() for number in range(len(lines))]
        for number in range(len(lines)):
            (self.folder / str(number)).unlink()
            (self.folder / f"{number}.gz").unlink()
        return packed

    def pack(self, layers):
        """`layers` are (tar, how); gives blobs and whether each is zstd."""
        go = [(tar, how[1]) for tar, how in layers if how[0] == "go"]
        packed = iter(self.go(go))
        return [(next(packed) if how[0] == "go" else pack(tar, how)) for tar, how in layers]


def pack(tar, how):
    kind, level = how
    if kind == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=False).compress(tar)
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    head = {"pgzip": b"\0\x09\x6e\x88\0\xff", "java": b"\0\0\0\0\0\0", "java16": b"\0\0\0\0\0\xff", "zlib": b"\0\0\0\0\0\x03"}[kind]
    if kind == "pgzip":
        data = packer.compress(tar) + packer.flush(zlib.Z_SYNC_FLUSH) + b"\x03\0"
    else:
        data = packer.compress(tar) + packer.flush()
    return b"\x1f\x8b\x08\0" + head + data + zlib.crc32(tar).to_bytes(4, "little") + (len(tar) & 0xFFFFFFFF).to_bytes(4, "little")


def rfc3339(seconds, digits=9):
    whole = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = format(int((seconds % 1) * 10**9), "09d").rstrip("0") if digits else ""
    return whole + ("." + fraction if fraction else "") + "Z"


# ------------------------------------------------------------------------------------------------------------------ images


class Image:
    """One clean image, layer by layer and step by step."""

    def __init__(self, seed, leak=None):
        """`leak` is the surface on which somebody left a credential by accident."""
        self.chance = random.Random(seed)
        chance = self.chance
        self.leak = leak
        self.builder = chance.choices(["buildkit", "docker", "buildah", "kaniko", "ko", "jib", "tarball"], [42, 14, 14, 10, 6, 8, 6])[0]
        self.form = dict(FORMS[self.builder])
        if self.builder == "buildkit" and chance.random() < 0.1:
            self.form["gzip"] = ("zstd", 3)
        if self.builder == "jib" and chance.random() < 0.5:
            self.form["gzip"] = ("java16", 6)
        if self.builder == "tarball":
            self.form["gzip"] = ("zlib", chance.choice([6, 9]))
        self.language = LANGUAGES[chance.choice(list(LANGUAGES))]
        self.now = 1_760_000_000 + chance.randrange(0, 300 * DAY) + chance.random()
        self.base_time = self.now - chance.randrange(1, 60) * DAY
        # Reproducible builds give every file and step one time.
        self.fixed = self.builder in ("ko", "jib", "tarball") or self.builder in ("buildkit", "kaniko") and chance.random() < 0.2
        self.epoch = {"ko": 0, "jib": 1, "tarball": 1}.get(self.builder, int(self.now))
        self.umask = chance.choices([0o022, 0o002], [4, 1])[0]
        # Where files come from: a fresh clone has one time, a developer's folder many.
        self.clone = chance.random() < 0.6
        self.tree, self.layers, self.history, self.env, self.args = (
            Tree(),
            [],
            [],
            ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            [],
        )
        self.leaks = set()
        # How much goes on: most images are of a few steps, some of many.
        self.activity = max(0.25, min(4, math.exp(chance.gauss(-0.05, 0.65))))
        self.settings = {}
        self.packings = []
        self.base()
        self.app()

    # What a file of the build context is.
    def file(self, path, size=None, owner=(0, 0), data=None, mode=None):
        chance = self.chance
        data = words(chance, size_of(chance) if size is None else size) if data is None else data
        run = path.endswith((".sh", "/server", "/entrypoint"))
        if self.fixed:
            mtime = self.epoch
        elif self.clone:
            mtime = self.now_at_clone
        else:
            mtime = self.now - chance.randrange(60, 80 * DAY)
        return Entry(path, "f", mode if mode is not None else (0o777 if run else 0o666) & ~self.umask, *owner, mtime, data, "")

    def made(self, path, size=None, mode=0o644, owner=(0, 0), data=None):
        """A file that a command made."""
        return self.file(path, size, owner, data, mode)._replace(mtime=self.epoch if self.fixed else self.now)

    def add(self, entries, text, form=None):
        """A layer with its step."""
        self.layers.append(write_tar(entries, form or self.form))
        self.packings.append((form or self.form)["gzip"])
        self.step(text, empty=False)

    def step(self, text, empty=True, kind=None):
        chance, builder = self.chance, kind or self.builder
        if builder == "buildkit":
            if empty and not self.fixed:
                created = self.last_layer
            else:
                created = self.epoch if self.fixed else self.now
            self.last_layer = created
            self.history.append(step(rfc3339(created), text, "buildkit.dockerfile.v0", empty))
        elif builder in ("docker", "buildah"):
            comment = None
            if builder == "buildah" and len(self.history) > self.base_steps:
                comment = "FROM " + token(chance, 12, "0123456789abcdef")
            self.history.append(step(rfc3339(self.now), text, comment, empty))
        elif builder == "kaniko":
            if not empty:
                entry = step("0001-01-01T00:00:00Z", text, None, False)
                entry["author"] = "kaniko"
                self.history.append(entry)
        elif not empty:
            self.history.append(text)
        self.now += chance.uniform(0.05, 0.4) if empty else math.exp(chance.gauss(0.3, 1.2))

    def word(self, instruction, text, shell="/bin/sh -c "):
        """An instruction as the builder writes it."""
        builder = self.builder
        if builder == "buildkit":
            arguments = f"|{len(self.args)} {' '.join(self.args)} " if self.args and instruction == "RUN" else ""
            marked = " # buildkit" if instruction in ("COPY", "ADD", "RUN") else ""
            return f"{instruction} {arguments}{shell if instruction == 'RUN' else ''}{text}{marked}"
        if builder in ("docker", "buildah"):
            if instruction == "RUN":
                arguments = f"|{len(self.args)} {' '.join(self.args)} " if self.args else ""
                return f"{arguments}{shell}{text}"
            return f"/bin/sh -c #(nop) {' ' if builder == 'docker' and instruction not in ('COPY', 'ADD') else ''}{instruction} {text}"
        return f"{instruction} {text}"

    # The base image: made by BuildKit or Docker, weeks before; one layer to five.
    def base(self):
        chance, builder, form, app_time = self.chance, self.builder, self.form, self.now
        self.base_steps, self.last_layer, self.now_at_clone = 0, self.base_time, self.now - chance.randrange(5, 900)
        kind = chance.choice(["buildkit", "buildkit", "docker"])
        if builder == "ko":
            kind = "ko"
        if builder in ("jib", "tarball"):
            kind = builder if builder == "tarball" else "buildkit"
        self.now, fixed, self.fixed, self.builder = self.base_time, self.fixed, False, kind
        own = dict(FORMS.get(kind, form))
        if builder == "buildah":
            own = form
        if kind == "tarball":
            own = form
        folders = [
            "bin",
            "etc",
            "home",
            "lib",
            "opt",
            "root",
            "srv",
            "tmp",
            "usr",
            "usr/bin",
            "usr/lib",
            "usr/local",
            "usr/local/bin",
            "usr/share",
            "var",
            "var/lib",
            "var/log",
        ]
        modes = {"root": 0o700, "tmp": 0o1777}
        static = builder in ("ko",) or self.language is LANGUAGES["go"] and chance.random() < 0.3
        entries = [
            Entry(folder, "d", modes.get(folder, 0o755), 0, 0, self.base_time, b"", "")
            for folder in folders
            if not static or folder not in ("opt", "srv", "bin")
        ]
        shell = [] if static else ["bin/sh", "bin/rm", "bin/cat", "usr/bin/env"]
        names = shell + ["etc/passwd", "etc/group", "etc/os-release", "etc/ssl.conf"] + ([] if static else ["root/.profile", "root/.bashrc"])
        names += [f"usr/lib/lib{token(chance, 6, string.ascii_lowercase)}.so.{chance.randrange(9)}" for _ in range(chance.randrange(5, 120))]
        names += [f"usr/share/{chance.choice(NAMES)}-{number}" for number in range(chance.randrange(3, 60))]
        for name in sorted(set(names)):
            mode = 0o755 if name.startswith(("bin/", "usr/bin/")) else 0o644
            entries.append(Entry(name, "f", mode, 0, 0, self.base_time - chance.randrange(0, 400 * DAY), words(chance, size_of(chance)), ""))
        self.tree.put(entries)
        first = {
            "buildkit": "# debian.sh --arch 'amd64' out/ 'trixie' '@1760000000'",
            "docker": "/bin/sh -c #(nop) ADD file:" + token(chance, 64, "0123456789abcdef") + " in / ",
        }
        if kind in ("ko", "tarball"):
            entry = (
                {"created": "1970-01-01T00:00:00Z", "created_by": "bazel build ..."}
                if kind == "ko"
                else {"created": "1970-01-01T00:00:01Z", "comment": "store paths"}
            )
            self.add(sorted(entries), entry, own)
        else:
            self.add(sorted(entries), first[kind], own)
            self.step(self.word("CMD", '["bash"]'))
            for name in self.language["base"]:
                value = (
                    token(chance, 64 if "SHA" in name else 40 if "KEY" in name else 0, "0123456789abcdef")
                    or f"{chance.randrange(1, 30)}.{chance.randrange(20)}.{chance.randrange(9)}"
                )
                self.env.append(f"{name}={value}")
                self.step(self.word("ENV", f"{name}={value}"))
            for _ in range(min(round(self.activity * chance.uniform(0, 4)), 14)):
                files = [self.made(f"usr/local/lib/{token(chance, 8, string.ascii_lowercase)}") for _ in range(chance.choice([1, 3, 20, 60]))]
                self.add(
                    layer_of(self.tree, files, self.now, style=own),
                    self.word(
                        "RUN", "set -eux; apt-get update; apt-get install -y --no-install-recommends ca-certificates; rm -rf /var/lib/apt/lists/*"
                    ),
                    own,
                )
        self.builder, self.fixed, self.now = builder, fixed, app_time
        self.base_steps = len(self.history)
        self.last_layer = self.now

    def copy(self, files, source, target, owner=(0, 0), chown=None):
        entries = layer_of(self.tree, files, self.epoch if self.fixed else self.now, style=self.form, owner=owner)
        if self.builder in ("docker", "buildah"):
            several = "dir" if len(files) > 1 and not chown else "file"
            by = (
                f"{chown or ''}{several}:{token(self.chance, 64, '0123456789abcdef')} in {target} "
                if self.builder == "docker"
                else f"{several}:{token(self.chance, 64, '0123456789abcdef')} in {target} "
            )
        else:
            by = f"{chown + ' ' if chown else ''}{source} {target}"
        self.add(entries, self.word("COPY", by))

    def run(self, files, text, whiteouts=()):
        self.add(layer_of(self.tree, files, self.epoch if self.fixed else self.now, whiteouts, self.form), self.word("RUN", text))

    def app(self):
        if self.builder in ("ko", "jib", "tarball"):
            return self.parts()
        chance, language = self.chance, self.language
        work = chance.choice(language["dirs"])
        # Metadata before the first layer of this build has that layer's time.
        if chance.random() < 0.85:
            self.settings["WorkingDir"] = "/" + work
            if self.builder == "buildkit":
                self.add(
                    layer_of(self.tree, [], self.now) + ([] if work in self.tree.of else [self.made(work)._replace(kind="d", mode=0o755, data=b"")]),
                    self.word("WORKDIR", "/" + work),
                )
                self.tree.put([Entry(work, "d", 0o755, 0, 0, self.now, b"", "")])
            else:
                self.step(self.word("WORKDIR", "/" + work))
        owner, chown = (0, 0), None
        steps = ["variables"]
        steps += ["one"] * chance.choice([0, 1, 1, 2])
        steps += ["install"] * chance.choice([0, 1, 1])
        steps += ["many"] * chance.choice([0, 1, 1, 1, 2])
        often = lambda least, most: min(round(self.activity * chance.uniform(least, most)), 12)
        later = ["place"] * often(0, 2) + ["script"] * chance.choice([0, 0, 1]) + ["chmod"] * chance.choice([0, 0, 0, 1])
        later += ["remove"] * (chance.random() < 0.18) + ["user"] * (chance.random() < 0.4) + ["build"] * often(0, 0.9) + ["install"] * often(0, 1)
        # Who has build arguments has several: a version, a commit, a date.
        later += (
            ["argument"] * (chance.choice([1, 1, 2, 2, 3, 3, 4, 5, 6]) if chance.random() < 0.4 else 0)
            + ["variables"] * often(0, 1.5)
            + ["label"] * (chance.random() < 0.3)
            + ["home"] * (chance.random() < 0.12)
        )
        drawn = "leak " + chance.choice(["file", "buried", "env", "history"])
        if chance.random() < 0.2 and not self.leak:
            later.append(drawn)
        chance.shuffle(later)
        if self.leak:
            later.insert(random.Random(len(later)).randrange(len(later) + 1), "leak " + self.leak)
        steps += later
        for name in steps:
            match name:
                case "variables":
                    self.variables(chance.randrange(0, 5))
                case "one":
                    names = chance.sample(language["one"], chance.randrange(1, len(language["one"]) + 1))
                    self.copy([self.file(f"{work}/{name}", owner=owner) for name in names], " ".join(names), "./", owner, chown)
                case "install":
                    count = chance.choice([5, 20, 50, 90])
                    self.run(
                        [
                            self.made(
                                f"{language['into']}/{token(chance, 6, string.ascii_lowercase)}/{token(chance, 5, string.ascii_lowercase)}{language['ext']}"
                            )
                            for _ in range(count)
                        ],
                        language["install"],
                    )
                case "many":
                    count = chance.choice([2, 5, 12, 30, 60])
                    names = {
                        f"{work}/{chance.choice(['src', 'lib', 'app', 'public', 'tests', ''])}/{token(chance, 6, string.ascii_lowercase)}{language['ext']}".replace(
                            "//", "/"
                        )
                        for _ in range(count)
                    }
                    # A project has its settings beside its program, and what one COPY brought the next brings again where the builder does not compare.
                    names |= {
                        f"{work}/{chance.choice(['config', 'conf', 'deploy', ''])}/{chance.choice(NAMES)}{chance.choice(ENDINGS)}".replace("//", "/")
                        for _ in range(chance.randrange(0, 2 + count // 4))
                    }
                    if self.builder in ("docker", "buildah", "kaniko"):
                        names |= {path for name in language["one"] if (path := f"{work}/{name}") in self.tree.of}
                    self.copy([self.file(name, owner=owner) for name in sorted(names | {f"{work}/{language['main']}"})], ".", ".", owner, chown)
                case "place":
                    folder, count = chance.choice(PLACES), chance.choice([1, 1, 1, 2, 4])
                    at = chance.choice([work, work, work, "etc", "opt"])
                    names = sorted({chance.choice(NAMES) + chance.choice(ENDINGS) for _ in range(count)})
                    source = f"{folder}/{names[0]}" if len(names) == 1 else folder
                    self.copy(
                        [self.file(f"{at}/{folder}/{name}", owner=owner) for name in names],
                        source,
                        f"/{at}/{folder}/" + (names[0] if len(names) == 1 and chance.random() < 0.5 else ""),
                        owner,
                        chown,
                    )
                case "script":
                    self.copy(
                        [self.file(f"usr/local/bin/{chance.choice(['entrypoint', 'start', 'wait-for-it'])}.sh")],
                        "docker/entrypoint.sh",
                        "/usr/local/bin/",
                    )
                case "chmod":
                    scripts = [known for path, known in self.tree.of.items() if path.endswith(".sh")][:1]
                    if scripts:
                        self.run([scripts[0]._replace(mode=0o755)], "chmod +x /" + scripts[0].path)
                case "remove":
                    known = [
                        path for path, entry in self.tree.of.items() if path.startswith((work + "/", "usr/share/", "usr/lib/")) and entry.kind == "f"
                    ]
                    gone = chance.sample(known, min(len(known), chance.choice([1, 1, 2, 6])))
                    self.run([], chance.choice(["rm -f ", "rm -rf "]) + " ".join("/" + path for path in gone), gone)
                case "user":
                    if owner == (0, 0):
                        identity = chance.choice([(1000, 1000), (1001, 1001), (10001, 10001), (33, 33)])
                        name = chance.choice(["app", "node", "appuser", "www-data"])
                        self.run(
                            [
                                self.made("etc/passwd"),
                                self.made("etc/group"),
                                self.made("etc/shadow", mode=0o640),
                                self.made(f"home/{name}/.profile", owner=identity),
                            ],
                            f"useradd -m -u {identity[0]} {name}",
                        )
                        self.settings["User"] = chance.choice([name, str(identity[0]), f"{identity[0]}:{identity[1]}"])
                        if chance.random() < 0.6:
                            owner, chown = identity, f"--chown={name}:{name}"
                        self.step(self.word("USER", self.settings["User"]))
                case "build":
                    self.run(
                        [
                            self.made(f"{work}/{chance.choice(['dist', 'build', 'static'])}/{token(chance, 6)}{language['ext']}")
                            for _ in range(chance.choice([1, 4, 15, 40]))
                        ],
                        chance.choice(["npm run build", "make", "python manage.py collectstatic --noinput"]),
                    )
                case "argument":
                    name, value = chance.choice(
                        [
                            ("VERSION", f"{chance.randrange(9)}.{chance.randrange(30)}.{chance.randrange(9)}"),
                            ("BASE_TAG", f"{chance.randrange(9)}-slim"),
                            ("VCS_REF", token(chance, 8, "0123456789abcdef")),
                            ("TARGETARCH", "amd64"),
                            ("GIT_SHA", token(chance, 40, "0123456789abcdef")),
                            ("BUILD_DATE", rfc3339(self.now, 0)),
                            ("UID", "1000"),
                            ("NPM_REGISTRY", "https://registry.npmjs.org/"),
                        ]
                    )
                    self.argument(name, value)
                case "label":
                    self.settings.setdefault("Labels", {})["org.opencontainers.image.revision"] = token(chance, 40, "0123456789abcdef")
                    self.step(self.word("LABEL", f"org.opencontainers.image.revision={self.settings['Labels']['org.opencontainers.image.revision']}"))
                case "home":
                    name = chance.choice([".bashrc", ".vimrc", ".config/tool/settings.json", ".ssh/known_hosts", ".npmrc"])
                    self.copy([self.file("root/" + name)], name.rsplit("/")[-1], "/root/" + name)
                case "leak file":
                    self.leaks.add("file")
                    path, source = chance.choice(
                        [
                            (f"{work}/.env", ".env"),
                            (f"{work}/config/credentials.json", "config/credentials.json"),
                            ("root/.npmrc", ".npmrc"),
                            ("root/.aws/credentials", "aws/credentials"),
                            (f"{work}/deploy/id_rsa", "deploy/id_rsa"),
                        ]
                    )
                    self.copy([self.file(path, chance.randrange(40, 900), mode=0o600 if chance.random() < 0.4 else None)], source, "/" + path)
                case "leak buried":
                    self.leaks.add("buried")
                    path = chance.choice(
                        [
                            f"{work}/.npmrc",
                            "root/.npmrc",
                            "root/.ssh/id_rsa",
                            "root/.netrc",
                            f"{work}/.env",
                            "root/.git-credentials",
                            f"{work}/key.json",
                        ]
                    )
                    self.copy(
                        [self.file(path, chance.randrange(40, 900), mode=0o600 if chance.random() < 0.4 else None)], path.rsplit("/")[-1], "/" + path
                    )
                    if chance.random() < 0.6:
                        self.run(
                            [self.made(f"{language['into']}/{token(chance, 6)}{language['ext']}") for _ in range(chance.choice([3, 20, 60]))],
                            language["install"],
                        )
                    self.run([], f"rm {chance.choice(['-f ', '-rf ', ''])}/{path}", [path])
                case "leak env":
                    self.leaks.add("env")
                    for name, value in credential(chance):
                        self.env.append(f"{name}={value}")
                        self.step(self.word("ENV", f"{name}={value}"))
                case "leak history":
                    self.leaks.add("history")
                    name, value = credential(chance)[0]
                    if chance.random() < 0.5:
                        # Written into the command that needs it.
                        made = [
                            self.made(f"{work}/{chance.choice(['build', 'vendor', 'static'])}/{token(chance, 6)}{language['ext']}")
                            for _ in range(chance.choice([1, 3, 9]))
                        ]
                        command = chance.choice(
                            [f"{name}={value} make", f"export {name}={value} && {language['install']}", f"curl -fsS {value} -o vendor.tar && make install"]
                        )
                        self.run(made, command)
                        continue
                    self.argument(name, value)
                    if chance.random() < 0.5:
                        self.run(
                            [self.made(f"{language['into']}/{token(chance, 6)}{language['ext']}") for _ in range(chance.choice([3, 20]))],
                            language["install"],
                        )
        if chance.random() < 0.7:
            port = chance.choice([80, 3000, 8000, 8080])
            self.settings["ExposedPorts"] = {f"{port}/tcp": {}}
            self.step(self.word("EXPOSE", f"[{port}/tcp]" if self.builder == "buildkit" else str(port)))
        if chance.random() < 0.4:
            self.settings["Entrypoint"] = ["/usr/local/bin/entrypoint.sh"]
            self.step(self.word("ENTRYPOINT", '["/usr/local/bin/entrypoint.sh"]'))
        if chance.random() < 0.9:
            self.settings["Cmd"] = language["cmd"]
            self.step(self.word("CMD", json.dumps(language["cmd"])))

    def argument(self, name, value):
        if any(known.startswith(name + "=") for known in self.args):
            return
        self.args = sorted(self.args + [f"{name}={value}"])
        self.step(self.word("ARG", f"{name}={value}"))

    def variables(self, count):
        chance = self.chance
        prefix = chance.choice(["", "", "APP_", "SHOP_", "SVC_", "CATALOG_", "GW_"])
        # What a setting is of: names are of many lengths.
        part = lambda: chance.choice(["", "", "DB_", "HTTP_", "WORKER_", "SEARCH_", "UPLOAD_", "STATS_", "SCHEDULER_", "EXPORT_", "IO_", "MAIL_"])
        for _ in range(count):
            choice = chance.random()
            if choice < 0.3 and self.language["env"]:
                line = chance.choice(self.language["env"])
            elif choice < 0.55:
                line = f"{prefix}{part()}{chance.choice(['PORT', 'WORKERS', 'TIMEOUT', 'LOG_LEVEL', 'MODE', 'REGION'])}={chance.choice(['8080', '4', 'info', 'production', 'eu-west-1', '30s'])}"
            elif choice < 0.75:
                line = f"{prefix}{part()}{chance.choice(['URL', 'API_URL', 'METRICS_URL', 'QUEUE_URL', 'PUBLIC_URL', 'CACHE_URL'])}={chance.choice(['http://localhost:9090', 'https://api.acme.io/v2', 'redis://cache:6379/0', 'amqp://queue:5672/jobs', 'https://storage.acme-internal.net/artifacts/releases'])}"
            elif choice < 0.85:
                line = f"{prefix}{chance.choice(['GIT_SHA', 'BUILD_ID', 'REVISION'])}={token(chance, chance.choice([8, 40]), '0123456789abcdef')}"
            else:
                line = f"{prefix}{part()}{chance.choice(['DATA_DIR', 'CONFIG', 'HOME_DIR', 'CA_BUNDLE'])}=/{chance.choice(PLACES)}/{chance.choice(NAMES)}"
            if any(known.split("=")[0] == line.split("=")[0] for known in self.env):
                continue
            self.env.append(line)
            self.step(self.word("ENV", line))

    def parts(self):
        """ko, jib, and tools that make layers of parts: one line for each layer and none for variables."""
        chance = self.chance
        if self.builder == "ko":
            now = "0001-01-01T00:00:00Z"
            by = {"author": "ko", "created": now, "created_by": "ko build ko://acme.io/shop"}
            data = [Entry("var/run/ko", "d", 0o555, 0, 0, 0, b"", "")] + [
                Entry(f"var/run/ko/{name}", "f", 0o444, 0, 0, 0, words(chance, size_of(chance)), "")
                for name in sorted({token(chance, 5) for _ in range(chance.choice([0, 1, 3, 12]))})
            ]
            self.add(data, dict(by, comment="kodata contents, at $KO_DATA_PATH"))
            self.add(
                [Entry("ko-app", "d", 0o555, 0, 0, 0, b"", ""), Entry("ko-app/shop", "f", 0o555, 0, 0, 0, words(chance, 30_000), "")],
                dict(by, comment="go build output, at /ko-app/shop"),
            )
            self.settings["Entrypoint"] = ["/ko-app/shop"]
            self.env.append("KO_DATA_PATH=/var/run/ko")
        elif self.builder == "jib":
            by = {
                "author": "Jib",
                "created": "1970-01-01T00:00:00Z",
                "created_by": f"jib-maven-plugin:3.{chance.randrange(1, 5)}.{chance.randrange(5)}",
            }
            for comment, folder, count, ending in (
                ("dependencies", "libs", 40, ".jar"),
                ("resources", "resources", 3, ".yml"),
                ("classes", "classes/io/acme", 25, ".class"),
                ("jvm arg files", "", 2, ""),
            ):
                if comment == "resources" and chance.random() < 0.3:
                    continue
                names = (
                    ["jib-classpath-file", "jib-main-class-file"]
                    if not ending
                    else [f"{folder}/{token(chance, 8, string.ascii_lowercase)}{ending}" for _ in range(chance.randrange(1, count))]
                )
                files = [Entry("app/" + name, "f", 0o644, 0, 0, 1, words(chance, size_of(chance)), "") for name in sorted(names)]
                self.add(layer_of(self.tree, files, 1), dict(by, comment=comment))
            self.settings["Entrypoint"] = ["java", "-cp", "@/app/jib-classpath-file", "io.acme.Shop"]
        else:
            for number in range(chance.randrange(1, 9)):
                at = f"nix/store/{token(chance, 32, string.ascii_lowercase)}-{chance.choice(NAMES)}"
                files = [
                    Entry(
                        f"{at}/{chance.choice(['bin', 'lib', 'share'])}/{token(chance, 5)}", "f", 0o444, 0, 0, 1, words(chance, size_of(chance)), ""
                    )
                    for _ in range(chance.choice([1, 1, 4, 30]))
                ]
                self.add(layer_of(self.tree, files, 1), {"created": "1970-01-01T00:00:01Z", "comment": f"store paths: ['/{at}']"})
            self.settings["Cmd"] = ["/bin/run"]
        self.variables(chance.randrange(0, 4))

    def config(self, layers):
        created = self.now if self.builder != "buildkit" else self.last_layer
        created = {"ko": "1970-01-01T00:00:00Z", "jib": "1970-01-01T00:00:00Z", "tarball": "1970-01-01T00:00:01Z"}.get(self.builder) or rfc3339(
            self.epoch if self.fixed else created
        )
        self.settings["Env"] = self.env
        return {
            "created": created,
            "architecture": "amd64",
            "os": "linux",
            "config": self.settings,
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in layers]},
            "history": self.history,
        }


def step(created, by, comment, empty):
    return {"created": created, "created_by": by} | ({"comment": comment} if comment else {}) | ({"empty_layer": True} if empty else {})


def credential(chance):
    host = (
        f"{chance.choice(['db', 'git', 'pypi', 'registry', 'artifacts', 'minio'])}.{chance.choice(['acme.io', 'internal.acme.net', 'corp.example'])}"
    )
    stem = chance.choice(["DATABASE", "DB", "REPORTING_DB", "GITLAB", "REGISTRY", "S3", "SMTP", "ARTIFACTORY", "PYPI"])
    secret = token(chance, chance.choice([12, 16, 20, 26, 32, 40]))
    user = chance.choice(["app", "deploy", "ci", "root", "shop_rw", "oauth2"])
    return chance.choice(
        [
            [(f"{stem}_URL", f"{chance.choice(['postgresql', 'https', 'mysql', 'amqp'])}://{user}:{secret}@{host}/{chance.choice(NAMES)}")],
            [(f"{stem}_PASSWORD", secret)],
            [(f"{stem}_TOKEN", secret)],
            [(f"{stem}_USER", user), (f"{stem}_PASSWORD", secret), (f"{stem}_HOST", host)],
        ]
    )


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def write_layout(folder, config, blobs, zstd):
    place = folder / "blobs/sha256"
    place.mkdir(parents=True)

    def put(kind, data):
        (place / digest(data)[7:]).write_bytes(data)
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    family = "application/vnd.oci.image."
    layers = [put(f"{family}layer.v1.tar+{'zstd' if is_zstd else 'gzip'}", blob) for blob, is_zstd in zip(blobs, zstd)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": family + "manifest.v1+json",
        "config": put(family + "config.v1+json", json.dumps(config, separators=(",", ":")).encode()),
        "layers": layers,
    }
    line = put(family + "manifest.v1+json", json.dumps(manifest).encode())
    line["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [line]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def make(folder, count, seed):
    """Images of the forms, and again each with a secret that was left on a surface, where its builder has that; gives what each leaks."""
    images = {("clean", f"{number:04}"): Image(seed * 1_000_003 + number) for number in range(count)}
    for surface in SURFACES:
        for number in range(count):
            image = Image(seed * 1_000_003 + number, surface)
            if surface in image.leaks and not images["clean", f"{number:04}"].leaks:
                images[f"leaked-{surface}", f"{number:04}"] = image
    packed = iter(Packer(folder).pack([layer for image in images.values() for layer in zip(image.layers, image.packings)]))
    leaks = {}
    for (kind, name), image in images.items():
        blobs = [next(packed) for _ in image.layers]
        write_layout(folder / kind / name, image.config(image.layers), blobs, [how[0] == "zstd" for how in image.packings])
        if kind == "clean":
            leaks[name] = sorted(image.leaks)
    return leaks


# ----------------------------------------------------------------------------------------------------------- real builders


def recipe(chance, context):
    """A Dockerfile on a root file system of Debian packages, and what it copies."""
    image = random.Random(chance.random())
    lines = ["FROM scratch", "ADD rootfs.tar /", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    work = chance.choice(["/srv/shop", "/app", "/opt/service"])
    lines.append(f"WORKDIR {work}")
    rootfs = ROOT / ".cache/rootfs.tar"
    subprocess.run([ROOT / ".ci/rootfs", rootfs], check=True)
    os.link(rootfs, context / "rootfs.tar")

    def file(path, mode=0o644):
        target = context / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(words(image, size_of(image)))
        target.chmod(mode)

    steps = ["one", "many", "variable"] + chance.sample(
        ["place", "place", "made", "remove", "variable", "argument", "user", "leak"], chance.randrange(1, 6)
    )
    for number, name in enumerate(steps):
        match name:
            case "one":
                file("package.json")
                lines.append("COPY package.json ./")
            case "many":
                for _ in range(chance.choice([3, 9, 25])):
                    file(f"src/{token(image, 6, string.ascii_lowercase)}.js")
                lines.append(chance.choice(["COPY src ./src", "COPY src ./"]))
            case "variable":
                lines.append(
                    f"ENV {chance.choice(['APP_PORT', 'APP_MODE', 'LOG_LEVEL', 'GIT_SHA'])}{number}={chance.choice(['8080', 'production', token(image, 40, '0123456789abcdef')])}"
                )
            case "place":
                file(f"conf{number}/{chance.choice(NAMES)}.yml")
                lines.append(f"COPY conf{number} ./conf{number}")
            case "made":
                lines.append(f"RUN mkdir -p dist{number} && echo built > dist{number}/out.txt && date > dist{number}/date.txt")
            case "remove":
                lines.append("RUN rm -rf /usr/share/lintian " + f"{work}/package.json")
            case "argument":
                lines.append(f"ARG VERSION{number}=1.{number}.0")
            case "user":
                lines.append("RUN mkdir -p /home/app && chown 33:33 /home/app")
            case "leak":
                file("key.json", 0o600)
                lines += ["COPY key.json /root/key.json"] + (["RUN rm /root/key.json"] if chance.random() < 0.5 else [])
    if "user" in steps:
        lines.append("USER 33:33")
    lines.append('CMD ["/bin/sh"]')
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    return sorted(({"buried"} if "RUN rm /root/key.json" in lines else {"file"}) if "leak" in steps else set())


def build(folder, count, seed, program):
    """Images of buildah and Docker's own builder, in layouts; gives what each leaks, and what is planted instead of the layout where that is a `docker save`."""
    leaks, sources = {}, {}
    chance = random.Random(seed)
    store, daemon = folder / "store", folder / "daemon"
    buildah = ["buildah", "--root", store / "root", "--runroot", store / "run", "--storage-driver", "vfs"]
    socket = f"unix://{daemon / 'socket'}"
    daemon.mkdir(parents=True)
    arguments = "--storage-driver vfs --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false".split()
    service = subprocess.Popen(
        ["dockerd", *arguments, "--host", socket, "--data-root", daemon / "data", "--exec-root", daemon / "exec", "--pidfile", daemon / "pid"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    environment = dict(os.environ, DOCKER_HOST=socket, DOCKER_BUILDKIT="0")
    quiet = dict(check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while subprocess.run(["docker", "version"], env=environment, capture_output=True).returncode:
            if service.poll() is not None:
                sys.exit("dockerd did not start")
        for number in range(2 * count):
            name = f"{'docker' if number % 2 else 'buildah'}-{number // 2:02}"
            context, layout = folder / "context" / name, folder / "clean" / name
            context.mkdir(parents=True)
            leaks[name] = recipe(chance, context)
            if number % 2:
                subprocess.run(["docker", "build", "--quiet", "--tag", name, context], env=environment, **quiet)
                archive = folder / "context" / f"{name}.tar"
                subprocess.run(["docker", "save", "--output", archive, name], env=environment, **quiet)
                if number % 4 == 1:
                    # As we ship it without bait: the layers are packed by us.
                    subprocess.run([program, "push", f"docker-archive:{archive}", f"oci:{layout}:latest"], **quiet)
                    sources[name] = f"docker-archive:{archive}"
                else:
                    subprocess.run(["skopeo", "--insecure-policy", "copy", f"docker-archive:{archive}", f"oci:{layout}:latest"], **quiet)
            else:
                subprocess.run([*buildah, "bud", "--isolation", "chroot", "--layers", "--quiet", "--tag", name, context], **quiet)
                subprocess.run([*buildah, "push", "--quiet", name, f"oci:{layout}:latest"], **quiet)
            shutil.rmtree(context)
    finally:
        service.terminate()
        service.wait()
        shutil.rmtree(store, ignore_errors=True)
        shutil.rmtree(daemon, ignore_errors=True)
    return leaks, sources


def host(chance):
    """Every owner has a decoy of their own."""
    label = chance.choice(["ops", "int", "dev", "infra", "svc", "tools", "platform", "build"])
    owner = chance.choice(["acme", "kestrel", "northwind", "ubx", "fjord-labs", "mirabel", "tq", "lakeside-retail"])
    return f"{label}.{owner}{chance.choice(['-internal.net', '.io', '.dev', '-cloud.com', '.net'])}"


def plant(folder, names, sources, program):
    """Each image with bait on each surface alone, and on all; where a surface has no place there, there is no twin."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = dict(PATH=os.environ["PATH"], HOME=str(home), HONEYCRATE_CACHE=str(folder / "cache"))
    subprocess.run([program, "key", "new"], env=environment, check=True, capture_output=True)
    told = collections.Counter()

    def one(job):
        name, surfaces = job
        target = folder / surfaces / name
        target.parent.mkdir(exist_ok=True)
        source = sources.get(name, f"oci:{folder / 'clean' / name}:latest")
        command = [
            program,
            "plant",
            source,
            "--out",
            f"oci:{target}:latest",
            "--fail-on",
            "none",
            "--env",
            "production",
            "--decoy",
            host(random.Random(name)),
            "--quiet",
        ]
        command += ["--service", f"acme/{random.Random(name).choice(NAMES)}-{name}", "--ledger", str(home / f"{name}-{surfaces}.sqlite")]
        command += [] if surfaces == "all" else ["--surfaces", surfaces]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True)
        if ran.returncode not in (0, 4):
            sys.exit(f"{' '.join(map(str, command))}\n{ran.stdout}{ran.stderr}")
        if ran.returncode:
            shutil.rmtree(target, ignore_errors=True)
        return surfaces, ran.returncode

    jobs = [(name, surfaces) for surfaces in (*SURFACES, "all") for name in names]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for surfaces, code in pool.map(one, jobs):
            told[surfaces, "planted" if code == 0 else "no place"] += 1
    return told


# --------------------------------------------------------------------------------------------------------------- features

TOP = 3
VALUE_FEATURES = re.compile(r"^(env|arg)_value")


def blob(layout, named):
    return (layout / "blobs" / named.replace(":", "/")).read_bytes()


def unpack(data):
    if data[:4] == b"\x28\xb5\x2f\xfd":
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj().decompress(data), dict(zstd=1, tail=0, head=int.from_bytes(data[4:5], "little"))
    tail = 1 if data[-12:-8] == b"\0\0\xff\xff" else 2 if data[-14:-8] == b"\0\0\xff\xff\x03\0" else 0
    return gzip.decompress(data), dict(zstd=0, tail=tail, head=int.from_bytes(hashlib.sha256(data[3:10]).digest()[:2], "little"))


def seconds(text):
    if not text or text.startswith("0001"):
        return None
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(whole.split("+")[0]).replace(tzinfo=datetime.UTC).timestamp() + float(
        "0." + (fraction.split("+")[0] or "0")
    )


def scale(value):
    """Seconds and sizes count by their magnitude."""
    return math.copysign(math.log1p(abs(value)), value)


def read_layer(data):
    """What shows of a layer, and its entries."""
    tar, about = unpack(data)
    entries, at, pax = [], 0, 0
    while at + 512 <= len(tar) and tar[at]:
        head = tar[at : at + 512]
        size = int(head[124:135].strip(b" \0") or b"0", 8)
        kind = head[156:157]
        if kind in b"xg":
            pax += 1
        else:
            name = head[:100].rstrip(b"\0").decode(errors="replace")
            text = [head[at : at + 8].strip(b" \0") or b"0" for at in (100, 108, 116)]
            mode, uid, gid = (int(part, 8) for part in text)
            mtime = int(head[136:147].strip(b" \0") or b"0", 8)
            entries.append(
                dict(
                    name=name,
                    kind=kind,
                    mode=mode & 0o7777,
                    bits=mode >> 12,
                    uid=uid,
                    gid=gid,
                    mtime=mtime,
                    size=size,
                    magic=head[257:265],
                    owner=head[265:297].rstrip(b"\0"),
                    dot=name.startswith("./"),
                    dev=head[329:345],
                )
            )
        at += 512 + (size + 511) // 512 * 512
    about |= dict(
        pax=pax, padding=(len(tar) - at) // 512, entries=entries, packed=len(data), tar=len(tar), ratio=len(data) / len(zlib.compress(tar, 6))
    )
    files = [entry for entry in entries if entry["kind"] != b"5" and "/.wh." not in "/" + entry["name"]]
    about["files"], about["folders"] = files, [entry for entry in entries if entry["kind"] == b"5"]
    about["white"] = [entry for entry in entries if "/.wh." in "/" + entry["name"]]
    return about


FORM = ("zstd", "tail", "head", "padding")
ENTRY_FORM = ("magic", "bits", "owner", "dot", "dev")


def features(layout, known):
    """The features of an image. `known` keeps layers that were read."""
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(layout, index["manifests"][0]["digest"]))
    config = json.loads(blob(layout, manifest["config"]["digest"]))
    layers = []
    for layer in manifest["layers"]:
        if layer["digest"] not in known:
            known[layer["digest"]] = read_layer(blob(layout, layer["digest"]))
        layers.append(known[layer["digest"]])
    history = config.get("history") or []
    own = [number for number, entry in enumerate(history) if not entry.get("empty_layer")]
    in_step = len(own) == len(layers)
    created = seconds(config.get("created"))
    out = dict(
        layers=len(layers),
        steps=len(history),
        in_step=in_step,
        labels=len(config["config"].get("Labels") or {}),
        ports=len(config["config"].get("ExposedPorts") or {}),
    )
    out["media_types"] = len({layer["mediaType"] for layer in manifest["layers"]})
    out["one_file_layers"] = sum(len(layer["files"]) == 1 for layer in layers)
    out["white_layers"] = sum(bool(layer["white"]) for layer in layers)
    out["only_white_layers"] = sum(bool(layer["white"]) and not layer["files"] for layer in layers)
    # A file that a later layer deletes, which no base image's did.
    made, deleted = {}, 0
    for number, layer in enumerate(layers):
        for entry in layer["white"]:
            parent, _, name = entry["name"].rpartition("/")
            deleted += (parent + "/" + name[4:]).strip("./") in made
        made.update({entry["name"].strip("./"): number for entry in layer["files"]})
    out["deleted_files"] = deleted
    # Files that come twice: anywhere, and where no package manager keeps its records.
    held, again = set(), collections.Counter()
    for layer in layers:
        mine = {entry["name"].strip("./") for entry in layer["files"]}
        again["anywhere"] += len(mine & held)
        again["elsewhere"] += sum(not name.startswith(("var/", "etc/", "usr/", "lib/")) for name in mine & held)
        again["layers"] += bool(mine & held)
        layer["again"] = len(mine & held)
        held |= mine
    out["replaced_files"], out["replaced_files_elsewhere"], out["replacing_layers"] = (scale(again[name]) for name in ("anywhere", "elsewhere", "layers"))
    times = [seconds(entry.get("created")) for entry in history]
    out["steps_back"] = sum(1 for a, b in zip(times, times[1:]) if a and b and b < a - 0.001)
    own_times = [times[number] for number in own if times[number]]
    out["same_times"] = sum(a == b for a, b in zip(own_times, own_times[1:])) if len(set(own_times)) > 1 else -1
    out["after_created"] = max((scale(time - created) for time in times if time and created), default=0)
    empty = [number for number, entry in enumerate(history) if entry.get("empty_layer")]
    out["empty"] = len(empty)
    out["empty_on_top"] = len(history) - 1 - own[-1] if own else -1
    texts = [entry.get("created_by", "") for entry in history]
    out["arguments"] = sum(bool(re.search(r"(^|\) +)ARG ", text)) for text in texts)
    for word in ("RUN", "COPY", "ENV", "CMD"):
        out[f"steps_{word.lower()}"] = sum(instruction(text) == word for text in texts)
    out["comments"] = len({entry.get("comment") for entry in history})
    out["authors"] = len({entry.get("author") for entry in history})
    words_of = [re.sub(r"^.*#\(nop\) *", "", text).split(" ")[0] for text in texts]
    for back in range(1, 6):
        at = len(history) - back
        # Of the last five steps: what they are, and whether their form is that of the others.
        kind = words_of[at] if at >= 0 else ""
        out[f"step{back}_kind"] = (
            ["", "COPY", "ENV", "ARG", "RUN", "CMD", "EXPOSE", "/bin/sh", "LABEL", "USER"].index(kind)
            if kind in ("COPY", "ENV", "ARG", "RUN", "CMD", "EXPOSE", "/bin/sh", "LABEL", "USER")
            else 10
        )
        out[f"step{back}_gap"] = scale(times[at] - times[at - 1]) if at > 0 and times[at] and times[at - 1] else -9
    everything = collections.Counter()
    for layer in layers:
        everything.update((name, layer[name]) for name in FORM)
        everything.update((name, entry[name]) for entry in layer["entries"][:50] for name in ENTRY_FORM)

    def odd(name, value, mine):
        """How many of the other layers have this in the same way, as a share."""
        total = sum(count for (other, _), count in everything.items() if other == name) - mine
        return (everything[name, value] - mine) / total if total > 0 else 1.0

    last = created or next((time for time in reversed(times) if time), 0)
    for back in range(TOP):
        put = lambda name, value: out.__setitem__(f"top{back + 1}_{name}", value)
        layer = layers[-1 - back] if back < len(layers) else None
        if layer is None:
            continue
        files, folders, white = layer["files"], layer["folders"], layer["white"]
        below = layers[-2 - back] if back + 1 < len(layers) else layer
        put("packed", scale(layer["packed"]))
        put("ratio", layer["ratio"])
        put("ratio_to_below", layer["ratio"] / below["ratio"])
        put("files", scale(len(files)))
        put("folders", scale(len(folders)))
        put("white", len(white))
        put("pax", layer["pax"])
        put("again", layer["again"])
        for name in FORM:
            put(f"odd_{name}", odd(name, layer[name], 1))
        for name in ENTRY_FORM:
            values = [entry[name] for entry in layer["entries"][:50]]
            put(f"odd_{name}", min((odd(name, value, len(values)) for value in set(values)), default=1))
        first = max(files, key=lambda entry: entry["size"], default=None)
        others = collections.Counter(entry["mode"] for other in layers if other is not layer for entry in other["files"][:50])
        put("file_size", scale(first["size"]) if first else -1)
        put("file_mode", first["mode"] if first else -1)
        put("file_mode_share", others[first["mode"]] / max(1, sum(others.values())) if first else -1)
        put("file_age", scale(last - max(entry["mtime"] for entry in files)) if files else -99)
        put("file_spread", scale(max(entry["mtime"] for entry in files) - min(entry["mtime"] for entry in files)) if files else -1)
        put("file_depth", first["name"].strip("./").count("/") if first else -1)
        put("file_dot", first["name"].rpartition("/")[2].startswith(".") if first else -1)
        put("file_root_home", first["name"].strip("./").startswith("root/") if first else -1)
        put("owner", first["uid"] if first else -1)
        put("folder_age", scale(last - max(entry["mtime"] for entry in folders)) if folders else -99)
        put("folder_older", scale(max(entry["mtime"] for entry in files) - max(entry["mtime"] for entry in folders)) if files and folders else -99)
        parent = [
            entry for entry in folders if (files or white) and entry["name"].strip("./") == (files + white)[0]["name"].strip("./").rpartition("/")[0]
        ]
        at = own[-1 - back] if in_step and back < len(own) else None
        now = times[at] if at is not None else None
        put("parent_listed", len(parent))
        put("parent_age", scale(now - parent[0]["mtime"]) if parent and now else -99)
        put("white_age", scale(now - white[0]["mtime"]) if white and now else -99)
        put("white_mode", white[0]["mode"] if white else -1)
        put("file_to_step", scale(now - max(entry["mtime"] for entry in files)) if files and now else -99)
        put(
            "same_mtime_below",
            bool(files and below["files"] and max(entry["mtime"] for entry in files) == max(entry["mtime"] for entry in below["files"])),
        )
        put("step_text", scale(len(texts[at])) if at is not None else -1)
        put("step_gap", scale(now - times[own[-2 - back]]) if at is not None and back + 1 < len(own) and now and times[own[-2 - back]] else -99)
        put("step_chown", "--chown" in texts[at] if at is not None else -1)
        put("step_flags", texts[at].count(" -") if at is not None else -1)
        put("step_from_end", len(history) - at if at is not None else -1)
    env = config["config"].get("Env") or []
    out["env"] = len(env)
    out["env_from_end"] = next((back for back, text in enumerate(reversed(texts)) if re.search(r"(^|\) +)ENV ", text)), -1)
    values = [line.partition("=")[2] for line in env if not line.startswith("PATH=")]
    names = [line.partition("=")[0] for line in env if not line.startswith("PATH=")]
    prefixes = collections.Counter(name.split("_")[0] for name in names)
    out["env_prefix_shared"] = prefixes[names[-1].split("_")[0]] if names else -1
    out["env_name_length"] = len(names[-1]) if names else -1
    out["env_name_longest"] = max(map(len, names[-6:]), default=-1)
    arguments = [text for text in texts if re.search(r"(^|\) +)ARG ", text)]
    argument = arguments[-1].partition("=")[2] if arguments else ""
    out["arg_from_end"] = next((back for back, text in enumerate(reversed(texts)) if re.search(r"(^|\) +)ARG ", text)), -1)
    # Whether later commands name it, as they do where it stands before them.
    name = re.sub(r"^.*ARG ", "", arguments[-1]).partition("=")[0] if arguments else "?"
    out["arg_used"] = sum(f" {name}=" in text or f"{name}=" in text and text.startswith(("|", "RUN |")) for text in texts)
    for prefix, value in (("env", values[-1] if values else ""), ("arg", argument)):
        out[f"{prefix}_value_length"] = len(value)
        out[f"{prefix}_value_entropy"] = entropy(value)
        out[f"{prefix}_value_url"] = "://" in value
        out[f"{prefix}_value_login"] = bool(re.search(r"://[^/]+:[^/]+@", value))
    out["env_value_longest"] = max(map(len, values), default=0)
    out["env_value_logins"] = sum(bool(re.search(r"://[^/]+:[^/]+@", value)) for value in values)
    return {name: float(value) for name, value in out.items()}


def instruction(text):
    """The word of a step."""
    if "#(nop)" in text:
        return text.partition("#(nop)")[2].split()[0]
    word = text.partition(" ")[0]
    return word if word.isupper() else "RUN" if "sh -c" in text else ""


def entropy(text):
    counts = collections.Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values()) if text else 0.0


# -------------------------------------------------------------------------------------------------------------- judgement


def measure(rows, names, seed, top):
    """The AUC of each classifier over (source, is planted, features), and the features that count most for the forest."""
    import numpy
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = numpy.array([[row.get(name, -99.0) for name in names] for _, _, row in rows])
    truth = numpy.array([is_planted for _, is_planted, _ in rows])
    groups = numpy.array([source for source, _, _ in rows])
    makers = {
        "forest": lambda: RandomForestClassifier(200, min_samples_leaf=3, random_state=seed),
        "boosting": lambda: GradientBoostingClassifier(n_estimators=80, max_depth=3, max_features="sqrt", random_state=seed),
        "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)),
    }
    said = {name: numpy.zeros(len(rows)) for name in makers}
    weight = numpy.zeros(len(names))
    folds = list(StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(table, truth, groups))
    for train, test in folds:
        for name, make_classifier in makers.items():
            classifier = make_classifier().fit(table[train], truth[train])
            said[name][test] = classifier.predict_proba(table[test])[:, 1]
            if name == "forest":
                weight += classifier.feature_importances_ / len(folds)
    auc = {name: roc_auc_score(truth, score) for name, score in said.items()}
    alone = lambda at: abs(roc_auc_score(truth, table[:, at]) - 0.5) + 0.5
    return auc, [(names[at], alone(at)) for at in numpy.argsort(-weight)[:top]]


def measure_apart(rows, names, seed, times=6):
    """The AUCs where every image is either clean or planted, never both: as for somebody who has images, and none of them twice. The mean
    over several ways to part them."""
    sources = sorted({source for source, _, _ in rows})
    total = collections.Counter()
    for number in range(times):
        planted = set(random.Random(f"{seed} {number}").sample(sources, len(sources) // 2))
        auc, _ = measure([row for row in rows if (row[0] in planted) == bool(row[1])], names, seed + number, 0)
        total.update(auc)
    return {name: value / times for name, value in total.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/honeycrate")
    parser.add_argument("--sources", type=int, default=220, help="images of the forms of builders")
    parser.add_argument("--built", type=int, default=12, help="images that buildah builds, and as many of Docker")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--top", type=int, default=8, help="features to list")
    parser.add_argument("--keep", action="store_true", help="keep the images; clean ones that are there are used again")
    parser.add_argument("--judge", action="store_true", help="judge the planted images that are there")
    options = parser.parse_args()
    program, work = options.program.resolve(), options.folder.resolve() / "images"
    clean = work / "clean"
    if not clean.exists():
        leaks = make(work, options.sources, options.seed)
        sources = {}
        if options.built:
            built, sources = build(work, options.built, options.seed, program)
            leaks |= built
        (work / "leaks.json").write_text(json.dumps([leaks, sources]))
    leaks, sources = json.loads((work / "leaks.json").read_text())
    told = {}
    if not options.judge:
        for surfaces in (*SURFACES, "all", "home", "cache"):
            shutil.rmtree(work / surfaces, ignore_errors=True)
        told = plant(work, sorted(leaks), sources, program)
    known = {}
    rows = {
        kind: {name: features(work / kind / name, known) for name in sorted(leaks) if (work / kind / name / "index.json").exists()}
        for kind in ("clean", *SURFACES, "all", *(f"leaked-{surface}" for surface in SURFACES))
    }
    names = sorted({name for of in rows.values() for row in of.values() for name in row})
    form = [name for name in names if not VALUE_FEATURES.search(name)]
    print(
        f"{len(rows['clean'])} clean images ({sum(bool(leak) for leak in leaks.values())} of them with a secret of their own), {len(form)} features of form, {len(names)} with values\n"
    )
    print(f"{'surface':10} {'planted':>8} {'classifier':>10} {'twins':>6} {'apart':>6}   what shows, most first (its AUC alone)")
    for surfaces in (*SURFACES, "all"):
        both = [(name, 0, rows["clean"][name]) for name in rows[surfaces]] + [(name, 1, row) for name, row in rows[surfaces].items()]
        auc, shown = measure(both, form, options.seed, options.top)
        apart = measure_apart(both, form, options.seed)
        for number, (classifier, value) in enumerate(auc.items()):
            about = ", ".join(f"{name} {fall:.3f}" for name, fall in shown) if number == 0 else ""
            print(f"{surfaces if number == 0 else '':10} {len(rows[surfaces]) if number == 0 else '':>8} {classifier:>10} {value:6.3f} {apart[classifier]:6.3f}   {about}")
    print("\nBait against a secret that somebody left on that surface of the same image; form, then form and values; twins, then apart:")
    for surface in SURFACES:
        real = rows[f"leaked-{surface}"]
        both = [(name, 0, row) for name, row in real.items()] + [(name, 1, rows[surface][name]) for name in real if name in rows[surface]]
        for what, chosen in (("form", form), ("values", names)):
            auc, shown = measure(both, chosen, options.seed, options.top)
            shown = ", ".join(f"{name} {value:.3f}" for name, value in shown)
            apart = measure_apart(both, chosen, options.seed)
            print(
                f"{surface:10} {what:7} {len(real):4} real {len(both) - len(real):4} bait   "
                + ", ".join(f"{name} {value:.3f} {apart[name]:.3f}" for name, value in auc.items())
                + "   "
                + shown
            )
    print("\n" + ", ".join(f"{surface} {what}: {count}" for (surface, what), count in sorted(told.items())))
    if not options.keep:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
