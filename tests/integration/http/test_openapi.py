"""The description of the API: golden, complete, and true under schemathesis.

After a wanted change of the wire: `make openapi` (or UPDATE_GOLDEN=1 pytest tests/integration/http -k openapi), and
read the diff.
"""

import json
import os
import re
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from client_kit.wire import routes
from consensus_server.http_api.openai_compat.envelope import ENVELOPES

GOLDEN = Path(__file__).parents[2] / "golden" / "openapi.json"
EVERYWHERE = {"400", "401", "403", "404", "409", "413", "422", "429"}
IN_THE_ENVELOPE = {routes.CHAT_COMPLETIONS, routes.COMPLETIONS, routes.RESPONSES, routes.MODELS, routes.MODEL}
METHODS = {"get", "put", "post", "patch", "delete"}


def operations(document):
    return [(path, m, op) for path, item in document["paths"].items() for m, op in item.items() if m in METHODS]


def test_openapi_is_the_golden_one(live):
    document = live.app.openapi()
    text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert json.loads(GOLDEN.read_text(encoding="utf-8")) == document, "the wire changed; see the top of this file"


def test_openapi_has_every_route_of_the_table_and_no_other(live):
    table = {
        re.sub(r":path}", "}", value)
        for name, value in vars(routes).items()
        if name.isupper() and value.startswith("/")
    }
    assert {path for path, _, _ in operations(live.app.openapi())} == table


def test_openapi_documents_every_problem_of_every_route(live):
    for path, method, operation in operations(live.app.openapi()):
        if not path.startswith("/v1") or path in IN_THE_ENVELOPE:
            continue
        responses = operation["responses"]
        assert set(responses) >= EVERYWHERE, (path, method)
        for status, response in responses.items():
            if status >= "400":
                assert set(response["content"]) == {"application/problem+json"}, (path, method, status)


def test_openapi_documents_the_errors_of_inference_in_openai_s_envelope(live):
    for path, method, operation in operations(live.app.openapi()):
        if path not in IN_THE_ENVELOPE:
            continue
        errors = {status: response for status, response in operation["responses"].items() if status >= "400"}
        assert set(errors) == {str(kind.status) for kind in ENVELOPES.values()}, (path, method)
        for response in errors.values():
            schema = response["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorEnvelope"}


def test_openapi_names_operations_plainly_and_once(live):
    names = [operation["operationId"] for _, _, operation in operations(live.app.openapi())]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
    assert all(operation["description"] for _, _, operation in operations(live.app.openapi()))


CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    ignored_auth,
)
BOUNDED = settings(
    max_examples=4, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@schemathesis.serializer(routes.NDJSON)
def one_line(context, value):
    """A generated row as an NDJSON body."""
    del context
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def described(live):
    return schemathesis.openapi.from_url(f"{live.url}/openapi.json")


def every_operation(schema, check):
    """Run a check on generated requests for each operation; the seed is fixed."""
    tried = 0
    for result in schema.get_all_operations():
        case = result.ok().as_strategy()
        BOUNDED(given(case)(lambda case: check(case)))()  # noqa: PLW0108 - settings belong to one function each
        tried += 1
    assert tried > 0


def call(case, token):
    case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {token}"}, timeout=20)


def test_openapi_tells_the_truth_of_what_does_not_exist(described, live):
    def check(case):
        call(case, live.operator_token)

    every_operation(described, check)


def test_openapi_tells_the_truth_of_what_exists(described, live, make_published):
    """Real names in place of made-up ones, and a participant's token where that is what the route is for."""
    arena = make_published(live)
    real = {
        "federation": arena.name,
        "number": 1,
        "participant": "anna",
        "digest": arena.prompt_set,
        "prompt_id": "p1",
        "appeal": 1,
        "model": "none",
        "token": "0" * 12,
        "invitation": "0" * 12,
        "operator": "none",
    }

    def check(case):
        case.path_parameters = {name: real[name] for name in case.path_parameters or {}}
        if "timeout_seconds" in (case.query or {}):
            case.query["timeout_seconds"] = 0
        call(case, arena.tokens["bert"] if "submissions" in case.path else live.operator_token)

    every_operation(described, check)
