"""What an attacker sends, with a token and without one: little work, bounded memory, and the others go on."""

import gzip
import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Response

from consensus_server.cli.listening import ConsensusServer, config_for, listen
from consensus_server.core.errors import StoreUnavailable
from consensus_server.http_api.bounded_log import Allowance, BoundedLog


@pytest.fixture(scope="module")
def tight(tmp_path_factory, running):
    """A server whose bounds are met soon."""
    with running(
        tmp_path_factory.mktemp("tight"), connections=16, head_seconds=0.5, body_seconds=1.0, requests_at_once=8,
        request_memory_bytes=4 * 2**20, parameter_bytes=2**20,
    ) as live:  # fmt: skip
        yield live


def closed(connection, within=5.0):
    """Whether the server closed a connection in this time, and what it said before."""
    connection.settimeout(within)
    try:
        return b"".join(iter(lambda: connection.recv(65_536), b""))
    except ConnectionError:
        return b""


# Who may not, and work that is not done


def add_observer(arena):
    created = arena.operator.post(f"{arena.path}/participants", json={"participant": "olga", "role": "observer"})
    return created.json()["token"]


def test_a_body_is_not_read_of_who_may_not_send_it(tight, new_arena, raw_for):
    arena = new_arena(tight)
    raw, olga, anna = raw_for(tight), add_observer(arena), arena.tokens["anna"]
    for method, path, token, status in (
        ("PUT", f"{arena.round}/submissions", olga, b" 403 "),
        ("PUT", f"{arena.round}/parameters", olga, b" 403 "),
        ("PUT", f"{arena.round}/parameters", anna, b" 404 "),  # the federation exchanges none
        ("POST", f"{arena.path}/rounds", anna, b" 403 "),
        ("POST", "/v1/prompt-sets", anna, b" 403 "),
        ("PUT", f"{new_arena(tight).round}/submissions", anna, b" 404 "),
        ("PUT", f"{arena.path}/rounds/7/submissions", anna, b" 404 "),
        ("POST", f"{arena.round}/what-if", olga, b" 403 "),
    ):
        answer = raw.exchange(raw.head(method, path, token, content_length=1_000_000))  # and no byte of it is sent
        assert status in answer.split(b"\r\n")[0], (path, answer)
    arena.operator.post(f"{arena.round}/close")
    answer = raw.exchange(raw.head("PUT", f"{arena.round}/submissions", anna, content_length=1_000_000))
    assert b"round_not_open" in answer


def test_many_rows_of_few_bytes_cost_little(tight, new_arena, problem):
    arena = new_arena(tight)
    bomb = gzip.compress(b'{"prompt_id":"p1","text":""}\n' * 50_000)
    began = time.process_time()
    found = problem(arena.submit("anna", bomb, headers={"content-encoding": "gzip"}), 422, "too_many_samples")
    assert "more than 5 lines" in found["detail"]
    assert time.process_time() - began < 1.0


def test_a_message_is_no_larger_than_any_message_need_be(tight, new_arena, problem):
    arena = new_arena(tight)
    body = json.dumps({"gate": "relevance", "text": "x" * 2 * 2**20})
    problem(arena.as_("anna").post(f"{arena.round}/appeals", content=body), 413, "body_too_large")


# Memory and places


def test_unfinished_uploads_of_one_caller_hold_its_share_and_no_more(tight, new_arena, raw_for, problem):
    arena, others = new_arena(tight), new_arena(tight)
    raw, piece = raw_for(tight), b" " * 900_000
    fields = {"content_length": 1_000_000, "connection": "keep-alive"}
    head = raw.head("PUT", f"{arena.round}/submissions", arena.tokens["anna"], **fields)
    with raw.connect() as one, raw.connect() as two, raw.connect() as three:
        for upload in (one, two, three):
            upload.sendall(head + piece)
        answers = [answer_on(upload) for upload in (one, two, three)]
    assert sum(b"rate_limited" in answer for answer in answers) == 1
    assert sum(b"was not whole after 1 seconds" in answer for answer in answers) == 2
    assert others.submit("bert", [{"prompt_id": "p1", "text": "Yes."}]).status_code == 200
    assert tight.context.memory.held_bytes == 0


