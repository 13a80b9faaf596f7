#!/usr/bin/env python3
"""A token server for the tests: answers Bearer challenges as the Docker registry's token specification says.

    token_server.py --port 5001 --key key.pem --certificate certificate.pem --user name:password \\
        [--life 300] [--log requests.jsonl] [--no-oauth2]

The registry trusts it with `auth.token`: `realm: http://localhost:5001/token`, `service: honeycrate-test`,
`issuer: honeycrate-test`, `rootcertbundle: certificate.pem`. Without a user only `pull` is granted. The user's
identity token (for POST, grant_type=refresh_token) is the word `refresh-` followed by the user's name.
Every request is one line of JSON in the log; passwords and tokens are left out. Needs PyJWT and cryptography.
"""

import argparse
import base64
import json
import sys
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

NAME = "honeycrate-test"


def access(scopes, user):
    """The rights that a user gets out of the scopes that were asked for."""
    granted = []
    for scope in (word for text in scopes for word in text.split()):
        kind, name, actions = scope.rsplit(":", 1)[0].split(":", 1) + [scope.rsplit(":", 1)[1].split(",")]
        allowed = [action for action in actions if user or action == "pull"]
        granted.append({"type": kind, "name": name, "actions": allowed})
    return granted


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        user, password = self.basic()
        refused = user is not None and self.server.users.get(user) != password
        query = parse_qs(urlsplit(self.path).query)
        self.reply(query.get("scope", []), None if refused else user, refused)

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers.get("content-length", 0))).decode())
        if not self.server.oauth2:
            return self.send(404, {"message": "no OAuth 2 here"})
        user = form.get("refresh_token", [""])[0].removeprefix("refresh-")
        refused = form.get("grant_type") != ["refresh_token"] or user not in self.server.users
        self.reply(form.get("scope", []), user, refused)

    def basic(self):
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None, None
        user, _, password = base64.b64decode(encoded).decode().partition(":")
        return user, password

    def reply(self, scopes, user, refused):
        self.note(scopes, user, refused)
        if refused:
            return self.send(401, {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect user or password"}]})
        now = int(time.time())
        claims = {
            "iss": NAME, "aud": NAME, "sub": user or "", "jti": uuid.uuid4().hex,
            "iat": now, "nbf": now - 10, "exp": now + self.server.life, "access": access(scopes, user),
        }
        token = jwt.encode(claims, self.server.key, algorithm="RS256", headers={"x5c": [self.server.certificate]})
        self.send(200, {"token": token, "expires_in": self.server.life})

    def send(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def note(self, scopes, user, refused):
        entry = {"method": self.command, "scopes": scopes, "user": user, "refused": refused}
        print(json.dumps(entry), file=self.server.log, flush=True)

    def log_message(self, *_):
        """The log is written by `note`."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD")
    parser.add_argument("--life", type=int, default=300, help="seconds that a token lasts")
    parser.add_argument("--log")
    parser.add_argument("--no-oauth2", dest="oauth2", action="store_false")
    options = parser.parse_args()

    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    with open(options.key, encoding="ascii") as file:
        server.key = file.read()
    with open(options.certificate, "rb") as file:
        certificate = x509.load_pem_x509_certificate(file.read())
    server.certificate = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
    server.users = dict(user.split(":", 1) for user in options.user)
    server.life, server.oauth2 = options.life, options.oauth2
    server.log = open(options.log, "a", encoding="utf-8") if options.log else sys.stderr
    server.serve_forever()


if __name__ == "__main__":
    main()
