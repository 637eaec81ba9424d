"""Every route for every caller: who gets past the door, and what the others are told. A route without a row here fails."""

from itertools import product

import pytest

from consensus_server.service.access import token_hash
from tests.support.identity_provider import AUDIENCE, identity_provider

OWN = frozenset({"server", "operator", "participant", "idle", "observer"})
"""Those who belong to the federation: `idle` sealed nothing, where only contributors may read."""
FOREIGN = frozenset({"foreign participant", "foreign operator"})
ENDED = frozenset({"nobody", "rotated", "inactive", "expired"})
NARROW = {
    "submitter": ("participant", {"submit"}),
    "label reader": ("participant", {"labels"}),
    "onlooker": ("participant", {"observe"}),
    "runner": ("operator", {"operate"}),
    "reading operator": ("operator", {"labels"}),
    "asker": ("server", {"panels"}),
    "named operator": ("server", {"operate", "labels", "observe", "panels"}),
}
"""Callers whose tokens have fewer scopes than their role: role, scopes."""
VOUCHED = {"vouched server": "server", "vouched operator": "operator", "vouched participant": "participant"}
"""Callers by the word of an identity provider: each may do what the caller with a token of that role may."""
OPERATORS = frozenset({"server", "operator"})
SITES = frozenset({"participant", "idle"})
READERS = OPERATORS | SITES
CONTRIBUTORS = OPERATORS | {"participant"}
SERVER = frozenset({"server"})
EVERYBODY = OWN | FOREIGN
NO_TOKEN = EVERYBODY | ENDED

ANY_SCOPE = frozenset({"/v1/identity", "/v1/signing-key"})
WITH_PANELS = frozenset(
    {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/models", "/v1/models/{model}"}
)
"""Tokens of federations are let in and see none, whatever their scopes."""

F, R = "/v1/federations/{federation}", "/v1/federations/{federation}/rounds/{number}"
P = F + "/participants/{participant}"

MAY = {
    **{
        (method, path): NO_TOKEN
        for method in ("GET", "HEAD")
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json")
    },
    ("GET", "/v1/identity"): EVERYBODY,
    ("GET", "/v1/signing-key"): EVERYBODY,
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
    ("POST", P + "/token"): OPERATORS,  # and its holder, who is `extra` here: see test_identity_over_http.py
    ("PUT", P + "/certificates"): OPERATORS,
    ("PUT", P + "/signing-key"): SITES,
    ("DELETE", P + "/signing-key"): OPERATORS,
    ("GET", P + "/signing-keys"): OPERATORS,  # and their holder
    ("GET", P + "/tokens"): OPERATORS,
    ("DELETE", P + "/tokens/{token}"): OPERATORS,
    ("DELETE", P + "/answers"): OPERATORS,  # and the participant itself
    ("POST", F + "/invitations"): OPERATORS,
    ("GET", F + "/invitations"): OPERATORS,
    ("DELETE", F + "/invitations/{invitation}"): OPERATORS,
    ("POST", "/v1/invitations/redeem"): NO_TOKEN,
    ("POST", "/v1/operators"): SERVER,
    ("GET", "/v1/operators"): SERVER,
    ("DELETE", "/v1/operators/{operator}"): SERVER,
    ("POST", "/v1/operators/{operator}/token"): SERVER,
    ("GET", "/v1/operators/{operator}/tokens"): SERVER,
    ("DELETE", "/v1/operators/{operator}/tokens/{token}"): SERVER,
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
    ("GET", R + "/signature"): OWN,
    ("GET", R + "/bundle"): OWN,
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


@pytest.fixture(scope="module")
def provider():
    with identity_provider() as found:
        yield found


@pytest.fixture(scope="module")
def live(running, provider, tmp_path_factory):
    """A server that takes the provider's word too."""
    by_word = {"oidc_groups": "admins=server", "oidc_participant_claim": "acts_as"}
    with running(
        tmp_path_factory.mktemp("server"), oidc_issuer=provider.url, oidc_audience=AUDIENCE, **by_word
    ) as found:
        yield found


@pytest.fixture
def callers(live, provider, new_arena, answer_rows):
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
        "expired": arena.operator.post(f"{arena.path}/participants/idle/token", json={"keep": True}).json()["token"],
    }
    tokens |= {
        "vouched server": provider.issue(groups=["admins"]),
        "vouched operator": provider.issue(acts_as=f"{arena.name}/boss", sub="boss"),
        "vouched participant": provider.issue(acts_as=f"{arena.name}/anna", sub="anna"),
    }
    tokens |= {name: narrow(live, arena, *NARROW[name]) for name in NARROW}
    expire(live, tokens["expired"])
    for each in ("anna", "bert"):
        arena.submit(each, answer_rows())
        arena.seal(each)
    arena.operator.post(f"{arena.round}/close")
    assert live.aggregate()
    arena.operator.post(f"{arena.path}/participants/rotated/token")
    arena.operator.patch(f"{arena.path}/participants/inactive", json={"active": False})
    return arena, {name: live.client(token) for name, token in tokens.items()}


def narrow(live, arena, role, scopes):
    """A token of `anna`, of the operator `boss` or of a named operator of the server, that has these scopes alone."""
    wish = {"scopes": sorted(scopes), "keep": True}
    if role == "server":
        added = {"operator": f"op-{arena.name}-{len(scopes)}", "scopes": sorted(scopes)}
        return arena.operator.post("/v1/operators", json=added).json()["token"]
    name = {"participant": "anna", "operator": "boss"}[role]
    return arena.operator.post(f"{arena.path}/participants/{name}/token", json=wish).json()["token"]


def expire(live, token):
    """Nobody waits for it: its end is set to a moment that has passed."""
    with live.server.store.writing() as tx:
        found = tx.tokens.find(token_hash(token))
        tx.tokens.end(found, at=found.created_at)


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
        token="0" * 12,
        invitation="0" * 12,
        operator="nobody",
    )
    body = {"content": b"{}"} if method in {"POST", "PUT", "PATCH"} else {}
    return client.request(method, filled, headers={"last-event-id": "1000"}, **body)


def outcome(response):
    """`in`, or the status of the refusal at the door; a fault of the server is told as one."""
    status, content = response.status_code, response.content
    refused = status in {401, 403, 500} or (status == 404 and b'"unknown_federation"' in content)
    return status if refused else "in"


def scopes_for(method, path):
    """Which of the scopes a route needs: told by who may call it at all."""
    may = MAY[method, path]
    if path in WITH_PANELS or path in ANY_SCOPE:
        return {"panels"}
    if may in {SITES, OPERATORS, SERVER}:
        return {"submit"} if may == SITES else {"operate"}
    return {"labels"} if may in {READERS, CONTRIBUTORS} else {"observe", "submit", "labels", "operate"}


def expected(caller, method, path):
    caller = VOUCHED.get(caller, caller)
    if caller in NARROW and MAY[method, path] != NO_TOKEN:
        role, scopes = NARROW[caller]
        anywhere = path in ANY_SCOPE or (path in WITH_PANELS and role != "server")
        if role in MAY[method, path]:
            return "in" if anywhere or scopes & scopes_for(method, path) else 403
        caller = role
    elif caller in NARROW:
        return "in"
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
