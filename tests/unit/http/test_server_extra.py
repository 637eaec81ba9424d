"""Without the extra `server`, the command says what to install."""

import pytest

from consensus_server import cli


def fails_with(missing):
    def make(name):
        raise ModuleNotFoundError(name=missing)

    return make


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setattr(cli, "__getattr__", fails_with("fastapi"))
    with pytest.raises(SystemExit, match=r"fastapi is not installed.*semantic-consensus\[server\]"):
        cli.main()


def test_a_fault_of_our_own_is_not_called_a_missing_library(monkeypatch):
    monkeypatch.setattr(cli, "__getattr__", fails_with("consensus_server.gone"))
    with pytest.raises(ModuleNotFoundError):
        cli.main()


def test_an_interrupt_while_libraries_load_is_no_traceback(monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "__getattr__", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
