#!/usr/bin/env python3
"""How fast a ledger tells where a token lies, and how fast mintings become durable.

usage: ledger.py FOLDER [--program FILE] [--records N] [--rounds N] [--postgres URL] [--mints]

Makes an export of N records in FOLDER (default 5,000,000: for each token the intent, the minting, two placements and a push), imports its
first five and the whole of it into SQLite, and into a PostgreSQL database where one is named, and runs `honeycrate token show` on the same
token in both, in turns. A figure is of the whole process. What is there is used again. With --mints it also runs the suite's own measurement:
500 mintings by one writer, one durable write each, in every store (a debug build; the disk's fsync is what counts).

Needs a release build and, for N = 5,000,000, 12 GB in FOLDER and half an hour for each store.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import sys

import runs

SMALL, EACH = 5, 5
TIME = "2026-11-22T04:00:00Z"


def name(kind, number):
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()


def life(number):
    """The records of one token, without what the chain adds."""
    claims = {"environment": "production", "epoch": 1, "kind": "registry-login", "service": f"ghcr.io/acme/service-{number}", "surface": "file"}
    fingerprint = name("token", number)[:16]
    manifests = {platform: "sha256:" + name(platform, number) for platform in ("linux/amd64", "linux/arm64")}
    yield dict(event="intended", claims=[claims], source=f"oci:service-{number}", source_digest="sha256:" + name("source", number))
    yield dict(event="minted", claims=claims, fingerprint=fingerprint, host="registry.example.net", provider="embedded", sealed=name("value", number))
    for platform, manifest in manifests.items():
        placement = dict(claims, fingerprint=fingerprint, id=name(platform, number)[:16], location="/srv/app/.registry-auth.json", platform=platform)
        yield dict(event="planted", manifest=manifest, placement=placement)
    context = dict(commit=name("commit", number)[:40], repository="acme/service", job=f"https://ci.example.net/jobs/{number}")
    reference = f"ghcr.io/acme/service-{number}:production"
    yield dict(event="pushed", context=context, digest="sha256:" + name("index", number), platforms=manifests, reference=reference)


def text(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def export(path, records):
    """Writes the chain, as `honeycrate ledger export` does."""
    previous = "0" * 64
    with path.with_suffix(".part").open("w") as out:
        sequence = 0
        for number in range(records // EACH):
            for record in life(number):
                sequence += 1
                record = dict(record, previous=previous, run=name("run", number)[:16], sequence=sequence, time=TIME, version=1)
                previous = hashlib.sha256(text(record).encode()).hexdigest()
                out.write(text(dict(record, hash=previous)) + "\n")
    path.with_suffix(".part").rename(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--program")
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--postgres", help="the URL of an empty database's server role, without the database's name: postgres://ME@HOST")
    parser.add_argument("--mints", action="store_true")
    options = parser.parse_args()
    program = runs.built("honeycrate", options.program)
    options.folder.mkdir(parents=True, exist_ok=True)
    measured = runs.Runs(options.folder)
    environment = {"HOME": str(options.folder)}
    sizes = {"few": SMALL, "all": options.records}
    ledgers = {}
    for size, records in sizes.items():
        lines = options.folder / f"{records}.jsonl"
        if not lines.exists():
            export(lines, records)
        places = {"SQLite": str(options.folder / f"{records}.sqlite")}
        if options.postgres:
            places["PostgreSQL"] = f"{options.postgres.rstrip('/')}/ledger_{records}"
        for store, place in places.items():
            ledgers[store, size] = place
            made = options.folder / f"{store}-{records}.done"
            if not made.exists():
                print(f"importing {records} records into {place}", file=sys.stderr)
                if store == "PostgreSQL":
                    # Who may connect to `postgres` may make databases.
                    subprocess.run(["psql", "-qd", f"{options.postgres.rstrip('/')}/postgres", "-c", f"create database ledger_{records}"], check=True)
                subprocess.run([program, "--ledger", place, "ledger", "import", lines], check=True, env=environment)
                made.touch()
    for _ in range(options.rounds):
        for (store, size), place in ledgers.items():
            measured.run(f"{store}, {sizes[size]} records", [program, "--ledger", place, "token", "show", name("token", 0)[:16]], environment=environment)
    print(measured.table())
    print(measured.ratios([
        (f"token show, {store}: {options.records} records / {SMALL}", "wall", f"{store}, {options.records} records", f"{store}, {SMALL} records", "1.0")
        for store in dict.fromkeys(store for store, _ in ledgers)
    ]))
    if options.mints:
        said = subprocess.run(
            ["cargo", "test", "--lib", "how_many_mintings_become_durable", "--", "--ignored", "--nocapture", "--test-threads", "1"],
            cwd=runs.ROOT, check=True, capture_output=True, text=True,
        )
        print("\n".join(line for line in said.stdout.splitlines() if "mintings a second" in line))


if __name__ == "__main__":
    main()
