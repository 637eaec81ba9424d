"""Settings: environment, options, and the operator's token."""

import stat

import pytest

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
