"""A collector of OpenTelemetry on loopback: it takes spans as any does, and keeps them for the test."""

import gzip
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Span:
    service: str
    name: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    facts: dict
    failure: str


class Collector:
    """Everything that was sent so far."""

    def __init__(self):
        self.url = ""
        self.spans = []
        self.bodies = []
        self._arrived = threading.Condition()

    def take(self, path, body):
        assert path == "/v1/traces", path
        request = ExportTraceServiceRequest.FromString(body)
        with self._arrived:
            self.bodies.append(body)
            for of_process in request.resource_spans:
                service = _facts(of_process.resource.attributes)["service.name"]
                spans = (span for of_scope in of_process.scope_spans for span in of_scope.spans)
                self.spans += [_read(service, span) for span in spans]
            self._arrived.notify_all()

    def wait_for(self, name, seconds=20):
        """The first span of this name. AssertionError where none comes."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: any(span.name == name for span in self.spans), seconds), self.names()
            return next(span for span in self.spans if span.name == name)

    def of(self, trace):
        return [span for span in self.spans if span.trace == trace]

    def names(self):
        return sorted({(span.service, span.name) for span in self.spans})


def _read(service, span):
    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
    times = span.start_time_unix_nano, span.end_time_unix_nano
    return Span(service, span.name, *ids, *times, _facts(span.attributes), span.status.message)


def _facts(attributes):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def collector():
    """Listens while the block runs."""
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.take(self.path, gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()
