"""Runs commands one after another under the limits of a small machine, and says how each ended.

usage: jail.py MEMORY_MIB SECONDS WORKERS     of processor time, and sixty times as long in all; jobs on stdin, endings on stdout, one JSON object a line

A job is {"id": number, "argv": [text], "report": path}. An ending is {"id", "code", "signal", "late", "rss_kib", "out", "err", "report"}:
output as text of one character a byte, the report file's text or null. The environment is empty but for HOME, PATH and the ledger's place.
"""

import json
import os
import resource
import select
import signal
import sys
import tempfile
import threading

memory, seconds, workers = int(sys.argv[1]) << 20, int(sys.argv[2]), int(sys.argv[3])
jobs, endings, asking, telling = sys.stdin.buffer, sys.stdout, threading.Lock(), threading.Lock()
# Every byte that a program could write to: heap, stacks, private mappings.
resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
# A busy machine stretches the clock and not this.
limited = ["/usr/bin/prlimit", f"--cpu={seconds}"]


def text(file):
    file.seek(0)
    return file.read(1 << 20).decode("latin-1")


def run(job, home):
    report = os.path.join(home, "report.json")
    if os.path.exists(report):
        os.unlink(report)
    environment = {"HOME": home, "PATH": "/usr/bin:/bin", "HONEYCRATE_LEDGER": home + "/ledger", "TMPDIR": home}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, open(os.devnull) as nothing:
        streams = [(os.POSIX_SPAWN_DUP2, file.fileno(), number) for number, file in enumerate((nothing, out, err))]
        # Linux counts the peak of whoever starts a process as the process's own: ours is brought down to what we hold now, and that is little,
        # as nobody reads a report meanwhile.
        with telling:
            with open("/proc/self/clear_refs", "w") as peak:
                peak.write("5")
            child = os.posix_spawn(limited[0], limited + job["argv"] + ["--report", report], environment, file_actions=streams)
        watch = os.pidfd_open(child)
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        late = not poll.poll(seconds * 60_000)
        if late:
            os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
        os.close(watch)
        with telling:
            written = None
            if os.path.exists(report):
                with open(report, encoding="utf-8", errors="surrogateescape") as file:
                    written = file.read().encode("utf-8", "surrogateescape").decode("latin-1")
            ending = {
                "id": job["id"],
                "code": os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else None,
                "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
                "late": late,
                "rss_kib": usage.ru_maxrss,
                "out": text(out),
                "err": text(err),
                "report": written,
            }
            print(json.dumps(ending), file=endings, flush=True)
            del ending, written


def work():
    with tempfile.TemporaryDirectory() as home:
        while True:
            with asking:
                line = jobs.readline()
            if not line:
                return
            run(json.loads(line), home)


threads = [threading.Thread(target=work) for _ in range(workers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
