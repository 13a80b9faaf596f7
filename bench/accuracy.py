#!/usr/bin/env python3
"""Compares what scanners find in a labelled folder with what is there: recall, false alarms, precision and misses.

The truth is a file of JSON lines, each with `path` (below the folder) and `secret` (true or false), and as it is known `line`, `type`
and `group`. Recall by type counts every type alike, however many samples it has. Without a line, a file as a whole is right or wrong: it counts as found when a scanner tells anything of it. With lines, a
finding counts where it is at most two lines off.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
NEAR = 2
GRADES = ("low", "medium", "high", "critical")
TRUST = ("low", "medium", "high")


def ours(folder, least):
    """Path and line of every place that our own report tells."""
    with tempfile.TemporaryDirectory() as work:
        report = pathlib.Path(work, "report.json")
        command = [str(options.program), "scan", str(folder), "--fail-on", "none", "--cache", "off", "--report", str(report), "--quiet"]
        command += [argument for rules in options.rules for argument in ("--rules", str(rules))]
        run(command, report)
        return of_report(json.loads(report.read_text()), least)


def of_report(document, least):
    for finding in document["findings"]:
        if GRADES.index(finding["severity"]) >= least and TRUST.index(finding["confidence"]) >= TRUST.index(options.confidence):
            for place in [finding, *finding.get("places", [])]:
                yield place.get("path"), place.get("line")


def gitleaks(folder, _least):
    with tempfile.TemporaryDirectory() as work:
        report = pathlib.Path(work, "report.json")
        command = ["gitleaks", "dir", "--no-banner", "--exit-code", "0", "--report-format", "json", "--report-path", str(report), str(folder)]
        run(command, report)
        return of_gitleaks(json.loads(report.read_text()), folder)


def of_gitleaks(document, folder):
    for finding in document:
        yield below(finding["File"], folder), finding.get("StartLine")


def kingfisher(folder, _least):
    with tempfile.TemporaryDirectory() as work:
        report = pathlib.Path(work, "report.json")
        flags = ["--no-validate", "--no-update-check", "--confidence", "medium", "--no-dedup", "--format", "json", "--output", str(report)]
        run(["kingfisher", "scan", "--quiet", *flags, str(folder)], report)
        return of_kingfisher(json.loads(report.read_text()), folder)


def of_kingfisher(document, folder):
    for item in document.get("findings", document) if isinstance(document, dict) else document:
        finding = item.get("finding", item)
        yield below(finding.get("path", ""), folder), finding.get("line")


def below(path, folder):
    path = pathlib.Path(path)
    return str(path.relative_to(folder)) if path.is_absolute() and path.is_relative_to(folder) else str(path)


def run(command, report):
    search = f"{ROOT / '.cache/venv/bin'}:{os.environ['PATH']}"
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": search})
    if not report.exists():
        sys.exit(f"accuracy.py: {' '.join(command)} ended with {result.returncode} and wrote no report: {result.stderr[-800:]}")


SCANNERS = {"honeycrate": ours, "gitleaks": gitleaks, "kingfisher": kingfisher}
FORMS = {"honeycrate": lambda document, folder, least: of_report(document, least),
         "gitleaks": lambda document, folder, least: of_gitleaks(document, folder),
         "kingfisher": lambda document, folder, least: of_kingfisher(document, folder)}


def judge(truth, found):
    """Splits the truth into found and missed secrets, quiet and alarmed clean places, as lists of labels."""
    lines = collections.defaultdict(list)
    for path, line in found:
        lines[path].append(line)
    told = {True: ([], []), False: ([], [])}
    for label in truth:
        line = label.get("line")
        here = lines.get(label["path"], [])
        is_told = bool(here) if line is None else any(other is not None and abs(other - line) <= NEAR for other in here)
        told[label["secret"]][0 if is_told else 1].append(label)
    return told


def row(name, group, told):
    hit, missed, alarmed, quiet = *map(len, told[True]), *map(len, told[False])
    share = lambda part, whole: f"{100 * part / whole:6.1f} %" if whole else "     –  "
    types = collections.defaultdict(list)
    for is_hit, labels in zip((1, 0), told[True]):
        for label in labels:
            types[label.get("type")].append(is_hit)
    by_type = sum(sum(hits) / len(hits) for hits in types.values())
    cells = [f"{hit + missed:8}", share(hit, hit + missed), share(by_type, len(types)), f"{alarmed + quiet:8}", share(alarmed, alarmed + quiet), share(hit, hit + alarmed)]
    print(f"{name:12} {group:14}", *cells)


def main():
    truth = [json.loads(line) for line in options.truth.read_text().splitlines() if line.strip()]
    folder = options.folder.resolve()
    missing = [label["path"] for label in truth if not (folder / label["path"]).is_file()]
    if missing:
        sys.exit(f"accuracy.py: {options.truth}: {len(missing)} files are not in {folder}, such as {missing[0]}")
    groups = sorted({label.get("group") for label in truth if label.get("group")})
    least = GRADES.index(options.least)
    sources = [(name, SCANNERS[name](folder, least)) for name in options.scanner]
    for given in options.read:
        form, _, file = given.partition("=")
        sources.append((f"{form} (read)", FORMS[form](json.loads(pathlib.Path(file).read_text()), folder, least)))
    print(f"{'scanner':12} {'group':14} {'secrets':>8} {'recall':>8} {'by type':>8} {'clean':>8} {'alarms':>8} {'precision':>8}")
    for name, found in sources:
        told = judge(truth, found)
        for group in groups:
            of_group = lambda labels: [label for label in labels if label.get("group") == group]
            row(name, group, {kind: tuple(map(of_group, parts)) for kind, parts in told.items()})
        row(name, "all", told)
        if options.misses:
            for word, labels in (("missed", told[True][1]), ("false alarm", told[False][0])):
                for label in labels:
                    print(f"  {word}: {label['path']}{':' + str(label['line']) if label.get('line') else ''} {label.get('type', '')}")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=pathlib.Path, help="what is scanned")
parser.add_argument("--truth", type=pathlib.Path, required=True, help="JSON lines that say where secrets are, and where none are")
parser.add_argument("--scanner", action="append", choices=SCANNERS, help="a scanner to run; default: honeycrate")
parser.add_argument("--read", action="append", default=[], metavar="FORM=FILE", help=f"a report of a scanner that ran elsewhere: {', '.join(FORMS)}")
parser.add_argument("--least", choices=GRADES, default="low", help="our findings below this severity do not count")
parser.add_argument("--confidence", choices=TRUST, default="low", help="our findings that we are less sure of do not count; the peers' are asked for medium")
parser.add_argument("--misses", action="store_true", help="list every miss and false alarm")
parser.add_argument("--rules", action="append", default=[], type=pathlib.Path, help="rules for honeycrate besides its own: a file or a folder")
parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/x86_64-unknown-linux-gnu/release/honeycrate")
options = parser.parse_args()
options.scanner = options.scanner or ([] if options.read else ["honeycrate"])
main()
