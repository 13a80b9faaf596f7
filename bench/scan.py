#!/usr/bin/env python3
"""Measures `honeycrate scan` of an image beside the least that a scan can do, and beside other scanners.

usage: scan.py LAYOUT [--rounds N] [--program FILE] [--floor FILE] [--scratch DIR] [--memory]

LAYOUT is an image as bench/image.sh makes it. The least is examples/floor.rs: it unpacks every layer and hashes it packed and unpacked, with
the same code, as many at once. Scanners run as bench/peers.py says; what gitleaks and Kingfisher need done before, to see all layers, is in a
row of its own. All take turns, N times. Printed are medians and the least of each, and their ratios.

Needs root (for a file system in memory), GNU time, a release build (`cargo build --release --all-targets`), and those of trivy, gitleaks and
kingfisher that are to be measured, in PATH or .cache/venv.
"""

import functools

import peers
import runs

OURS, FLOOR = "honeycrate scan", "inflate and hash"
RATIOS = [
    (f"{OURS} / {FLOOR}", "cpu", OURS, FLOOR, "1.3"),
    (f"{OURS} / {FLOOR}", "wall", OURS, FLOOR, ""),
    *((f"{OURS} / {name}", figure, OURS, name, aim) for name, aim in (("trivy", "0.5"), ("gitleaks", ""), ("kingfisher", "0.17")) for figure in ("wall", "cpu")),
]


def main():
    parser = runs.arguments(__doc__)
    parser.add_argument("--floor", help="the example of the release build, if it is elsewhere")
    options = parser.parse_args()
    runs.alone()
    options.program, floor = runs.built("honeycrate", options.program), runs.built("examples/floor", options.floor)
    with runs.scratch(options.scratch) as (folder, memory):
        kept = runs.Runs(folder)

        def ours():
            command = [options.program, "scan", f"oci:{options.layout}:latest", "--cache", "off", "--fail-on", "none"]
            kept.run(OURS, command, environment={"HOME": str(folder)})

        def peer(name):
            commands, more = peers.run(name, options.layout, memory)
            if commands[:-1]:
                kept.run(f"{name}: before", *commands[:-1], **more)
            kept.run(name, commands[-1], **more)

        size = runs.blobs(options.layout)
        works = [ours, lambda: kept.run(FLOOR, [floor, options.layout]), *(functools.partial(peer, name) for name in peers.present(memory))]
        runs.turns(options, kept, works)
        runs.tell(options, kept, RATIOS, size)


if __name__ == "__main__":
    main()
