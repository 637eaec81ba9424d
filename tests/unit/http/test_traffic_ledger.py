"""Bytes are charged to the right participant, once, and none is lost when the database is away."""

import pytest

from consensus_server.http_api.traffic import TrafficKey, TrafficLedger, TrafficMiddleware, body_bytes
from consensus_server.ports import TrafficCount

ANNA = TrafficKey("f", 1, "anna")
BERT = TrafficKey("f", 1, "bert")


class Store:
    def __init__(self) -> None:
        self.batches: list[list[TrafficCount]] = []
        self.away = False

    def record(self, counts) -> None:
        if self.away:
            raise ConnectionError("away")
        self.batches.append(list(counts))


def test_counts_are_handed_on_once_and_per_participant():
    store = Store()
    ledger = TrafficLedger(store.record)
    ledger.charge(ANNA, received=10)
    ledger.charge(ANNA, sent=3)
    ledger.charge(BERT, received=1, sent=2)
    ledger.flush()
    ledger.flush()
    assert store.batches == [[TrafficCount("f", 1, "anna", 10, 3), TrafficCount("f", 1, "bert", 1, 2)]]


def test_what_cannot_be_recorded_is_kept():
    store = Store()
    ledger = TrafficLedger(store.record)
    ledger.charge(ANNA, received=10)
    store.away = True
    with pytest.raises(ConnectionError):
        ledger.flush()
    ledger.charge(ANNA, received=5, sent=1)
    store.away = False
    ledger.flush()
    assert store.batches == [[TrafficCount("f", 1, "anna", 15, 1)]]


@pytest.mark.parametrize(
    ("size", "chunked", "last", "expected"),
    [(100, False, True, 100), (16, True, False, 16 + 6), (0, True, True, 5), (15, True, True, 15 + 5 + 5)],
)
def test_framing_of_chunked_bodies_counts(size, chunked, last, expected):
    assert body_bytes(size, chunked=chunked, last=last) == expected


async def exchange(app, scope) -> Store:
    store = Store()
    ledger = TrafficLedger(store.record)
    messages = iter(
        [
            {"type": "http.request", "body": b"12345", "more_body": True},
            {"type": "http.request", "body": b"67", "more_body": False},
        ]
    )

    async def receive():
        return next(messages)

    async def send(message) -> None:
        pass

    await TrafficMiddleware(app, ledger=ledger, key_of=lambda scope: scope.get("key"))(scope, receive, send)
    ledger.flush()
    return store


def http_scope(**more) -> dict:
    return {
        "type": "http",
        "method": "PUT",
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"a=1",
        "headers": [(b"host", b"h")],
        **more,
    }


REQUEST_HEAD = len(b"PUT /x?a=1 HTTP/1.1\r\nhost: h\r\n\r\n")


async def test_a_caller_that_is_named_late_is_charged_for_everything():
    async def app(scope, receive, send):
        await receive()
        scope["key"] = ANNA
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    date = len(b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
    head = len(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n") + date
    assert (await exchange(app, http_scope())).batches == [[TrafficCount("f", 1, "anna", REQUEST_HEAD + 7, head + 2)]]


async def test_an_upload_that_breaks_is_charged_as_far_as_it_came():
    store = Store()
    ledger = TrafficLedger(store.record)

    async def app(scope, receive, send):
        await receive()
        scope["key"] = ANNA
        raise ConnectionError

    async def receive():
        return {"type": "http.request", "body": b"12345", "more_body": True}

    with pytest.raises(ConnectionError):
        await TrafficMiddleware(app, ledger=ledger, key_of=lambda scope: scope.get("key"))(http_scope(), receive, None)
    ledger.flush()
    assert store.batches == [[TrafficCount("f", 1, "anna", REQUEST_HEAD + 5, 0)]]


async def test_nobody_is_charged_for_what_nobody_is_named_for():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    assert (await exchange(app, http_scope())).batches == []
