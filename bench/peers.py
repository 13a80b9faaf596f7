"""Other scanners, and how each is run over a whole image: offline, nothing left out that it has a switch for, findings no failure."""

import json
import subprocess
import typing

import runs


class Peer(typing.NamedTuple):
    """Of each: what has to be done before for it to see every layer, the scan, and the exit codes of a scan that went through."""

    prepare: typing.Callable
    scan: typing.Callable
    accept: tuple = (0,)


def unpacked(layout, folder):
    """gitleaks knows no images, but looks into the tars of layers."""
    index = json.loads((layout / "index.json").read_text())
    blob = lambda descriptor: layout / "blobs/sha256" / descriptor["digest"][7:]
    layers = json.loads(blob(index["manifests"][0]).read_text())["layers"]
    target = folder / "layers"
    return [["mkdir", "-p", target], *(["sh", "-c", 'gzip -dc "$0" >"$1"', blob(layer), target / f"{number}.tar"] for number, layer in enumerate(layers))]


PEERS = {
    "trivy": Peer(
        lambda layout, folder: [],
        lambda layout, folder: ["trivy", "image", "--quiet", "--scanners", "secret", "--image-config-scanners", "secret", "--offline-scan", "--skip-version-check",
                                "--cache-dir", folder / "trivy", "--format", "json", "--output", folder / "report", "--input", layout],
    ),
    "gitleaks": Peer(
        unpacked,
        lambda layout, folder: ["gitleaks", "dir", "--no-banner", "--exit-code", "0", "--max-archive-depth", "3", "--report-format", "json",
                                "--report-path", folder / "report", folder / "layers"],
    ),
    # Without --no-limits it cuts big layers off.
    "kingfisher": Peer(
        lambda layout, folder: [["tar", "-C", layout, "-cf", folder / "image.tar", "."]],
        lambda layout, folder: ["kingfisher", "scan", "docker", "--archive", folder / "image.tar", "--quiet", "--no-validate", "--no-update-check", "--no-limits",
                                "--format", "json", "--output", folder / "report"],
        (0, 200, 205),
    ),
}


def present(memory):
    """Names of those that are here. What one prepares once in its home (Kingfisher compiles its rules) is done before anything is measured."""
    names = [name for name in PEERS if runs.has(name)]
    if "kingfisher" in names:
        subprocess.run(["kingfisher", "scan", place(memory), "--quiet", "--no-validate", "--no-update-check"], check=True, capture_output=True,
                       env={"PATH": runs.search(), **variables("kingfisher", memory)})
    return names


def run(name, layout, memory):
    """The commands of a scan, preparation included, and with what they run: scratch files are in memory, which is quicker for them."""
    folder = place(memory)
    return [*PEERS[name].prepare(layout, folder), PEERS[name].scan(layout, folder)], {"environment": variables(name, memory), "accept": PEERS[name].accept}


def place(memory):
    folder = memory / "peer"
    runs.empty(folder)
    return folder


def variables(name, memory):
    home = memory / f"home of {name}"
    home.mkdir(exist_ok=True)
    return {"HOME": str(home), "TMPDIR": str(memory / "peer")}
