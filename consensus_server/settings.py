"""What an operator can set: environment variables `CONSENSUS_<NAME>`, overridden by the command line.

Lists of everything with its default: `consensus-server serve --help`, and `docs/`.
"""

import os
import secrets
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from client_kit.errors import ConfigurationError, FaultyFile
from client_kit.input_files import read_file
from client_kit.proxies import is_loopback
from client_kit.signing import PrivateKey, kept_key
from client_kit.storage import write_secret
from client_kit.wire.limits import MAX_REQUEST_BYTES
from client_kit.wire.parameters import MAX_PARAMETER_BYTES

PREFIX = "CONSENSUS_"
OPERATOR_TOKEN_FILE = "operator.token"  # noqa: S105 - the name of a file
SIGNING_KEY_FILE = "signing.key"
MIN_TOKEN_CHARS = 16

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=1024)]


def names_in(value: str) -> tuple[str, ...]:
    """The names of a setting that lists several, with commas between."""
    return tuple(each for each in map(str.strip, value.split(",")) if each)


class SettingsError(ValueError):
    """A setting cannot be used. The text names it, what is wrong and what would do."""


class Settings(BaseModel):
    """Everything that a server is told when it starts. Names are those of the variables, in lower case."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)

    data_dir: Path = Path("consensus-data")
    """Folder for the database and the operator's token; made when missing."""
    database_url: str = ""
    """SQLAlchemy URL; empty: the SQLite file `consensus.sqlite3` in the data folder."""
    database_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    """How long `serve` and `worker` wait at the start for a PostgreSQL that is not there yet."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all, behind something that speaks TLS."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    """0 takes a free port; `--ready-file` says which."""
    tls_certificate: Path | None = None
    """Certificate of the server in PEM, with those that lead to its authority; empty: plain HTTP."""
    tls_key: Path | None = None
    """Its private key, without a password; empty: it stands in the certificate's file."""
    tls_client_ca: Path | None = None
    """Certificates, in PEM, of the authorities whose client certificates are accepted; empty: none is asked for."""
    tls_client: Literal["optional", "required"] = "optional"
    """required: connections without a client certificate are refused, those of probes too."""
    trusted_proxies: str = ""
    """Addresses and ranges of proxies that say for whom they ask (`X-Forwarded-For`, `Client-Cert`), with commas between."""
    encoder: Annotated[str, Field(min_length=1)] = "all-MiniLM-L6-v2"
    """Name or folder of the encoder; `openai:MODEL` behind an endpoint; `hashing`, a stand-in that knows no meaning."""
    encoder_threads: Annotated[int, Field(ge=0)] = 0
    """Threads of one encoding; 0: as many as there are cores."""
    encoder_prefix: str | None = None
    """Stands before each chunk, as a model's card asks (`query:` of multilingual-e5); empty: the model's own default."""
    encoder_tokens: Annotated[int, Field(ge=0, le=8192)] = 0
    """Most tokens of a chunk; 0: 254, or what fits into the model's window."""
    encoder_url: str = ""
    """Address of the embeddings endpoint for `openai:MODEL`, up to and including `/v1`."""
    encoder_dimension: Annotated[int, Field(ge=0, le=65_536)] = 0
    """Numbers of a vector of the endpoint's model, as its card says."""
    encoder_revision: str = ""
    """A word for the state of the endpoint's model; a new word makes another encoder of it."""
    encoder_key_variable: str = ""
    """Name of the variable that holds the endpoint's key; empty: no key, or `encoder_key_file`."""
    encoder_key_file: Path | None = None
    """File that holds the endpoint's key."""
    nli_models: str = ""
    """Models that policies may name as `nli:MODEL`: names on the hub or folders, with commas between."""
    operator_token: SecretStr | None = None
    """Token of the server's operator, at least 16 characters; empty: from `operator_token_file`."""
    operator_token_file: Path | None = None
    """File that holds the operator's token; empty: `operator.token` in the data folder, made at the first start."""
    signing_key_file: Path | None = None
    """File of the key that signs published rounds; empty: `signing.key` in the data folder, made when missing."""
    oidc_issuer: str = ""
    """Issuer of OpenID Connect whose tokens are taken beside the server's own; empty: none."""
    oidc_audience: str = ""
    """What its tokens must be for: this server, as the provider knows it."""
    oidc_groups_claim: str = "groups"
    """Claim of its tokens that lists the groups of who asks."""
    oidc_groups: str = ""
    """Who acts as whom: `GROUP=server` for operators of the server, `GROUP=FEDERATION/PARTICIPANT`, with commas between."""
    oidc_participant_claim: str = ""
    """Claim that names `FEDERATION/PARTICIPANT`; empty: none does. Only the provider's administrators may be able to set it."""
    panels_file: Path | None = None
    """YAML with upstream APIs, the panels that they form and who may ask them; empty: no consensus as inference."""
    cors_origins: str = ""
    """Pages that browsers let ask this server, such as `https://app.example.org`, with commas between; empty: none."""
    lease_seconds: Seconds = 60.0
    """A worker that is silent for this long has lost its round: another may claim it."""
    poll_seconds: Seconds = 0.5
    """How often a worker looks for work and a waiting request looks at its round."""
    heartbeat_seconds: Seconds = 10.0
    """Comment lines in silent event streams, so that proxies keep them open."""
    traffic_seconds: Seconds = 1.0
    """How often counted bytes are written to the database."""
    wire_bytes: Bytes = MAX_REQUEST_BYTES
    """Most bytes of a request body as sent."""
    body_bytes: Bytes = MAX_REQUEST_BYTES
    """Most bytes of a request body after decompression."""
    parameter_bytes: Bytes = MAX_PARAMETER_BYTES
    """Most bytes of a file on the parameter path, which is held in memory and in the database."""
    idle_seconds: Seconds = 60.0
    """Longest wait for the next bytes of a request body."""
    body_seconds: Seconds = 300.0
    """Longest time from the first byte of a request body to its last."""
    request_memory_bytes: Annotated[int, Field(ge=1024 * 1024)] = 512 * 1024 * 1024
    """Most bytes of bodies and files that the requests under way hold, all together; more get 503 with Retry-After."""
    requests_at_once: Annotated[int, Field(ge=1)] = 100
    """Requests that one token may have under way at the same time; more get 429 with Retry-After."""
    connections: Annotated[int, Field(ge=1)] = 1000
    """Connections that are open at the same time; of more, the one that was silent longest is closed."""
    head_seconds: Seconds = 20.0
    """Longest time that a connection may take to bring the head of a request."""
    requests_per_second: Seconds = 100.0
    """Requests that one token may send on average; more get 429 with Retry-After."""
    request_burst: Annotated[int, Field(ge=1)] = 400
    """Requests that one token may send at once."""
    threads: Annotated[int, Field(ge=1, le=512)] = 40
    """Use cases that run at the same time."""
    log_level: str = "info"
    """debug, info, warning or error."""

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.lower() not in {"debug", "info", "warning", "error"}:
            raise ValueError("must be debug, info, warning or error")
        return value.lower()

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        for origin in names_in(value):
            address = urlsplit(origin)
            if origin != "*" and (
                address.scheme not in {"http", "https"} or f"{address.scheme}://{address.netloc}" != origin
            ):
                raise ValueError(f"{origin} is no origin; write scheme and host alone, as in https://app.example.org")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for each in names_in(value):
            try:
                ip_network(each)
            except ValueError:
                raise ValueError(
                    f"{each} is no address and no range; write them as in 10.0.0.5 or 10.0.0.0/8"
                ) from None
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        address = urlsplit(value)
        if value and not (address.scheme == "https" or (address.scheme == "http" and is_loopback(value))):
            raise ValueError("must begin with https://")
        if address.username or address.query or address.fragment:
            raise ValueError("must be the issuer's address alone, exactly as its tokens name it")
        return value

    @field_validator("encoder_url")
    @classmethod
    def _address(cls, value: str) -> str:
        address = urlsplit(value)
        if value and (address.scheme not in {"http", "https"} or not address.hostname):
            raise ValueError("must be an address such as https://host/v1")
        if address.username or address.password or address.query:
            raise ValueError("must be the address alone; put the key into encoder_key_file or a variable")
        return value.rstrip("/")

    @field_validator("operator_token")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_TOKEN_CHARS:
            raise ValueError(f"must have at least {MIN_TOKEN_CHARS} characters; a shorter token can be guessed")
        return value

    @property
    def database(self) -> str:
        """The SQLAlchemy URL that is used."""
        return self.database_url or f"sqlite:///{self.database_file.absolute()}"

    @property
    def database_file(self) -> Path:
        """The SQLite file that is used where no URL is set."""
        return self.data_dir / "consensus.sqlite3"

    def make_data_dir(self) -> None:
        """Make the data folder where it is missing. Raises SettingsError."""
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"The data folder {self.data_dir} cannot be created: {error.strerror}.") from None

    @property
    def key_file(self) -> Path:
        """The file of the key that signs published rounds."""
        return self.signing_key_file or self.data_dir / SIGNING_KEY_FILE

    @property
    def token_file(self) -> Path:
        """The file that holds the operator's token where no variable does."""
        return self.operator_token_file or self.data_dir / OPERATOR_TOKEN_FILE


