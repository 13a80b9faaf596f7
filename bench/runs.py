"""What the benchmarks share: runs of whole processes, and tables of what they took.

A figure is of the process and of all that it started and waited for: wall seconds, user and system seconds, and the peak memory of the
largest process. Memory of all of them together is watched in a run of its own, which is not timed.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
Run = collections.namedtuple("Run", "wall cpu peak")


class Runs:
    """The runs of every case by name, in the order in which the cases first ran."""

    def __init__(self, folder):
        self.folder = folder
        self.of, self.together = {}, {}
        # True while memory is watched and nothing is timed.
        self.watching = False

    def run(self, case, *commands, environment=None, accept=(0,)):
        """Runs commands one after another, as one case. They get these variables and a PATH, no others."""
        runs = [self._one(case, [str(word) for word in command], environment or {}, accept) for command in commands]
        if not self.watching:
            total = Run(sum(run.wall for run in runs), sum(run.cpu for run in runs), max(run.peak for run in runs))
            self.of.setdefault(case, []).append(total)

    def _one(self, case, command, environment, accept):
        said, peak = self.folder / "said", self.folder / "peak"
        os.sync()
        # Between it and this process stands GNU time: a new process begins with the peak of the one that started it, and that is small.
        with said.open("wb") as out:
            began = time.monotonic()
            process = subprocess.Popen(["/usr/bin/time", "-o", peak, "-f", "%M", *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       env={"PATH": search(), **environment})
            if self.watching:
                self.together[case] = max(self.together.get(case, 0), watch(process))
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            wall = time.monotonic() - began
        if process.returncode not in accept:
            sys.exit(f"{case}: {' '.join(command)} ended with {process.returncode}:\n{said.read_text(errors='replace')[-2000:]}")
        return Run(wall, used.ru_utime + used.ru_stime, int(peak.read_text().split()[-1]) / 1024)

    def table(self):
        """A row for each case: medians, and the least in brackets."""
        head = f"| {'median (least)':46} | {'wall s':>15} | {'CPU s':>15} | {'largest MiB':>11} | {'all MiB':>7} |"
        lines = [head, "|" + "|".join("-" * len(cell) for cell in head.split("|")[1:-1]) + "|"]
        for case, runs in self.of.items():
            wall, cpu = (f"{middle:.3f} ({least:.3f})" for middle, least in (figures(runs, figure) for figure in ("wall", "cpu")))
            together = f"{self.together[case]:.0f}" if case in self.together else ""
            lines.append(f"| {case:46} | {wall:>15} | {cpu:>15} | {figures(runs, 'peak')[0]:11.0f} | {together:>7} |")
        return "\n".join(lines)

    def ratios(self, rows):
        """A row for each (label, figure, case, case it is held against, aim) whose cases both ran."""
        head = f"| {'ratio':66} | {'figure':6} | {'of medians':>10} | {'of least':>8} | {'aim':>6} |"
        lines = [head, "|" + "|".join("-" * len(cell) for cell in head.split("|")[1:-1]) + "|"]
        for label, figure, case, other, aim in rows:
            if case in self.of and other in self.of:
                medians, least = (a / b for a, b in zip(figures(self.of[case], figure), figures(self.of[other], figure)))
                lines.append(f"| {label:66} | {figure:6} | {medians:10.2f} | {least:8.2f} | {aim:>6} |")
        return "\n".join(lines)


def figures(runs, figure):
    """Median and least."""
    values = [getattr(run, figure) for run in runs]
    return statistics.median(values), min(values)


def watch(process):
    """The most memory in MiB that a process and all below it had at one moment; what they share counts once."""
    most = 0
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        most = max(most, sum(memory(pid) for pid in below(process.pid)))
        time.sleep(0.005)
    return most / 1024


def below(pid):
    """The processes that a process started, and those that they did."""
    try:
        children = [child for task in os.listdir(f"/proc/{pid}/task") for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    except OSError:
        return []
    return children + [deeper for child in children for deeper in below(child)]


def memory(pid):
    """KiB."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def search():
    """Where programs are looked for: PATH, and where .ci/setup puts the scanners that it fetches."""
    return f"{os.environ['PATH']}:{ROOT / '.cache/venv/bin'}"


def has(program):
    """Whether a program is there; it is said if not."""
    found = shutil.which(program, path=search())
    if not found:
        print(f"{program} is not here: rows that need it are left out", file=sys.stderr)
    return bool(found)


def built(name, given=None):
    """A program of the release build."""
    said = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout if not given else ""
    host = next((line[6:] for line in said.splitlines() if line.startswith("host: ")), "")
    path = pathlib.Path(given or ROOT / "target" / host / "release" / name).resolve()
    if not path.exists():
        sys.exit(f"{path} is not there; run cargo build --release --all-targets, or name it")
    return path


def turns(options, kept, works):
    """Does every work once a round, in turning order, so that a busy moment is nobody's alone."""
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for work in works if number % 2 == 0 else list(reversed(works)):
            work()
    if options.memory:
        kept.watching = True
        for work in works:
            work()


def tell(options, kept, ratios, size):
    version = subprocess.run([options.program, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{size / 1e6:.0f} MB in blobs, {options.rounds} rounds, {os.cpu_count()} cores, {version}\n")
    print(kept.table(), kept.ratios(ratios), sep="\n\n")


def blobs(layout):
    """Bytes in the blobs of a layout, which are read once, so that every run reads them from memory."""
    return sum(len(path.read_bytes()) for path in (layout / "blobs/sha256").iterdir())


@contextlib.contextmanager
def scratch(folder):
    """Two folders that go away with the benchmark: one on disk, below it one in memory."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="bench-") as disk:
        memory = pathlib.Path(disk, "memory")
        memory.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "bench", memory], check=True)
        try:
            yield pathlib.Path(disk), memory
        finally:
            subprocess.run(["umount", memory], check=True)


def empty(folder):
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def alone():
    """Starts this script again where its mounts are nobody else's."""
    if os.geteuid() != 0:
        sys.exit("needs root, for mounts of its own")
    inside = "HONEYCRATE_BENCH_INSIDE"
    if inside not in os.environ:
        os.environ[inside] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])


def arguments(description):
    """Those that all benchmarks have."""
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layout", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--program", help="honeycrate; default: the release build's")
    parser.add_argument("--scratch", help="folder for scratch files on disk; default: the system's")
    parser.add_argument("--memory", action="store_true", help="watch the memory of all processes together, in one more round")
    return parser
