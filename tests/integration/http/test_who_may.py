"""Every route for every caller: who gets past the door, and what the others are told. A route without a row here fails."""

from itertools import product

import pytest

OWN = frozenset({"server", "operator", "participant", "idle", "observer"})
"""Those who belong to the federation: `idle` sealed nothing, where only contributors may read."""
FOREIGN = frozenset({"foreign participant", "foreign operator"})
ENDED = frozenset({"nobody", "rotated", "inactive"})
OPERATORS = frozenset({"server", "operator"})
SITES = frozenset({"participant", "idle"})
READERS = OPERATORS | SITES
CONTRIBUTORS = OPERATORS | {"participant"}
SERVER = frozenset({"server"})
EVERYBODY = OWN | FOREIGN
NO_TOKEN = EVERYBODY | ENDED

F, R = "/v1/federations/{federation}", "/v1/federations/{federation}/rounds/{number}"
P = F + "/participants/{participant}"

MAY = {
    **{
        (method, path): NO_TOKEN
        for method in ("GET", "HEAD")
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json")
    },
    ("GET", "/v1/identity"): EVERYBODY,
    ("POST", "/v1/prompt-sets"): SERVER,
    ("GET", "/v1/prompt-sets"): EVERYBODY,
    ("GET", "/v1/prompt-sets/{digest}"): EVERYBODY,
    ("GET", "/v1/prompt-sets/{digest}/prompts"): EVERYBODY,
    ("POST", "/v1/federations"): SERVER,
    ("GET", "/v1/federations"): EVERYBODY,
    ("GET", F): OWN,
    ("POST", F + "/participants"): OPERATORS,
    ("GET", F + "/participants"): OPERATORS,
    ("PATCH", P): OPERATORS,
    ("POST", P + "/token"): OPERATORS,
    ("PUT", P + "/endpoint"): SERVER,
    ("GET", P + "/endpoint"): OPERATORS,
    ("DELETE", P + "/endpoint"): SERVER,
    ("POST", F + "/rounds"): OPERATORS,
    ("GET", F + "/rounds"): OWN,
    ("GET", R): OWN,
    ("POST", R + "/open"): OPERATORS,
    ("POST", R + "/close"): OPERATORS,
    ("GET", R + "/events"): OWN,
    ("GET", R + "/pulls"): OWN,
    ("PUT", R + "/submissions"): SITES,
    ("GET", R + "/submissions"): SITES,
    ("DELETE", R + "/submissions"): SITES,
    ("POST", R + "/submissions/seal"): SITES,
    ("GET", R + "/pseudo-labels"): CONTRIBUTORS,
    ("GET", R + "/prompts/{prompt_id:path}"): CONTRIBUTORS,
    ("GET", R + "/card"): OWN,
    ("GET", R + "/traffic"): READERS,
    ("PUT", R + "/parameters"): SITES,
    ("GET", R + "/parameters"): CONTRIBUTORS,
    ("GET", R + "/reliability"): CONTRIBUTORS,
    ("GET", R + "/rejections"): CONTRIBUTORS,
    ("GET", R + "/maps/{prompt_id:path}"): CONTRIBUTORS,
    ("POST", R + "/what-if"): OPERATORS,
    ("POST", R + "/appeals"): SITES,
    ("GET", F + "/appeals"): READERS,
    ("POST", F + "/appeals/{appeal}/resolution"): OPERATORS,
    # Panels are for callers of the panels file; tokens of federations are let in, and see none.
    **{("POST", path): EVERYBODY for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses")},
    **{("GET", path): EVERYBODY for path in ("/v1/models", "/v1/models/{model}")},
}


@pytest.fixture
def callers(live, new_arena, answer_rows):
    """A published round of a federation that is for contributors only, and a client for every caller."""
    sites = ("anna", "bert", "idle", "rotated", "inactive", "extra")
    arena = new_arena(live, participants=sites, contributors_only=True)
    foreign = new_arena(live, participants=("anna",))

    def added(where, name, role):
        return where.operator.post(f"{where.path}/participants", json={"participant": name, "role": role}).json()[
            "token"
        ]

    tokens = {
        "server": live.operator_token,
        "operator": added(arena, "boss", "operator"),
        "observer": added(arena, "olga", "observer"),
        "participant": arena.tokens["anna"],
        "idle": arena.tokens["idle"],
        "foreign participant": foreign.tokens["anna"],
        "foreign operator": added(foreign, "boss", "operator"),
        "rotated": arena.tokens["rotated"],
        "inactive": arena.tokens["inactive"],
        "nobody": None,
    }
    for each in ("anna", "bert"):
        arena.submit(each, answer_rows())
        arena.seal(each)
    arena.operator.post(f"{arena.round}/close")
    assert live.aggregate()
    arena.operator.post(f"{arena.path}/participants/rotated/token")
    arena.operator.patch(f"{arena.path}/participants/inactive", json={"active": False})
    return arena, {name: live.client(token) for name, token in tokens.items()}


def asked(client, arena, method, path):
    """One request with the least that the route needs to be reached."""
    filled = path.replace(":path}", "}").format(
        federation=arena.name,
        number=1,
        participant="extra",
        digest=arena.prompt_set,
        prompt_id="p1",
        appeal=1,
        model="m",
    )
    body = {"content": b"{}"} if method in {"POST", "PUT", "PATCH"} else {}
    return client.request(method, filled, headers={"last-event-id": "1000"}, **body)


def outcome(response):
    """`in`, or the status of the refusal at the door; a fault of the server is told as one."""
    status, content = response.status_code, response.content
    refused = status in {401, 403, 500} or (status == 404 and b'"unknown_federation"' in content)
    return status if refused else "in"


def expected(caller, method, path):
    if caller in MAY[method, path]:
        return "in"
    if caller in ENDED:
        return 401
    return 404 if caller in FOREIGN and "{federation}" in path else 403


def test_every_route_lets_in_whom_it_should_and_nobody_else(live, callers):
    arena, clients = callers
    routes = [(method, route.path) for route in live.app.routes for method in sorted(route.methods)]
    assert set(routes) == set(MAY), "a route has no row in this test, or a row no route"
    found = {
        (caller, *route): outcome(asked(clients[caller], arena, *route)) for caller, route in product(clients, routes)
    }
    wrong = {key: (is_, should) for key, is_ in found.items() if is_ != (should := expected(*key))}
    assert not wrong