def test_when_the_server_holds_enough_it_says_so_and_takes_more_later(tight, new_arena, answer_rows, problem):
    arena, budget = new_arena(tight), tight.context.memory
    for n in range(2):
        budget.enter(f"other {n}")
        budget.take(f"other {n}", 2 * 2**20 - 10)
    response = arena.submit("anna", answer_rows())
    problem(response, 503, "server_busy")
    assert int(response.headers["retry-after"]) >= 1
    for n in range(2):
        budget.leave(f"other {n}", 2 * 2**20 - 10)
    assert arena.submit("anna", answer_rows()).status_code == 200


def test_one_token_has_so_many_requests_under_way_and_no_more(tight, new_arena):
    arena = new_arena(tight)
    path = f"{arena.round}?wait_for=published&timeout_seconds=1"
    clients = [arena.as_("anna") for _ in range(9)]
    with ThreadPoolExecutor(9) as pool:
        statuses = sorted(pool.map(lambda client: client.get(path).status_code, clients))
        assert statuses == [200] * 8 + [429]
    assert arena.as_("anna").get(arena.round).status_code == 200


# Connections


def test_half_a_head_is_not_waited_for(tight, raw_for):
    raw = raw_for(tight)
    with raw.connect() as silent, raw.connect() as half:
        half.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
        began = time.monotonic()
        assert [closed(silent), closed(half)] == [b"", b""]
        assert time.monotonic() - began < 4


def test_connections_that_ask_nothing_make_room_for_those_that_ask(tight, raw_for):
    raw = raw_for(tight)
    idle = [raw.connect() for _ in range(60)]
    assert tight.client(None).get("/healthz").status_code == 200
    for each in idle:
        each.close()


def answer_on(line):
    """A whole answer: head and body may come one after the other."""
    read = b""
    while not read.endswith(b"}"):
        part = line.recv(65_536)
        assert part, "the line is closed"
        read += part
    return read


def test_a_connection_that_was_just_answered_is_not_the_one_that_makes_room(tight, raw_for):
    """It is the oldest, and the others have been silent for longer."""
    raw = raw_for(tight)
    ask = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    with raw.connect() as busy:
        busy.sendall(ask)
        assert b" 200 " in answer_on(busy)
        idle = [raw.connect() for _ in range(15)]
        time.sleep(0.1)
        busy.sendall(ask)
        assert b" 200 " in answer_on(busy)
        idle.append(raw.connect())
        time.sleep(0.1)
        busy.sendall(ask)
        assert b" 200 " in answer_on(busy)
    for each in idle:
        each.close()


def test_who_reads_no_answer_is_let_go(tight, raw_for, monkeypatch):
    monkeypatch.setattr("consensus_server.cli.connections.STALLED_SECONDS", 0.3)
    address = urlsplit(tight.url)
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((address.hostname, address.port))
        reader.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 100)
        port, until = reader.getsockname()[1], time.monotonic() + 10
        while any(each.client[1] == port for each in list(tight.api.server_state.connections)):
            assert time.monotonic() < until
            time.sleep(0.05)


def test_who_reads_a_long_answer_slowly_gets_all_of_it(monkeypatch):
    monkeypatch.setattr("consensus_server.cli.connections.STALLED_SECONDS", 0.5)
    app, size, listener, listening = FastAPI(), 16 * 2**20, listen("127.0.0.1", 0), threading.Event()
    app.get("/file")(lambda: Response(bytes(size)))
    server = ConsensusServer(config_for(app), on_listening=listening.set, on_stopping=lambda: None)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert listening.wait(20)
    taken = 0
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        reader.connect(listener.getsockname())
        reader.sendall(b"GET /file HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        while piece := reader.recv(131_072):
            taken += len(piece)
            time.sleep(0.01)
    server.should_exit = True
    thread.join(20)
    assert taken > size


def test_a_length_that_is_said_twice_is_refused(tight, raw_for):
    head = b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    answer = raw_for(tight).exchange(head)
    assert b" 400 " in answer
    assert b"ambiguous_length" in answer


# Metrics, logs, readiness


def test_invented_methods_are_no_labels_and_allow_names_all_methods(live, problem):
    client = live.client()
    refused = client.request("BREW", "/v1/federations")
    problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "GET, POST"
    assert client.delete("/v1/federations").headers["allow"] == "GET, POST"
    assert client.delete("/healthz").headers["allow"] == "GET, HEAD"
    assert "BREW" not in client.get("/metrics").text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_answers_to_head(live, path):
    answer = live.client(None).head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_readiness_asks_the_database_once_a_second(tight, monkeypatch):
    asked, check = [], type(tight.server.store).check
    monkeypatch.setattr(type(tight.server.store), "check", lambda store: asked.append(1) or check(store))
    client = tight.client(None)
    began = time.monotonic()
    assert {client.get("/readyz").status_code for _ in range(20)} == {200}
    assert len(asked) <= time.monotonic() - began + 1


def test_a_log_is_not_filled_by_strangers():
    now = [0.0]
    kept = BoundedLog(Allowance(per_second=1, burst=3, clock=lambda: now[0]))
    records = [logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, "no request", (), None) for _ in range(10)]
    assert [kept.filter(each) for each in records] == [True] * 3 + [False] * 7
    now[0] = 1.0
    assert kept.filter(records[0])
    assert records[0].msg == "no request (7 messages more were not written)"


