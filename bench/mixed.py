#!/usr/bin/env python3
"""Makes an image with a secret on every surface that we know of, and says which of them each scanner finds.

OUT gets an OCI layout, the same image as a docker-archive, its bare layer tars, and `secrets.json`. Every secret is made at random, right
down to its checksum. Of a peer's report, a secret counts as found when its value (or, of what lies under a cover, the cover) is in the
report; of ours, which holds no values, when a finding has the secret's place.
usage: mixed.py OUT [--scan]      needs git, skopeo, xz, bzip2, zstd
"""

import argparse
import base64
import gzip
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import sqlite3
import string
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
LETTERS = string.ascii_letters + string.digits
B62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
chance = random.SystemRandom()


def some(length, alphabet=LETTERS):
    return "".join(chance.choice(alphabet) for _ in range(length))


def github():
    """A personal token: 30 characters and their CRC-32 in base 62."""
    body = some(30)
    number, tail = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        tail = B62[digit] + tail
    return "gh" + "p_" + body + tail.rjust(6, "0")


def password():
    return some(1, string.ascii_letters) + some(13, LETTERS + "_") + some(2, string.digits)


def aws_id():
    """A key id whose account number is not zero."""
    return "AK" + "IA" + "Y" + some(15, string.ascii_uppercase + "234567")


def pem():
    with tempfile.TemporaryDirectory() as folder:
        key = pathlib.Path(folder, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "deploy", "-f", str(key)], check=True)
        return key.read_text()


class Image:
    """Layers, config and secrets, gathered as they are planted."""

    def __init__(self):
        self.layers = [[]]
        self.steps = ["ADD rootfs.tar.xz / # buildkit"]
        self.secrets = []
        self.env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        self.labels, self.extra = {}, []

    def layer(self, step):
        self.layers.append([])
        self.steps.append(step)

    def note(self, name, place, value, state="live", rule=None):
        self.secrets.append({"name": name, "place": place, "value": value, "state": state, "rule": rule})

    def file(self, path, data, name=None, value=None, state="live", rule=None):
        data = data.encode() if isinstance(data, str) else data
        self.layers[-1].append((path, data))
        if name:
            self.note(name, path, value, state, rule)

    def history(self, step):
        self.extra.append(step)


