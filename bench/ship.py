#!/usr/bin/env python3
"""Measures the ways to a registry beside each other: `honeycrate ship` and `push`, `skopeo copy`, and what people chain today.

usage: ship.py LAYOUT [--rounds N] [--program FILE] [--scratch DIR] [--docker DIR] [--only JOURNEY]... [--memory]

LAYOUT is an image as bench/image.sh makes it. Every journey begins with a registry that has never seen the image and homes that are empty,
goes through its steps, and takes its turn with the others, N times. What is printed: medians and the least of each step, and their ratios.

  ship     an empty registry; the same again; another last layer          honeycrate ship, skopeo copy
  push     an empty registry; the same again                              honeycrate push (skopeo copy: as above)
  daemon   out of a Docker daemon: an empty registry; the same again      honeycrate ship and push, skopeo copy (only with --docker)
  chain    a scanner, `crane push`, `crane append` of one file            each of trivy, gitleaks and kingfisher that is here; honeycrate ship

Needs root (an own mount namespace hides skopeo's memory of blobs, and the registry's storage is in memory), GNU time, docker-registry and
skopeo; for `chain` also crane (`go install github.com/google/go-containerregistry/cmd/crane@latest`) and scanners, in PATH or .cache/venv;
for `daemon` dockerd and docker. --docker names the folder of the daemon's images, which is kept: its driver is vfs, so the first time takes
minutes, and ten times the unpacked image. --memory watches each step once more.
"""

import contextlib
import functools
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import peers
import runs

# Where skopeo remembers which blobs are where; hidden while this runs.
SKOPEO = pathlib.Path("/var/lib/containers")
NAME = "acme/shop:1"
LOADED = "honeycrate-bench:1"


