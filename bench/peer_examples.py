#!/usr/bin/env python3
"""Makes a labelled folder of the examples that other scanners' rule files hold, one file each, for bench/accuracy.py.

The rule files are theirs and are not kept here: give checkouts of the projects. Rules in YAML (Nosey Parker, Titus, Kingfisher 1.x) list
`examples` and `negative_examples`; gitleaks and Betterleaks hand theirs to a function `Validate` in Go, which a copy of the checkout is
made to write down (this needs go and its module proxy).
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

# What `Validate` is replaced by: it writes its samples down instead of trying them.
NOTE = '''
func note(rule string, samples []string, secret bool) {
	file, err := os.OpenFile(os.Getenv("SAMPLES"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	for _, sample := range samples {
		if err := json.NewEncoder(file).Encode(map[string]any{"rule": rule, "text": sample, "secret": secret}); err != nil {
			panic(err)
		}
	}
}

func texts(samples map[string]string) []string {
	list := []string{}
	for _, sample := range samples {
		list = append(list, sample)
	}
	return list
}
'''


def of_yaml(checkout):
    """Yields rule, text and label of every example in a project's YAML rules."""
    for file in sorted(checkout.rglob("*.yml")):
        if "rules" not in file.parts:
            continue
        try:
            rules = (yaml.safe_load(file.read_text()) or {}).get("rules") or []
        except (yaml.YAMLError, AttributeError):
            continue
        for rule in rules:
            if not isinstance(rule, dict) or "pattern" not in rule or rule.get("visible") is False:
                continue
            for member, secret in (("examples", True), ("negative_examples", False)):
                for text in rule.get(member) or []:
                    yield rule["id"], str(text), secret


def of_go(checkout):
    """The same of a project whose rules are Go functions."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "copy")
        shutil.copytree(checkout, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        validate = copy / "cmd/generate/config/utils/validate.go"
        kinds = {"Validate": ("[]string", "{}"), "ValidateWithPaths": ("map[string]string", "texts({})")}
        functions = []
        for name, (kind, form) in kinds.items():
            found = re.search(rf"func {name}\((\w+) (\*?)config\.Rule, (\w+) {re.escape(kind)}, (\w+) {re.escape(kind)}\) \*config\.Rule", validate.read_text())
            if found:
                rule, pointer, good, bad = found.groups()
                notes = "".join(f"\tnote({rule}.RuleID, {form.format(list_)}, {label})\n" for list_, label in ((good, "true"), (bad, "false")))
                functions.append(f"{found.group(0)} {{\n{notes}\treturn {'' if pointer else '&'}{rule}\n}}\n")
        module = re.search(r"^module (\S+)", (copy / "go.mod").read_text(), re.MULTILINE).group(1)
        imports = f'import (\n\t"encoding/json"\n\t"os"\n\n\t"{module}/config"\n)\n'
        validate.write_text("package utils\n\n" + imports + NOTE + "".join(functions))
        samples = pathlib.Path(folder, "samples")
        command = ["go", "run", "./cmd/generate/config", str(pathlib.Path(folder, "out.toml"))]
        run = subprocess.run(command, cwd=copy, env={**os.environ, "SAMPLES": str(samples)}, capture_output=True, text=True)
        if not samples.exists():
            sys.exit(f"peer_examples.py: {checkout}: {' '.join(command)} wrote no samples: {run.stderr[-800:]}")
        for line in samples.read_text().splitlines():
            sample = json.loads(line)
            yield sample["rule"], sample["text"], sample["secret"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path, help="folder to make; truth.jsonl lies beside its files")
    parser.add_argument("checkouts", nargs="+", metavar="NAME=FOLDER", help="a project's checkout, under the name that its files get")
    options = parser.parse_args()
    files = options.out / "files"
    files.mkdir(parents=True)
    samples = {}
    for checkout in options.checkouts:
        name, _, folder = checkout.partition("=")
        folder = pathlib.Path(folder)
        for rule, text, secret in of_go(folder) if (folder / "cmd/generate/config").is_dir() else of_yaml(folder):
            # The same text from two projects counts once; what one calls clean and another a secret is a secret of another type.
            if text not in samples or secret and not samples[text][2]:
                samples[text] = (name, rule, secret)
    counts = {}
    with (options.out / "truth.jsonl").open("w") as truth:
        for text, (name, rule, secret) in samples.items():
            digest = hashlib.sha256(text.encode()).hexdigest()[:12]
            path = f"{name}/{'secret' if secret else 'clean'}/{re.sub(r'[^a-z0-9.-]+', '-', rule.lower())}-{digest}.txt"
            target = files / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            truth.write(json.dumps({"path": path, "secret": secret, "type": rule, "group": name}) + "\n")
            counts[name, secret] = counts.get((name, secret), 0) + 1
    for (name, secret), count in sorted(counts.items()):
        print(f"{name:14} {'secrets' if secret else 'clean':8} {count:6}")


main()