def token_files(image):
    """One secret in each way in which people write them down."""
    plant = image.file
    secret = github()
    plant("app/.env", f"# settings\nGITHUB_TOKEN={secret}\n", "dotenv", secret)
    secret = password()
    plant("app/config/settings.yaml", f"database:\n  host: db\n  password: {secret}\n", "YAML password", secret)
    secret = "sk-" + "ant-api03-" + some(93, LETTERS + "-_") + "AA"
    plant("app/config/ai.json", json.dumps({"anthropic": {"key": secret}}), "JSON", secret)
    secret = "np" + "m_" + github()[4:]
    plant("root/.npmrc", f"//registry.npmjs.org/:_authToken={secret}\n", "npmrc", secret)
    secret = password()
    plant("root/.netrc", f"machine git.example.net login ci password {secret}\n", "netrc", secret)
    macaroon = b"\x02\x01\x08pypi.org\x02\x24" + some(36, "0123456789abcdef").encode()
    macaroon += b"\x00\x02\x2c" + b'{"permissions": "user", "version": 1}'.ljust(44) + b"\x00\x00\x06\x20" + os.urandom(32)
    secret = "pypi-" + base64.urlsafe_b64encode(macaroon).decode().rstrip("=")
    plant("root/.pypirc", f"[pypi]\nusername = __token__\npassword = {secret}\n", "pypirc", secret)
    secret = password()
    plant("root/.git-credentials", f"https://deploy:{secret}@git.example.net\n", "git-credentials", secret)
    secret = password()
    auth = base64.b64encode(f"robot:{secret}".encode()).decode()
    plant("root/.docker/config.json", json.dumps({"auths": {"registry.example.net": {"auth": auth}}}, indent=1), "docker config", auth)
    secret = some(40, LETTERS + "/+")
    plant("root/.aws/credentials", f"[default]\naws_access_key_id = {aws_id()}\naws_secret_access_key = {secret}\n", "AWS pair", secret)
    secret = password()
    plant("root/.pgpass", f"db.example.net:5432:shop:shop:{secret}\n", "pgpass", secret)
    secret = password()
    plant("root/.m2/settings.xml", f"<settings><servers><server><id>releases</id><username>ci</username><password>{secret}</password></server></servers></settings>\n", "maven settings", secret)
    secret = password()
    plant("root/.gradle/gradle.properties", f"artifactoryUser=ci\nartifactoryPassword={secret}\n", "gradle properties", secret)
    secret = password()
    state = {"resources": [{"type": "aws_db_instance", "instances": [{"attributes": {"username": "shop", "password": secret}}]}]}
    plant("srv/terraform.tfstate", json.dumps(state, indent=2), "terraform state", secret)
    secret = password()
    plant("var/www/wp-config.php", f"<?php\ndefine( 'DB_USER', 'wp' );\ndefine( 'DB_PASSWORD', '{secret}' );\n", "wp-config", secret)
    key = pem()
    plant("home/deploy/.ssh/id_ed25519", key, "SSH key", key.splitlines()[2])
    secret = "glsa" + "_" + some(32)
    secret += "_" + zlib.crc32(secret.encode()).to_bytes(4, "little").hex()
    plant("app/main.py", f"import requests\n\nGRAFANA = '{secret}'\n", "Python source", secret)
    secret = github()
    minified = "!function(){var a=0;" + "a+=1;b(a,'x',{c:a});" * 150_000 + f'fetch(u,{{headers:{{Authorization:"token {secret}"}}}})' + "c(a);" * 50_000 + "}();"
    plant("app/public/bundle.min.js", minified, "minified megabytes", secret)
    secret = github()
    plant("app/node_modules/left-pad/index.js", f"module.exports = '{secret}'\n", "node_modules", secret)
    secret = github()
    plant("usr/lib/python3/dist-packages/internal/settings.py", f"TOKEN = '{secret}'\n", "dist-packages", secret)
    secret = "xox" + "b-" + some(12, string.digits) + "-" + some(13, string.digits) + "-" + some(24)
    plant("app/README.md", f"Run it with `SLACK_TOKEN={secret} make`.\n", "README", secret)
    secret = github()
    plant("app/tests/fixtures/login.txt", f"{secret}\n", "tests", secret)
    secret = password()
    plant("root/.bash_history", f"cd /srv\nmysql -u root -p{secret} shop\nls\n", "shell history", secret)
    secret = "postgres" + "ql://shop:" + (hidden := password()) + "@db.example.net:5432/shop"
    plant("app/compose.yaml", f"services:\n  web:\n    environment:\n      DATABASE_URL: {secret}\n", "connection string", hidden)
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": some(8), "exp": int(time.time()) + 10**8})
    secret = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "." + some(43)
    plant("app/session.txt", f"jwt {secret}\n", "JWT", secret)
    secret = "AI" + "za" + some(35, LETTERS + "-_")
    plant("app/public/index.html", f"<script src='https://maps.googleapis.com/maps/api/js?key={secret}'></script>\n", "Google key in HTML", secret)
    secret = some(40, "0123456789abcdef")
    plant("etc/datadog.yaml", f"api_key: x\napp_key: y\ndatadog_app_key: {secret}\n", "context only", secret)


