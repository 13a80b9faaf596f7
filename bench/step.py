#!/usr/bin/env python3
"""Measures what the step of a workflow adds to the program that it runs: the launcher, and the runner around it.

usage: step.py LAYOUT [--rounds N] [--act FILE]

LAYOUT is an image as bench/image.sh makes it. Each round runs, in turns, with empty caches and as the job of a push:

  program     dist/honeycrate-x86_64-linux ci      what is left when there is no step
  launcher    dist/honeycrate ci                   finds its tools, takes the program's SHA-256, and starts it
  workflow    act, in host mode                    a workflow of that step alone, and one of `run: true` to compare (with --act)

What is printed: the median and the least of each in milliseconds, and what the launcher adds.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ACTION = "honey/honeycrate@4f2a91c04f2a91c04f2a91c04f2a91c04f2a91c0"
STEPS = {
    "workflow": f"uses: {ACTION}\n        with:\n          image: IMAGE\n          comment: never",
    "workflow of `true`": "run: 'true'",
}


def job(folder, image):
    """The variables of a step for a push to a private repository."""
    event = folder / "event.json"
    event.write_text('{"repository": {"full_name": "acme/shop", "visibility": "private", "private": true}}')
    return {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(folder), "RUNNER_OS": "Linux",
        "RUNNER_ARCH": "X64", "RUNNER_TEMP": str(folder), "GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "acme/shop", "HONEYCRATE_IMAGE": image, "HONEYCRATE_COMMENT": "never", "HONEYCRATE_CACHE": "off",
    }


def workflow(folder, name, image):
    """A repository with a workflow of one step; returns the command that runs it."""
    repository = folder / name.replace("`", "").replace(" ", "-")
    (repository / ".github/workflows").mkdir(parents=True)
    step = STEPS[name].replace("IMAGE", image)
    text = f"on: push\njobs:\n  image:\n    runs-on: ubuntu-24.04\n    steps:\n      - {step}\n"
    (repository / ".github/workflows/image.yml").write_text(text)
    git = ["git", "-C", str(repository), "-c", "user.name=ann", "-c", "user.email=ann@acme.example"]
    for words in (["init", "-q", "-b", "main"], ["remote", "add", "origin", "https://github.com/acme/shop"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(git + words, check=True)
    return repository


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("layout")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--act", type=pathlib.Path)
    options = parser.parse_args()
    image = f"oci:{pathlib.Path(options.layout).resolve()}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        variables = job(folder, image)
        runs = {
            "program": ([str(ROOT / "dist/honeycrate-x86_64-linux"), "ci"], folder, variables),
            "launcher": ([str(ROOT / "dist/honeycrate"), "ci"], folder, variables),
        }
        action = folder / "action"
        shutil.copytree(ROOT / "dist", action / "dist")
        shutil.copy(ROOT / "action.yml", action)
        for name in STEPS if options.act else ():
            command = [str(options.act.resolve()), "push", "--action-offline-mode", "-P", "ubuntu-24.04=-self-hosted", "-W", ".github/workflows/image.yml",
                       "--local-repository", f"{ACTION}={action}", "--env", "HONEYCRATE_CACHE=off", "-e", variables["GITHUB_EVENT_PATH"]]
            environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
            runs[name] = (command, workflow(folder, name, image), environment)
        took = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, (command, where, environment) in runs.items():
                began = time.perf_counter()
                ended = subprocess.run(command, cwd=where, env=environment, capture_output=True, check=False)
                took[name].append((time.perf_counter() - began) * 1000)
                # A finding ends the step with 1, and all of it was done.
                if ended.returncode not in (0, 1):
                    raise SystemExit(f"{name}: {ended.stdout.decode()}{ended.stderr.decode()}")
        for name, times in took.items():
            print(f"{name:20} median {statistics.median(times):8.0f} ms   least {min(times):8.0f} ms")
        added = statistics.median(took["launcher"]) - statistics.median(took["program"])
        print(f"the launcher adds {added:.0f} ms; dist/ holds {sum(file.stat().st_size for file in (ROOT / 'dist').iterdir()):,} bytes")


main()
