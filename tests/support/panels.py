"""A real consensus server with panels, in a thread, for the official `openai` client."""

import threading
from hashlib import sha256

import openai
import yaml

from consensus_server.cli.listening import ConsensusServer, config_for, listen, url_of
from consensus_server.settings import load_settings
from consensus_server.wiring import build_api, build_server

OPERATOR_TOKEN = "operator-of-the-tests-0123456789"
CALLER_TOKEN = "caller-of-the-panels-9876543210"

PARIS = "The capital of France is Paris."
ALSO_PARIS = "Paris is the capital of France."
LYON = "I believe that Lyon governs the whole country nowadays."
AGREED = (PARIS, PARIS, LYON)


def panels_file(folder, urls, *, upstream=None, **panel):
    """A panel `capitals` over upstreams `u0`, `u1`, ... at these addresses, and a caller who may use it."""
    names = [f"u{place}" for place in range(len(urls))]
    content = {
        "upstreams": {
            name: {"base_url": url, "model": "told", "retries": 0, **(upstream or {})}
            for name, url in zip(names, urls, strict=True)
        },
        "panels": {
            "capitals": {"upstreams": names, "deadline_seconds": 240, **panel},
            "reserved": {"upstreams": names, "deadline_seconds": 240, "quorum": 1},
        },
        "callers": {
            "shop": {"token_hash": sha256(CALLER_TOKEN.encode()).hexdigest(), "panels": ["capitals"]},
        },
    }
    path = folder / "panels.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


class Running:
    """A consensus server in a thread."""

    def __init__(self, folder, panels, **settings):
        options = {"encoder": "hashing", "poll_seconds": 0.05, **settings}
        self.server = build_server(
            load_settings({}, data_dir=folder, port=0, panels_file=panels, **options), OPERATOR_TOKEN
        )
        self.server.encoder.load_now()
        self.app = build_api(self.server)
        listening = threading.Event()
        listener = listen("127.0.0.1", 0)
        context = self.app.state.context
        self.api = ConsensusServer(config_for(self.app), on_listening=listening.set, on_stopping=context.stopping.set)
        self.thread = threading.Thread(target=self.api.run, kwargs={"sockets": [listener]})
        self.url = f"{url_of(listener)}/v1"
        self.thread.start()
        assert listening.wait(20)
        self.opened = []

    def client(self, token=CALLER_TOKEN, **options):
        client = openai.OpenAI(base_url=self.url, api_key=token, timeout=60, **{"max_retries": 0, **options})
        self.opened.append(client)
        return client

    def metrics(self):
        return self.app.state.context.metrics.render().decode()

    def end(self):
        for client in self.opened:
            client.close()
        self.api.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()
        self.server.close()