def load_settings(environ: Mapping[str, str], **options: Any) -> Settings:  # noqa: ANN401 - validated here
    """Settings from `CONSENSUS_*` variables; options that are not None go first.

    Raises SettingsError naming each variable that cannot be used. Others with the prefix are not looked at: the client kit has its
    own, and command lines tell of those that nothing reads (`client_kit.variables`).
    """
    values: dict[str, Any] = _from_environment(environ)
    values |= {name: value for name, value in options.items() if value is not None}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_readable(error)) from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables with our prefix; empty ones count as not set."""
    names = {PREFIX + name.upper(): name for name in Settings.model_fields}
    return {names[variable]: value for variable, value in environ.items() if variable in names and value}


def _readable(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(fault["loc"][0]) if fault["loc"] else "settings"
        lines.append(
            f"{PREFIX}{name.upper()} (or --{name.replace('_', '-')}): {fault['msg'].removeprefix('Value error, ')}"
        )
    return "\n".join(lines)


def operator_token(settings: Settings) -> str:
    """The operator's token: from its variable, else from its file, which is made (mode 0600) when missing.

    Raises SettingsError for a file that is empty, too short or cannot be read or written.
    """
    if settings.operator_token is not None:
        return settings.operator_token.get_secret_value()
    path = settings.token_file
    try:
        _make_token_file(path)
        token = read_file(path).strip()
    except (OSError, FaultyFile) as error:
        raise SettingsError(f"The operator's token cannot be stored in {path}: {error}.") from None
    if len(token) < MIN_TOKEN_CHARS:
        raise SettingsError(
            f"{path} does not hold a token of at least {MIN_TOKEN_CHARS} characters; delete the file to get a new one."
        )
    return token


def signing_key(settings: Settings) -> PrivateKey:
    """The key that signs published rounds, from its file, which is made (mode 0600) when missing. Raises SettingsError."""
    try:
        return kept_key(settings.key_file)
    except ConfigurationError as error:
        raise SettingsError(f"CONSENSUS_SIGNING_KEY_FILE: {error}.") from None


def _make_token_file(path: Path) -> None:
    """Write a new token where there is none, whole before it is visible, so that two starts agree on one."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_secret(draft, secrets.token_urlsafe(32) + "\n")
    try:
        os.link(draft, path)  # fails where another start was faster: its token stands
    except FileExistsError:
        pass
    finally:
        draft.unlink()
