"""Lists archives as Python's tarfile and GNU tar read them: one JSON object a line for each archive that is named on a line of stdin.

usage: tar_list.py python|gnu
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile

KINDS = {
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "special",
    tarfile.BLKTYPE: "special",
    tarfile.FIFOTYPE: "special",
}
LARGEST = 16 << 20


def text(name):
    return base64.b64encode(os.fsencode(name)).decode()


def fingerprint(data):
    """Zeros do not count: a hole and the zeros that it reads as are one."""
    return hashlib.sha256(data.replace(b"\0", b"")).hexdigest()


def member(name, kind, data, link):
    return {"name": text(name), "kind": kind, "size": len(data), "hash": fingerprint(data), "link": text(link)}


def python(path):
    members = []
    try:
        with tarfile.open(path, "r:", errors="surrogateescape") as archive:
            for entry in archive:
                kind = KINDS.get(entry.type, "file")
                data = b""
                if kind == "file":
                    if entry.size > LARGEST:
                        return {"members": members, "error": "too large to be compared"}
                    data = archive.extractfile(entry).read()
                    if len(data) != entry.size:
                        return {"members": members, "error": "cut short"}
                members.append(member(entry.name, kind, data, entry.linkname))
            # tarfile stops at what it cannot read as if it were the end.
            archive.fileobj.seek(archive.offset)
            rest = archive.fileobj.read(512)
            if rest.strip(b"\0") or (rest and len(rest) < 512):
                return {"members": members, "error": "stopped before the end"}
    except Exception as error:
        return {"members": members, "error": str(error) or type(error).__name__}
    return {"members": members, "error": ""}


# tar -tv with names in double quotes, as C writes them: `-rw-r--r-- 0/0  3 2025-10-09 08:53:20 "name" link to "target"`.
ROW = re.compile(rb'(.)\S+ +\S+ +(\d+(?:,\d+)?) \S+ \S+ "((?:[^"\\]|\\.)*)"(?: (?:->|link to) "((?:[^"\\]|\\.)*)")?(.*)')
ROWS = {b"d": "directory", b"l": "symlink", b"h": "hardlink", b"c": "special", b"b": "special", b"p": "special", b"-": "file", b"C": "file"}


def unquoted(name):
    letters = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
    octal = lambda escape: bytes([int(escape[1], 8)]) if escape[1].isdigit() else letters.get(escape[1], escape[1])
    return os.fsdecode(re.sub(rb"\\([0-7]{3}|.)", octal, name or b""))


def gnu(path):
    """The hash of each file is that of all files together, as GNU tar writes them to stdout, and empty where it does not."""
    tar = ["tar", "--absolute-names", "--file", path]
    settings = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}
    listed = subprocess.run(tar + ["--list", "--verbose", "--numeric-owner", "--quoting-style=c", "--full-time"], capture_output=True, env=settings)
    told = listed.stderr.decode("latin-1").strip().splitlines()
    if listed.returncode or told:
        return {"members": [], "error": told[0] if told else "it failed"}
    extracted = subprocess.run(tar + ["--extract", "--to-stdout"], capture_output=True, env=settings)
    # It seeks over holes, which a pipe does not let it.
    hashed = "" if extracted.stderr else fingerprint(extracted.stdout)
    members = []
    for line in listed.stdout.splitlines():
        row = ROW.fullmatch(line)
        if not row or row[5].strip():
            return {"members": [], "error": "a row that says more: " + line.decode("latin-1")}
        kind = ROWS.get(row[1], "file")
        size = int(row[2]) if kind == "file" else 0
        members.append({"name": text(unquoted(row[3])), "kind": kind, "size": size, "hash": hashed, "link": text(unquoted(row[4]))})
    return {"members": members, "error": ""}


def main():
    tool = {"python": python, "gnu": gnu}[sys.argv[1]]
    for line in sys.stdin:
        print(json.dumps(tool(line.rstrip("\n"))), flush=True)


main()