def covers(image):
    """Secrets under another coding."""
    plant = image.file
    secret = github()
    code = base64.b64encode(f"token={secret}".encode()).decode()
    plant("app/k8s/secret.yaml", f"kind: Secret\ndata:\n  token: {code}\n", "base64 in a Kubernetes secret", code)
    secret = github()
    text = base64.encodebytes(f"# the settings of the shop, kept here for the next deployment\nTOKEN={secret}\nMODE=production\n".encode()).decode()
    plant("app/wrapped.b64", text, "wrapped base64", text.splitlines()[1])
    secret = github()
    code = base64.urlsafe_b64encode(f"?>?>?>{secret}???".encode()).decode()
    plant("app/url-safe.txt", f"state={code}\n", "URL-safe base64", code)
    secret = github()
    code = f"token={secret}".encode().hex()
    plant("app/hex.txt", f"payload {code}\n", "hex", code)
    secret = github()
    plant("app/wide.ini", f"[login]\r\ntoken={secret}\r\n".encode("utf-16"), "UTF-16", secret)
    secret = github()
    code = "".join(f"%{byte:02X}" for byte in secret.encode())
    plant("app/percent.log", f"GET /?token={code} HTTP/1.1\n", "percent escapes", code)
    secret = github()
    code = "".join(f"\\u{byte:04x}" for byte in secret.encode())
    plant("app/escapes.json", f'{{"token": "{code}"}}\n', "JSON escapes", code)
    key = pem()
    plant("app/service.json", json.dumps({"type": "service", "private_key": key}), "PEM in JSON", key.splitlines()[2])
    secret = github()
    twice = base64.b64encode(f'{{"data": "{base64.b64encode(f"token: {secret}".encode()).decode()}"}}'.encode()).decode()
    plant("app/twice.txt", f"{twice}\n", "base64 in base64", twice)