class Registry:
    """docker-registry on a port of its own, with its storage in memory."""

    def __init__(self, memory):
        self.folder = memory / "registry"
        self.process = None

    def begin(self):
        """Begins anew with nothing in it."""
        self.end()
        runs.empty(self.folder)
        config, log = self.folder / "config.json", self.folder / "log"
        config.write_text(json.dumps({
            "version": 0.1, "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "storage")}}, "http": {"addr": "127.0.0.1:0", "relativeurls": True}}))
        with log.open("wb") as out:
            self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=out, stderr=out)
        self.host = "localhost:" + until(lambda: re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text()), "docker-registry")[1]

    def end(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def daemon(folder, layout):
    """dockerd with the image in it; its address. It has no network and touches nothing outside its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    address = f"unix://{folder / 'socket'}"
    command = ["dockerd", "--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid", "--host", address,
               "--storage-driver", "vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"]
    with (folder / "log").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        docker = ["docker", "--host", address]
        until(lambda: subprocess.run([*docker, "version"], capture_output=True).returncode == 0, "dockerd")
        if subprocess.run([*docker, "image", "inspect", LOADED], capture_output=True).returncode != 0:
            print("loading the image into the daemon", file=sys.stderr)
            subprocess.run(["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-daemon-host", address, f"oci:{layout}:latest",
                            f"docker-daemon:{LOADED}"], check=True)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def until(answer, who):
    """The first answer that is something."""
    for _ in range(600):
        if found := answer():
            return found
        time.sleep(0.1)
    sys.exit(f"{who} did not come up")


def rebuilt(layout, folder):
    """The image with one file more in its last layer, as a rebuild leaves it."""
    shutil.copytree(layout, folder, copy_function=os.link if os.stat(layout).st_dev == os.stat(folder.parent).st_dev else shutil.copy2)
    blobs = folder / "blobs/sha256"

    def put(data):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def read(descriptor):
        return (blobs / descriptor["digest"][7:]).read_bytes()

    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(read(index["manifests"][0]))
    config = json.loads(read(manifest["config"]))
    plain = io.BytesIO(gzip.decompress(read(manifest["layers"][-1])))
    with tarfile.open(fileobj=plain, mode="a") as archive:
        add(archive, "built", f"{time.time()}\n".encode())
    config["rootfs"]["diff_ids"][-1] = "sha256:" + hashlib.sha256(plain.getvalue()).hexdigest()
    manifest["layers"][-1].update(put(gzip.compress(plain.getvalue())))
    manifest["config"].update(put(json.dumps(config).encode()))
    index["manifests"][0].update(put(json.dumps(manifest).encode()))
    # The copy's may be a link to the original.
    (folder / "index.json").unlink()
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def add(archive, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


class Bench:
    """The journeys. Each is a list of steps over one fresh registry."""

    def __init__(self, options, folder, memory):
        self.layout, self.folder, self.memory, self.program = options.layout, folder, memory, options.program
        self.runs = runs.Runs(folder)
        self.registry = Registry(memory)
        self.home = folder / "home"
        self.changed = rebuilt(self.layout, folder / "changed")
        self.docker = None
        self.bait = folder / "bait.tar"
        with tarfile.open(self.bait, "w") as archive:
            add(archive, "srv/shop/.npmrc", b"one line\n")

    def fresh(self):
        self.registry.begin()
        runs.empty(self.home)
        runs.empty(SKOPEO)
        subprocess.run([self.program, "key", "new"], check=True, capture_output=True, env={"HOME": str(self.home)})

    @property
    def target(self):
        return f"{self.registry.host}/{NAME}"

    def run(self, case, *commands, **more):
        self.runs.run(case, *commands, environment={"HOME": str(self.home), "TMPDIR": str(self.folder), **more})

    def honeycrate(self, verb, case, source, **more):
        planting = ["--env", "production", "--decoy", "https://decoy.example.com"] if verb == "ship" else []
        command = [self.program, verb, source, *(["--to"] if verb == "ship" else []), self.target]
        self.run(f"honeycrate {verb}, {case}", [*command, "--plain-http", self.registry.host, *planting], **more)

    def skopeo(self, case, *source):
        self.run(f"skopeo copy, {case}", ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", *source, f"docker://{self.target}"])

    def ship(self):
        self.fresh()
        for case, layout in (("empty registry", self.layout), ("again", self.layout), ("another last layer", self.changed)):
            self.honeycrate("ship", case, f"oci:{layout}:latest")

    def push(self):
        self.fresh()
        for case in ("empty registry", "again"):
            self.honeycrate("push", case, f"oci:{self.layout}:latest")

    def copy(self):
        self.fresh()
        for case, layout in (("empty registry", self.layout), ("again", self.layout), ("another last layer", self.changed)):
            self.skopeo(case, "--all", f"oci:{layout}:latest")

    def ship_daemon(self):
        self.fresh()
        for case in ("daemon", "daemon again"):
            self.honeycrate("ship", case, f"docker-daemon:{LOADED}", DOCKER_HOST=self.docker)

    def push_daemon(self):
        self.fresh()
        for case in ("daemon", "daemon again"):
            self.honeycrate("push", case, f"docker-daemon:{LOADED}", DOCKER_HOST=self.docker)

    def copy_daemon(self):
        self.fresh()
        for case in ("daemon", "daemon again"):
            self.skopeo(case, "--src-daemon-host", self.docker, f"docker-daemon:{LOADED}")

    def chain(self, scanner):
        self.fresh()
        scan, more = peers.run(scanner, self.layout, self.memory)
        push = [["crane", "push", self.layout, self.target], ["crane", "append", "-b", self.target, "-f", self.bait, "-t", self.target]]
        self.runs.run(f"{scanner}, crane push, crane append", *scan, *push, **more)

    def journeys(self, only):
        works = {"ship": [self.ship, self.copy], "push": [self.push, self.copy], "daemon": [], "chain": []}
        if self.docker:
            works["daemon"] = [self.ship_daemon, self.push_daemon, self.copy_daemon]
        if "chain" in only and runs.has("crane"):
            works["chain"] = [self.ship, *(functools.partial(self.chain, scanner) for scanner in peers.present(self.memory))]
        return list(dict.fromkeys(work for name in only for work in works[name]))


JOURNEYS = ("ship", "push", "daemon", "chain")
COPY = "skopeo copy, empty registry"
RATIOS = [
    ("ship / skopeo copy, empty registry", "wall", "honeycrate ship, empty registry", COPY, "1.2"),
    ("ship / skopeo copy, empty registry", "cpu", "honeycrate ship, empty registry", COPY, "2.5"),
    ("ship, another last layer / skopeo copy, empty registry", "wall", "honeycrate ship, another last layer", COPY, "0.15"),
    ("ship again / skopeo copy again", "wall", "honeycrate ship, again", "skopeo copy, again", "1.0"),
    ("ship again / skopeo copy again", "cpu", "honeycrate ship, again", "skopeo copy, again", ""),
    *((f"ship / {scanner}, crane push, crane append", figure, "honeycrate ship, empty registry", f"{scanner}, crane push, crane append", "0.4")
      for scanner in peers.PEERS for figure in ("wall", "cpu")),
    ("push / skopeo copy, empty registry", "wall", "honeycrate push, empty registry", COPY, "0.7"),
    ("push / skopeo copy, empty registry", "cpu", "honeycrate push, empty registry", COPY, "0.3"),
    *((f"{verb} / skopeo copy, daemon{again}", figure, f"honeycrate {verb}, daemon{again}", f"skopeo copy, daemon{again}", aim)
      for verb in ("ship", "push") for again in ("", " again") for figure, aim in (("wall", ""), ("cpu", "" if again else "0.4"))),
]


def main():
    parser = runs.arguments(__doc__)
    parser.add_argument("--docker", type=pathlib.Path, help="folder of a Docker daemon's images")
    parser.add_argument("--only", action="append", choices=JOURNEYS)
    options = parser.parse_args()
    runs.alone()
    SKOPEO.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "bench", SKOPEO], check=True)
    options.program, only = runs.built("honeycrate", options.program), options.only or JOURNEYS
    with runs.scratch(options.scratch) as (folder, memory), contextlib.ExitStack() as stack:
        bench = Bench(options, folder, memory)
        stack.callback(bench.registry.end)
        if options.docker and "daemon" in only:
            bench.docker = stack.enter_context(daemon(options.docker.resolve(), options.layout))
        size = runs.blobs(options.layout)
        runs.turns(options, bench.runs, bench.journeys(only))
        runs.tell(options, bench.runs, RATIOS, size)


if __name__ == "__main__":
    main()
