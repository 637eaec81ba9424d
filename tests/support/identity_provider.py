"""A small OpenID Connect provider over HTTP: discovery, keys, tokens of every kind, and signing in on another device."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

AUDIENCE = "consensus"
DISCOVERY = "/.well-known/openid-configuration"


class Provider:
    """What it answers can be set by a test; `asked` counts its requests by path."""

    def __init__(self):
        self.keys = {
            "rsa-1": RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"}),
            "ec-1": ECKey.generate_key("P-256", {"kid": "ec-1", "alg": "ES256"}),
        }
        self.url = ""
        self.asked = []
        self.forms = []
        self.instead = {}
        """Path to (status, headers, bytes), in place of what it would answer."""
        self.replies = []
        """(status, JSON) of the next requests for a token."""

    def claims(self, **changes):
        """Of a token that holds for an hour; None takes a claim away."""
        now = time.time()
        usual = {"iss": self.url, "sub": "ada", "aud": AUDIENCE, "iat": now - 1, "exp": now + 3600}
        return {name: value for name, value in (usual | changes).items() if value is not None}

    def issue(self, *, kid="ec-1", header=None, **changes):
        key = self.keys[kid]
        algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
        given = {"alg": algorithm, "kid": kid, **(header or {})}
        given = {name: value for name, value in given.items() if value is not None}
        return jwt.encode(given, self.claims(**changes), key, algorithms=[algorithm])

    def public(self):
        return {"keys": [key.as_dict(private=False) for key in self.keys.values()]}

    def about(self):
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint": f"{self.url}/token",
            "device_authorization_endpoint": f"{self.url}/device",
        }

    def answer(self, path, form):
        """(status, headers, bytes)."""
        self.asked.append(path)
        if form:
            self.forms.append(form)
        if path in self.instead:
            return self.instead[path]
        status, document = 200, {DISCOVERY: self.about, "/keys": self.public, "/device": self.device}.get(path)
        if path == "/token":
            status, content = self.replies.pop(0)
        else:
            content = document() if document else {}
        return status, {}, json.dumps(content).encode()

    def device(self):
        return {
            "device_code": "the-device",
            "user_code": "ABCD-EFGH",
            "verification_uri": f"{self.url}/sign-in",
            "expires_in": 600,
            "interval": 1,
        }


@contextmanager
def identity_provider():
    """A provider that listens on loopback."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers.get("Content-Length", 0))
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
            status, headers, content = provider.answer(self.path, form)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815  as http.server has it

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # clients break off: that is what is tested
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