def containers(image):
    """Secrets inside other files."""
    plant = image.file

    def line():
        secret = github()
        return secret, f"TOKEN={secret}\n".encode()

    def tarred(name, data, mode="w"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as archive:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        return out.getvalue()

    def zipped(name, data):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
        return out.getvalue()

    def piped(program, data):
        return subprocess.run([*program, "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout

    secret, data = line()
    plant("opt/backup.tar.gz", tarred("srv/.env", data, "w:gz"), "tar.gz", secret)
    secret, data = line()
    plant("opt/logs.gz", gzip.compress(data), "gz", secret)
    secret, data = line()
    plant("opt/site.zip", zipped("conf/.env", data), "zip", secret)
    secret, data = line()
    plant("opt/app.jar", zipped("BOOT-INF/lib/inner.jar", zipped("application.properties", data)), "jar in a jar", secret)
    secret, data = line()
    plant("opt/tool-1.0-py3-none-any.whl", zipped("tool/settings.py", data), "wheel", secret)
    for program in (["xz"], ["bzip2"], ["zstd", "-q"]):
        secret, data = line()
        plant(f"opt/dump.sql.{program[0]}", piped(program, data * 3), program[0], secret)
    secret, data = line()
    plant("opt/outer.tar", tarred("inner.tgz", tarred("deep/.env", data, "w:gz")), "tar.gz in a tar", secret)
    secret, _ = line()
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "app.db")
        # A value over several pages, and the secret where one ends: no part of the file holds it whole.
        for before in range(3000, 9000):
            file.unlink(missing_ok=True)
            database = sqlite3.connect(file)
            database.execute("create table settings (name text, value text)")
            database.execute("insert into settings values (?, ?)", ("token", "." * before + f" TOKEN={secret} " + "." * 8165))
            database.executemany("insert into settings values (?, ?)", [(f"n{number}", some(50)) for number in range(500)])
            database.commit()
            database.close()
            if not any(part.encode() in file.read_bytes() for part in (secret[:24], secret[16:])):
                break
        plant("var/lib/app/app.db", file.read_bytes(), "SQLite over a page's end", secret, rule="github-personal-token")
        secret, data = line()
        source = pathlib.Path(folder, "module.py")
        source.write_text(f"TOKEN = '{secret}'\n")
        subprocess.run([sys.executable, "-c", f"import py_compile; py_compile.compile({str(source)!r}, {str(source) + 'c'!r})"], check=True)
        plant("app/__pycache__/module.pyc", pathlib.Path(str(source) + "c").read_bytes(), "Python bytecode", secret)
        repository = pathlib.Path(folder, "repository")
        git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.net", "-c", "gc.auto=0"]
        subprocess.run(["git", "init", "-q", str(repository)], check=True)

        def commit(text, message):
            (repository / "settings").write_text(text)
            subprocess.run([*git, "add", "-A"], check=True)
            subprocess.run([*git, "commit", "-qm", message], check=True)

        packed, text = line()
        commit(text.decode() + "more\n" * 50, "settings")
        commit("more\n" * 50, "no secret any more")
        subprocess.run([*git, "gc", "-q"], check=True)
        loose, text = line()
        commit(text.decode(), "again")
        commit("nothing\n", "and gone")
        found = {"loose": [], "pack": []}
        for file in sorted((repository / ".git").rglob("*")):
            if file.is_file():
                path = f"app/.git/{file.relative_to(repository / '.git')}"
                image.file(path, file.read_bytes())
                kind = "pack" if file.suffix == ".pack" else "loose" if "/objects/" in path and file.parent.name != "pack" and file.parent.name != "info" else None
                if kind and (kind == "pack" or loose.encode() in zlib.decompress(file.read_bytes())):
                    found[kind].append(path)
        image.note("git pack", found["pack"][0], packed)
        image.note("git object", found["loose"][0], loose)
    secret, _ = line()
    program = pathlib.Path("/bin/true").read_bytes()
    plant("usr/local/bin/worker", program[:20000] + b"\0" + secret.encode() + b"\0" + program[20000:], "ELF", secret)


def build():
    image = Image()
    image.file("etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
    secret = github()
    image.file("etc/base.conf", f"token={secret}\n", "base image's layer", secret)
    image.layer("COPY . / # buildkit")
    token_files(image)
    image.layer("COPY covers / # buildkit")
    covers(image)
    image.layer("COPY containers / # buildkit")
    containers(image)
    image.layer("COPY secrets /run/ # buildkit")
    secret = github()
    image.file("run/build/token", secret, "deleted file", secret, "deleted")
    secret = github()
    image.file("run/folder/sub/token", secret, "deleted folder", secret, "deleted")
    secret = github()
    image.file("run/opaque/token", secret, "opaque folder", secret, "deleted")
    secret = github()
    image.file("run/config", f"token={secret}\n", "overwritten file", secret, "overwritten")
    image.layer("RUN /bin/sh -c rm -rf /run/build/token /run/folder # buildkit")
    for path in ("run/build/.wh.token", "run/.wh.folder", "run/opaque/.wh..wh..opq"):
        image.file(path, b"")
    image.file("run/config", "token=\n")
    secret = github()
    image.env.append(f"API_TOKEN={secret}")
    image.note("ENV", "API_TOKEN", secret)
    secret = github()
    image.labels["com.example.build"] = f"token={secret}"
    image.note("label", "com.example.build", secret)
    secret = github()
    image.history(f"RUN |1 NPM_AUTH={secret} /bin/sh -c npm ci # buildkit")
    image.note("build argument", "history", secret)
    secret = github()
    image.history(f"RUN /bin/sh -c curl -H 'Authorization: token {secret}' https://api.example.net/x | sh # buildkit")
    image.note("RUN", "history", secret)
    return image


def blob(folder, data):
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def write(image, out):
    layout = out / "oci"
    (layout / "blobs/sha256").mkdir(parents=True)
    (out / "layers").mkdir()
    layers, diff_ids = [], []
    for number, entries in enumerate(image.layers):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for path, data in entries:
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode, entry.mtime = len(data), 0o644, 1_700_000_000
                archive.addfile(entry, io.BytesIO(data))
        data = raw.getvalue()
        (out / f"layers/{number}.tar").write_bytes(data)
        diff_ids.append("sha256:" + hashlib.sha256(data).hexdigest())
        packed = gzip.compress(data, 6, mtime=0)
        layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **blob(layout, packed)})
    entrypoint, command, health, annotation = (github() for _ in range(4))
    for name, place, value in (("entrypoint", "entrypoint", entrypoint), ("command", "command", command), ("health check", "healthcheck", health), ("annotation", "org.example.note", annotation)):
        image.note(name, place, value)
    history = [{"created": "2023-11-14T22:13:20Z", "created_by": step} for step in image.steps]
    history += [{"created": "2023-11-14T22:13:20Z", "created_by": step, "empty_layer": True} for step in image.extra]
    config = {
        "architecture": "amd64", "os": "linux", "created": "2023-11-14T22:13:20Z",
        "config": {
            "Env": image.env, "Labels": image.labels, "Entrypoint": ["/usr/local/bin/worker", f"--token={entrypoint}"], "Cmd": ["--key", command],
            "Healthcheck": {"Test": ["CMD-SHELL", f"curl -fsH 'X-Token: {health}' localhost"]},
        },
        "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
    }
    manifest = {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(layout, json.dumps(config).encode())},
        "layers": layers, "annotations": {"org.example.note": f"built with {annotation}"},
    }
    data = json.dumps(manifest).encode()
    index = {"schemaVersion": 2, "manifests": [{"mediaType": manifest["mediaType"], **blob(layout, data), "annotations": {"org.opencontainers.image.ref.name": "mixed"}}]}
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"oci:{layout}:mixed", f"docker-archive:{out / 'image.tar'}:mixed:1"], check=True)
    (out / "secrets.json").write_text(json.dumps(image.secrets, indent=1))