def test_whoever_waits_for_rounds_that_are_not_there_shares_one_look(tight, new_arena, monkeypatch):
    arena, looks = new_arena(tight), []
    find = type(tight.server.use_cases.rounds).last_number
    monkeypatch.setattr(
        type(tight.server.use_cases.rounds), "last_number", lambda *given: looks.append(1) or find(*given)
    )
    anna = [arena.as_("anna") for _ in range(6)]
    paths = [f"{arena.path}/rounds/{number}?wait_for=open&timeout_seconds=0.5" for number in range(10, 16)]
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda each: each[0].get(each[1]).status_code, zip(anna, paths, strict=True))) == {404}
    assert len(looks) <= 6 + 12  # a first look each, and one in 0.05 s for all


# Tokens that end


@pytest.mark.parametrize("ending", ["token", "inactive"])
def test_streams_and_waits_end_with_the_token(tight, new_arena, ending):
    arena = new_arena(tight)
    anna, waiting = arena.as_("anna"), arena.as_("anna")
    begun = threading.Event()

    def stream():
        with anna.stream("GET", f"{arena.round}/events") as response:
            for _ in response.iter_lines():
                begun.set()
        return time.monotonic()

    with ThreadPoolExecutor() as pool:
        streaming = pool.submit(stream)
        wait = pool.submit(waiting.get, f"{arena.round}?wait_for=published&timeout_seconds=30")
        assert begun.wait(5)
        path = f"{arena.path}/participants/anna"
        if ending == "token":
            arena.operator.post(f"{path}/token")
        else:
            arena.operator.patch(path, json={"active": False})
        ended = time.monotonic()
        assert wait.result(timeout=10).status_code == 401
        assert streaming.result(timeout=10) - ended < 2.0


def test_a_stream_ends_in_order_when_the_database_goes_away(tight, new_arena, monkeypatch):
    arena, rounds = new_arena(tight), type(tight.server.use_cases.rounds)

    def away(*_given):
        raise StoreUnavailable("the server closed the connection")

    with arena.as_("anna").stream("GET", f"{arena.round}/events") as response:
        lines = response.iter_lines()
        assert next(lines)
        monkeypatch.setattr(rounds, "events_after", away)
        assert not any(line.startswith("event: round.published") for line in lines)  # and no RemoteProtocolError


def test_a_request_that_is_under_way_when_its_token_ends_stores_nothing(tight, new_arena, raw_for):
    arena, row = new_arena(tight), b'{"prompt_id": "p1", "text": "Yes."}'
    raw = raw_for(tight)
    with raw.connect() as connection:
        connection.sendall(raw.head("PUT", f"{arena.round}/submissions", arena.tokens["anna"], content_length=len(row)))
        time.sleep(0.2)
        token = arena.operator.post(f"{arena.path}/participants/anna/token").json()["token"]
        connection.sendall(row)
        assert b" 401 " in closed(connection)
    assert tight.client(token).get(f"{arena.round}/submissions").json()["answers"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "{f}/participants/anna", b'{"active": 0}'),
        ("POST", "{f}/rounds", b"null"),
        ("POST", "{f}/rounds", b'{"open": 1}'),
        ("POST", "{f}/rounds", b'{"open": true, "open": false}'),
    ],
)
def test_types_are_what_they_are(live, new_arena, method, path, body):
    arena = new_arena(live)
    arena.operator.post(f"{arena.round}/close")
    response = arena.operator.request(method, path.format(f=arena.path), content=body)
    assert response.status_code in {400, 422}, response.text
    assert arena.operator.get(f"{arena.path}/rounds/2").status_code == 404
