"""Events, long polls, a server that stays responsive, and bytes counted as they cross the wire."""

import gzip
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from client_kit.wire import RoundEvent


def read_events(client, path, **headers):
    """All events of a stream, as (id, event, data), to its end."""
    events, fields = [], {}
    with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if not line and fields:
                events.append((int(fields["id"]), fields["event"], RoundEvent.model_validate_json(fields["data"])))
                fields = {}
            elif line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
    return events


LIFE = [
    "round.created",
    "round.opened",
    "submission.sealed",
    "submission.sealed",
    "round.closed",
    "round.aggregating",
    "round.published",
]


def test_events_come_as_they_happen_and_end_with_publication(arena, answer_rows):
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read_events, arena.as_("anna"), f"{arena.round}/events")
        time.sleep(0.2)
        arena.publish({"anna": answer_rows(), "bert": answer_rows()})
        events = reading.result(timeout=10)
    assert [kind for _, kind, _ in events] == LIFE
    assert [number for number, _, _ in events] == [event.event_id for _, _, event in events] == list(range(1, 8))
    assert events[-1][2].round.state == "published"


def test_a_reader_goes_on_after_the_last_event_it_saw(arena, answer_rows):
    arena.publish({"anna": answer_rows(), "bert": answer_rows()})
    path = f"{arena.round}/events"
    anna = arena.as_("anna")
    assert [number for number, _, _ in read_events(anna, path, **{"last-event-id": "4"})] == [5, 6, 7]
    assert anna.get(path, headers={"last-event-id": "7"}).status_code == 204
    assert anna.get(path, headers={"last-event-id": "x"}).status_code == 422


def test_a_silent_stream_shows_that_it_lives(start_server, new_arena):
    arena = new_arena(start_server("beating", heartbeat_seconds=0.1))
    with arena.as_("anna").stream("GET", f"{arena.round}/events") as response:
        assert any(line.startswith(":") for line in response.iter_lines())


def test_the_end_of_the_server_ends_streams_and_waits_at_once(start_server, new_arena):
    live = start_server("ending")
    arena = new_arena(live)
    anna, bert = arena.as_("anna"), arena.as_("bert")  # before the clock runs: they take their time
    stopping = threading.Timer(0.3, live.stop)
    stopping.start()
    started = time.monotonic()
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read_events, anna, f"{arena.round}/events")
        waited = bert.get(f"{arena.round}?wait_for=published&timeout_seconds=30")
        assert [kind for _, kind, _ in reading.result(timeout=10)] == LIFE[:2]
    assert waited.json()["state"] == "open"
    assert time.monotonic() - started < 20  # a wait that were not ended would take its 30
    stopping.join()


def test_a_wait_ends_when_the_state_is_passed(arena, answer_rows):
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(arena.as_("anna").get, f"{arena.round}?wait_for=closed&timeout_seconds=10")
        time.sleep(0.1)
        assert not waiting.done()
        arena.publish({"anna": answer_rows(), "bert": answer_rows()})
        assert waiting.result(timeout=10).json()["state"] in {"closed", "aggregating", "published"}
    assert arena.as_("anna").get(f"{arena.round}?wait_for=open").json()["state"] == "published"


def test_a_wait_never_tells_less_than_its_sender_has_seen(start_server, new_arena, answer_rows):
    arena = new_arena(start_server("seldom", poll_seconds=30.0))
    assert arena.as_("anna").get(f"{arena.round}?wait_for=open").json()["state"] == "open"
    arena.publish({"anna": answer_rows(), "bert": answer_rows()})
    assert arena.as_("anna").get(f"{arena.round}?wait_for=open").json()["state"] == "published"


def test_a_wait_ends_with_a_failure(arena):
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(arena.as_("anna").get, f"{arena.round}?wait_for=published&timeout_seconds=10")
        arena.operator.post(f"{arena.round}/close")
        assert waiting.result(timeout=10).json()["state"] == "failed"


def test_a_wait_that_lasts_too_long_answers_with_the_round_as_it_is(arena):
    started = time.monotonic()
    assert arena.as_("anna").get(f"{arena.round}?wait_for=published&timeout_seconds=0.2").json()["state"] == "open"
    assert time.monotonic() - started >= 0.2


def test_a_round_that_does_not_exist_yet_is_waited_for(arena, problem):
    path = f"{arena.path}/rounds/2?wait_for=open"
    problem(arena.as_("anna").get(f"{path}&timeout_seconds=0.1"), 404, "unknown_round")
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(arena.as_("anna").get, f"{path}&timeout_seconds=10")
        arena.operator.post(f"{arena.round}/close")
        arena.operator.post(f"{arena.path}/rounds", json={})
        assert waiting.result(timeout=10).json()["number"] == 2