def peers(out):
    """Name and report of each peer that is present."""
    search = f"{ROOT / '.cache/venv/bin'}:{os.environ['PATH']}"
    report = lambda name: str(out / f"{name}.json")
    commands = {
        "gitleaks, bare layers": ["gitleaks", "dir", "--no-banner", "--exit-code", "0", "--max-archive-depth", "3", "--max-decode-depth", "5", "-f", "json", "-r", report("gitleaks"), str(out / "layers")],
        "kingfisher --no-limits": ["kingfisher", "scan", "docker", "--archive", str(out / "image.tar"), "--quiet", "--no-validate", "--no-update-check", "--no-limits", "--no-dedup", "-f", "json", "-o", report("kingfisher")],
        "trivy": ["trivy", "image", "--quiet", "--scanners", "secret", "--image-config-scanners", "secret", "-f", "json", "-o", report("trivy"), "--input", str(out / "image.tar")],
    }
    for name, command in commands.items():
        if not shutil.which(command[0], path=search):
            print(f"{name}: not here")
            continue
        result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": search})
        file = out / f"{command[0]}.json"
        if not file.exists():
            print(f"{name}: ended with {result.returncode} and no report: {result.stderr[-300:]}")
            continue
        yield name, file.read_text()


def scan(out, program):
    secrets = json.loads((out / "secrets.json").read_text())
    columns = {}
    report = out / "honeycrate.json"
    subprocess.run([program, "scan", f"oci:{out / 'oci'}:mixed", "--fail-on", "none", "--cache", "off", "--quiet", "--report", str(report)], stdout=subprocess.DEVNULL)
    document = json.loads(report.read_text())
    places = [(place["surface"], place.get("path") or "", place["state"], finding["rule"]) for finding in document["findings"] for place in [finding, *finding.get("places", [])]]
    history = sum(surface == "history" for surface, *_ in places)

    def is_ours(secret):
        if secret["place"] == "history":
            return history >= 2
        names = lambda surface, path: surface == secret["place"] or path.split("!/")[0].lstrip("/") == secret["place"]
        return any(names(surface, path) and state == secret["state"] and secret["rule"] in (None, rule) for surface, path, state, rule in places)

    columns["honeycrate"] = [is_ours(secret) for secret in secrets]
    for name, text in peers(out):
        # A report may break a value where JSON or a colour does.
        columns[name] = [secret["value"][:40] in text or json.dumps(secret["value"][:40])[1:-1] in text for secret in secrets]
    names = list(columns)
    for number, secret in enumerate(secrets):
        print(f"{secret['name']:32}", *(f"{'yes' if columns[name][number] else '-':>{len(name)}}" for name in names), sep="  ")
    print(f"{'of ' + str(len(secrets)):32}", *(f"{sum(columns[name]):>{len(name)}}" for name in names), sep="  ")
    print(" " * 32, *names, sep="  ")
    planted = {secret["place"] for secret in secrets}
    others = [finding for finding in document["findings"] if finding["severity"] != "low" and finding["surface"] == "file" and (finding.get("path") or "").split("!/")[0].lstrip("/") not in planted]
    print(f"honeycrate, above low where nothing was planted: {len(others)}", *(f"{finding['rule']} {finding.get('path')}" for finding in others), sep="\n  ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--scan", action="store_true", help="scan it with our program and the peers that are present")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/x86_64-unknown-linux-gnu/release/honeycrate")
    options = parser.parse_args()
    if not (options.out / "secrets.json").exists():
        write(build(), options.out)
    if options.scan:
        scan(options.out.resolve(), options.program.resolve())


main()
