#!/usr/bin/env python3
"""Measures how `honeycrate scan` grows with layers, files and size, prints a table and draws a plot.

usage: growth.py [--program FILE] [--scratch DIR] [--rounds N] [--largest BYTES] [--plot FILE.svg]

Each point is an OCI layout that is made for it and removed afterwards. A figure is the median of N runs of the whole process:
user and system seconds, wall seconds, peak resident memory of the largest process. Needs Python 3 and a release build.
"""

import argparse
import hashlib
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib

WORDS = "the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you".split()


def text(seed, size):
    """Text that packs about as well as source code does."""
    source = random.Random(seed)
    out = io.StringIO()
    while out.tell() < size:
        out.write(" " * source.randrange(0, 9) + source.choice(WORDS) + "_" + format(source.getrandbits(24), "x"))
        out.write(" = " + " ".join(source.choices(WORDS, k=6)) + "\n")
    return out.getvalue()[:size].encode()


def header(path, size):
    """One ustar header of a regular file."""
    block = bytearray(512)
    name = path.encode()
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[108:124] = b"0000000\0" * 2
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"14000000000\0"
    block[156:157] = b"0"
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


class Layer:
    """A gzip layer on its way into a layout."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "layer.part")
        self.file = open(self.path, "wb")
        self.packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        self.digest, self.diff_id, self.crc, self.size, self.plain = hashlib.sha256(), hashlib.sha256(), 0, 0, 0
        self.known = (None, b"")
        self.out(b"\x1f\x8b\x08" + bytes(6) + b"\x03")

    def put(self, data):
        self.note(data)
        self.out(self.packer.compress(data))

    def put_large(self, data):
        """Packs what comes several times in a row once: a full flush makes the packed bytes independent of what was before them."""
        self.note(data)
        self.out(self.packer.flush(zlib.Z_FULL_FLUSH))
        if self.known[0] is not data:
            self.known = (data, self.packer.compress(data) + self.packer.flush(zlib.Z_FULL_FLUSH))
        self.out(self.known[1])

    def note(self, data):
        self.diff_id.update(data)
        self.crc = zlib.crc32(data, self.crc)
        self.plain += len(data)

    def out(self, packed):
        self.digest.update(packed)
        self.size += len(packed)
        self.file.write(packed)

    def add(self, path, size, block):
        self.put(header(path, size))
        for _ in range(size // len(block)):
            self.put_large(block)
        self.put(block[: size % len(block)])
        self.put(bytes(-size % 512))

    def close(self):
        self.put(bytes(1024))
        self.out(self.packer.flush() + self.crc.to_bytes(4, "little") + (self.plain % 2**32).to_bytes(4, "little"))
        self.file.close()
        return self.digest.hexdigest()


def layout(folder, layers, files, size):
    """An image of so many layers, files and bytes; returns the uncompressed bytes."""
    blobs = os.path.join(folder, "blobs", "sha256")
    os.makedirs(blobs)
    block = text(layers * 31 + files, 4 << 20)
    descriptors, diff_ids, plain = [], [], 0
    for number in range(layers):
        layer = Layer(folder)
        count = max(1, files // layers)
        for index in range(count):
            each = max(1, size // (layers * count))
            start = (index * 4099) % (len(block) // 2)
            layer.add(f"srv/{number:03}/{index // 1000:04}/{index:07}.txt", each, block[start:])
        digest = layer.close()
        os.rename(layer.path, os.path.join(blobs, digest))
        descriptors.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{digest}", "size": layer.size})
        diff_ids.append(f"sha256:{layer.diff_id.hexdigest()}")
        plain += layer.plain

    def blob(kind, document):
        data = json.dumps(document).encode()
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(blobs, digest), "wb") as file:
            file.write(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("application/vnd.oci.image.config.v1+json", config),
        "layers": descriptors,
    }
    top = blob(manifest["mediaType"], manifest)
    with open(os.path.join(folder, "index.json"), "w", encoding="utf-8") as file:
        json.dump({"schemaVersion": 2, "manifests": [top]}, file)
    with open(os.path.join(folder, "oci-layout"), "w", encoding="utf-8") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')
    return plain


def measure(command):
    """Wall seconds, CPU seconds, and the peak MiB of the largest process among it and what it started."""
    began = time.monotonic()
    # A process of its own, so that the peak of one run is not that of all before it.
    code = (
        "import json, resource, subprocess, sys\n"
        "status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps([status, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))\n"
    )
    said = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True).stdout
    status, cpu, peak = json.loads(said)
    if status != 0:
        sys.exit(f"growth.py: {' '.join(command)} ended with {status}")
    return time.monotonic() - began, cpu, peak


def program_path():
    host = next(line[6:] for line in subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout.splitlines()
                if line.startswith("host: "))
    return os.path.join(os.path.dirname(__file__), "..", "target", host, "release", "honeycrate")


def plot(series, path):
    """Panels side by side, both axes logarithmic; a dotted line shows what linear growth would be."""
    import math
    width, height, margin = 320, 260, 48
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width * len(series)} {height + 30}" font-family="sans-serif" font-size="11">',
             '<rect width="100%" height="100%" fill="white"/>']
    for number, (name, unit, points) in enumerate(series):
        xs, ys = [point[0] for point in points], [point[2] for point in points]
        low_x, high_x = math.log10(min(xs)), math.log10(max(xs))
        low_y, high_y = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)) + 0.01)

        def at(x, y, number=number, low_x=low_x, high_x=high_x, low_y=low_y, high_y=high_y):
            across = (math.log10(x) - low_x) / max(high_x - low_x, 1e-9)
            up = (math.log10(y) - low_y) / max(high_y - low_y, 1e-9)
            return number * width + margin + across * (width - 1.4 * margin), height - margin + 12 - up * (height - 1.6 * margin)

        parts.append(f'<text x="{number * width + width / 2}" y="18" text-anchor="middle" font-weight="bold">CPU seconds by {name}</text>')
        for power in range(low_y, high_y + 1):
            x, y = at(min(xs), 10.0**power)
            right = at(max(xs), 10.0**power)[0]
            parts.append(f'<line x1="{x}" x2="{right}" y1="{y}" y2="{y}" stroke="#ddd"/>')
            parts.append(f'<text x="{x - 6}" y="{y + 4}" text-anchor="end">{10.0**power:g}</text>')
        for x_value, label, _, _, _ in points:
            x, _ = at(x_value, 10.0**low_y)
            parts.append(f'<text x="{x}" y="{height - margin + 28}" text-anchor="middle">{label}</text>')
        parts.append(f'<text x="{number * width + width / 2}" y="{height + 8}" text-anchor="middle" fill="#666">{unit}</text>')
        last = points[-1]
        guide = [(x, max(10.0**low_y, last[2] * x / last[0])) for x in xs]
        line = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in guide)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#999" stroke-dasharray="3 4"/>')
        line = " ".join("{:.1f},{:.1f}".format(*at(point[0], point[2])) for point in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#c77700" stroke-width="2"/>')
        for point in points:
            x, y = at(point[0], point[2])
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#c77700"/>')
            anchor = "start" if point is points[0] else "middle"
            parts.append(f'<text x="{x:.1f}" y="{y - 7:.1f}" text-anchor="{anchor}" fill="#666">{point[4]:.0f} MiB</text>')
    parts.append(f'<text x="{width * len(series) / 2}" y="{height + 24}" text-anchor="middle" fill="#666">'
                 "dotted: linear growth through the last point; figures at the points: peak memory</text></svg>")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(parts) + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--program", default=None)
    arguments.add_argument("--scratch", default=None)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--largest", type=int, default=10_000_000_000)
    arguments.add_argument("--plot", default="growth.svg")
    chosen = arguments.parse_args()
    program = os.path.realpath(chosen.program or program_path())
    if not os.path.exists(program):
        sys.exit(f"growth.py: {program} is not there; run cargo build --release")

    mega = 1_000_000
    plans = [
        ("layers", "layers of 1 MB in 10 files", [(count, str(count), count, 10 * count, count * mega) for count in (1, 8, 32, 127)]),
        ("files", "files of 400 bytes in 4 layers", [(count, f"10^{len(str(count)) - 1}", 4, count, 400 * count) for count in (10**3, 10**4, 10**5, 10**6)]),
        ("size", "bytes in 100 files and 4 layers", [(size, name, 4, 100, size) for size, name in
                                                   ((10 * mega, "10 MB"), (100 * mega, "100 MB"), (1000 * mega, "1 GB"), (10_000 * mega, "10 GB"))
                                                   if size <= chosen.largest]),
    ]
    series = []
    print(f"| {'image':34} | {'wall s':>7} | {'CPU s':>7} | {'peak MiB':>8} | {'MB/CPU s':>8} |")
    print(f"|{'-' * 36}|{'-' * 9}|{'-' * 9}|{'-' * 10}|{'-' * 10}|")
    for name, unit, cases in plans:
        points = []
        for value, label, layers, files, size in cases:
            folder = tempfile.mkdtemp(dir=chosen.scratch)
            try:
                plain = layout(os.path.join(folder, "oci"), layers, files, size)
                command = ["env", "-i", f"PATH={os.environ['PATH']}", f"HOME={folder}", program, "scan", f"oci:{folder}/oci", "--cache", "off"]
                runs = [measure(command) for _ in range(chosen.rounds)]
            finally:
                shutil.rmtree(folder)
            wall, cpu, peak = (statistics.median(run[at] for run in runs) for at in range(3))
            points.append((value, label, cpu, wall, peak))
            print(f"| {name + ' ' + label:34} | {wall:7.2f} | {cpu:7.2f} | {peak:8.0f} | {plain / 1e6 / cpu:8.0f} |", flush=True)
        series.append((name, unit, points))
    plot(series, chosen.plot)
    print(f"\n{chosen.rounds} rounds, {os.cpu_count()} cores; the plot is in {chosen.plot}")


if __name__ == "__main__":
    main()
