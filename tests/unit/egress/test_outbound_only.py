"""The kit opens connections and waits for none."""

import ast
from pathlib import Path

import client_kit

_SERVING = {
    "socket",
    "socketserver",
    "http.server",
    "xmlrpc.server",
    "uvicorn",
    "fastapi",
    "aiohttp",
    "multiprocessing.connection",
}
_CALLS = {"listen", "create_server", "start_server", "start_unix_server", "serve_forever"}
_A_FREE_PORT = {"generation/vllm_process.py"}
"""Finds a port of 127.0.0.1 for the vLLM server that it starts, and lets go of it."""


def listeners():
    folder = Path(client_kit.__file__).parent
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            imported = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if called in _CALLS or not _SERVING.isdisjoint(imported):
                yield file.relative_to(folder).as_posix()


def test_no_module_of_the_kit_listens():
    assert set(listeners()) == _A_FREE_PORT