def test_the_api_answers_while_a_worker_aggregates(start_server, new_arena, answer_rows, monkeypatch):
    live = start_server("aggregating")
    arena = new_arena(live)
    encoding, finish = threading.Event(), threading.Event()
    encoder = live.server.encoder.wait()
    encode = type(encoder).encode_with_openings

    def slow(self, texts):
        encoding.set()
        assert finish.wait(10)
        return encode(self, texts)

    monkeypatch.setattr(type(encoder), "encode_with_openings", slow)
    with ThreadPoolExecutor() as pool:
        publishing = pool.submit(arena.publish, {"anna": answer_rows(), "bert": answer_rows()})
        assert encoding.wait(10)
        assert arena.state() == "aggregating"
        other = new_arena(live)
        assert other.submit("anna", answer_rows()).json()["stored"] == 5
        assert not publishing.done()
        finish.set()
        publishing.result(timeout=10)
    assert arena.state() == "published"


def test_many_waiters_cost_no_threads(start_server, new_arena):
    """More waiting requests than threads, and the server still answers."""
    live = start_server("crowded", threads=2)
    arena = new_arena(live)
    with ThreadPoolExecutor(20) as pool:
        path = f"{live.url}{arena.round}?wait_for=published&timeout_seconds=6"
        headers = {"authorization": f"Bearer {arena.tokens['anna']}"}
        waits = [pool.submit(httpx.get, path, headers=headers, timeout=30) for _ in range(20)]
        time.sleep(0.3)
        assert arena.state() == "open"
        assert not any(wait.done() for wait in waits)
        assert {wait.result().status_code for wait in waits} == {200}


@pytest.mark.parametrize("gzipped", [True, False])
def test_every_byte_of_a_submission_is_counted(arena, raw, answer_rows, gzipped):
    body = "".join(json.dumps(row) + "\n" for row in answer_rows("An answer to {}." + " It is long." * 30)).encode()
    fields = {"content_type": "application/x-ndjson"}
    if gzipped:
        body, fields["content_encoding"] = gzip.compress(body), "gzip"
    request = raw.head("PUT", f"{arena.round}/submissions", arena.tokens["anna"], content_length=len(body), **fields)
    answer = raw.exchange(request + body)
    assert b" 200 " in answer
    assert traffic_of(arena) == {"anna": (len(request) + len(body), len(answer))}


def test_every_byte_of_a_chunked_compressed_answer_is_counted(arena, raw, answer_rows):
    arena.publish({"anna": answer_rows(), "bert": answer_rows("{} is what it is." + " It is." * 60)})
    before = traffic_of(arena)["bert"]
    fields = {"accept": "application/x-ndjson", "accept_encoding": "gzip"}
    request = raw.head("GET", f"{arena.round}/pseudo-labels", arena.tokens["bert"], **fields)
    answer = raw.exchange(request)
    assert b"transfer-encoding: chunked" in answer.lower()
    assert b"content-encoding: gzip" in answer
    after = traffic_of(arena)["bert"]
    assert (after[0] - before[0], after[1] - before[1]) == (len(request), len(answer))


def test_refused_requests_count_too_but_only_on_a_round_of_ones_own(arena, raw, new_arena):
    token = arena.tokens["anna"]
    request = raw.head("GET", f"{arena.round}/pseudo-labels", token)
    answer = raw.exchange(request)
    assert b" 409 " in answer
    raw.exchange(raw.head("GET", f"{new_arena(arena.live).round}/pseudo-labels", token))
    raw.exchange(raw.head("GET", f"{arena.path}/rounds/9", token))
    raw.exchange(raw.head("GET", arena.path, token))
    assert traffic_of(arena) == {"anna": (len(request), len(answer))}


def test_a_participant_sees_its_own_traffic_only(arena, answer_rows):
    for participant in ("anna", "bert"):
        arena.submit(participant, answer_rows())
    assert set(traffic_of(arena)) == {"anna", "bert"}
    items = arena.as_("anna").get(f"{arena.round}/traffic").json()["items"]
    assert [item["participant"] for item in items] == ["anna"]


def traffic_of(arena):
    items = arena.operator.get(f"{arena.round}/traffic").json()["items"]
    return {item["participant"]: (item["received_bytes"], item["sent_bytes"]) for item in items}
