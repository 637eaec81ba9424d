"""Settings: environment, options, and the operator's token."""

import stat
from importlib import import_module

import pytest
from typer.testing import CliRunner

from client_kit.variables import OF_THE_SERVER, unknown_variables
from consensus_server.settings import Settings, SettingsError, load_settings, operator_token


def test_options_go_before_the_environment_and_the_environment_before_defaults():
    environ = {"CONSENSUS_PORT": "9001", "CONSENSUS_HOST": "0.0.0.0", "CONSENSUS_ENCODER": ""}
    settings = load_settings(environ, port=9002, lease_seconds=None)
    assert (settings.port, settings.host, settings.encoder) == (9002, "0.0.0.0", Settings().encoder)


def test_variables_of_the_kit_do_not_disturb():
    assert load_settings({"CONSENSUS_URL": "http://x", "CONSENSUS_TOKEN": "t"}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CONSENSUS_PORT", "70000"),
        ("CONSENSUS_PORT", "http"),
        ("CONSENSUS_LEASE_SECONDS", "0"),
        ("CONSENSUS_LEASE_SECONDS", "inf"),
        ("CONSENSUS_THREADS", "0"),
        ("CONSENSUS_LOG_LEVEL", "loud"),
        ("CONSENSUS_OPERATOR_TOKEN", "short"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(variable, value):
    with pytest.raises(SettingsError, match=variable):
        load_settings({variable: value})


def test_a_token_is_never_shown_by_an_error():
    with pytest.raises(SettingsError) as caught:
        load_settings({"CONSENSUS_OPERATOR_TOKEN": "tooshort"})
    assert "tooshort" not in str(caught.value)
    assert "a-long-secret-token" not in repr(load_settings({"CONSENSUS_OPERATOR_TOKEN": "a-long-secret-token"}))


def test_the_database_is_a_file_in_the_data_folder_unless_named(tmp_path):
    assert load_settings({}, data_dir=tmp_path).database == f"sqlite:///{tmp_path}/consensus.sqlite3"
    assert load_settings({}, database_url="postgresql://h/d").database == "postgresql://h/d"


def test_a_token_is_made_once_for_the_owner_alone(tmp_path):
    settings = load_settings({}, data_dir=tmp_path / "new")
    first = operator_token(settings)
    assert len(first) >= 32
    assert operator_token(settings) == first
    assert stat.S_IMODE(settings.token_file.stat().st_mode) == 0o600
    assert [path.name for path in settings.token_file.parent.iterdir()] == ["operator.token"]


def test_a_given_token_makes_no_file(tmp_path):
    settings = load_settings({"CONSENSUS_OPERATOR_TOKEN": "a-long-secret-token"}, data_dir=tmp_path)
    assert operator_token(settings) == "a-long-secret-token"
    assert list(tmp_path.iterdir()) == []


def test_a_token_file_without_a_token_is_refused_with_a_remedy(tmp_path):
    (tmp_path / "operator.token").write_text("\n")
    with pytest.raises(SettingsError, match="delete the file"):
        operator_token(load_settings({}, data_dir=tmp_path))


def test_a_data_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be stored"):
        operator_token(load_settings({}, data_dir=tmp_path / "file"))


@pytest.mark.parametrize(
    "url", ["localhost:8000/v1", "ftp://host/v1", "https://user:pass@host/v1", "https://host/v1?key=1"]
)
def test_the_endpoints_address_is_an_address_and_no_more(url):
    with pytest.raises(SettingsError, match="CONSENSUS_ENCODER_URL") as caught:
        load_settings({"CONSENSUS_ENCODER_URL": url})
    assert "pass" not in str(caught.value)


def test_an_address_may_end_with_a_slash():
    assert load_settings({"CONSENSUS_ENCODER_URL": "https://host/v1/"}).encoder_url == "https://host/v1"


def test_every_variable_is_known_to_both_command_lines():
    assert {name.upper() for name in Settings.model_fields} == OF_THE_SERVER


VARIABLES = {
    "CONSENSUS_ENCODR": "Is CONSENSUS_ENCODER meant?",
    "CONSENSUS_TOKN": "Is CONSENSUS_TOKEN meant?",
    "CONSENSUS_XYZZY": "Nothing reads the environment variable CONSENSUS_XYZZY.",
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_that_nothing_reads_is_told(variable):
    (told,) = unknown_variables({variable: "x", "CONSENSUS_PORT": "1", "HOME": "/", "CONSENSUS_SERVER": "y"})
    assert told.endswith(VARIABLES[variable])


def test_variables_that_others_set_or_name_are_not():
    environ = {
        "CONSENSUS_SERVICE_HOST": "10.0.0.1", "CONSENSUS_PORT_8000_TCP": "tcp://10.0.0.1:8000", "CONSENSUS_MY_KEY": "secret",
        "CONSENSUS_ENCODER_KEY_VARIABLE": "CONSENSUS_MY_KEY", "CONSENSUS_EMPTY": "",
    }  # fmt: skip
    assert list(unknown_variables(environ)) == []


@pytest.mark.parametrize("program", ["client_kit.cli", "consensus_server.cli"])
def test_both_command_lines_tell(monkeypatch, program, tmp_path):
    monkeypatch.setenv("CONSENSUS_DATADIR", "x")
    command = (
        ["federation", "list", "--data-dir", str(tmp_path)] if program.startswith("consensus") else ["prompts", "list"]
    )
    app = import_module(program).app
    assert "Is CONSENSUS_DATA_DIR meant?" in CliRunner().invoke(app, command).stderr
    assert "CONSENSUS_DATA_DIR meant" not in CliRunner().invoke(app, [*command, "--json"]).stderr
