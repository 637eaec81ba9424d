"""`consensus doctor`: is everything there that a participant needs?"""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from client_kit._version import __version__
from client_kit.certificates import CERTIFICATE_VARIABLE, ClientCertificate
from client_kit.cli.connection import TokenFileOption
from client_kit.client import ConsensusClient, RetryPolicy
from client_kit.command_line import Exit, JsonOption, console, print_json
from client_kit.errors import BrokenEncoding, ConfigurationError, ConsensusError, UnexpectedAnswer
from client_kit.proxies import environment_faults, proxies_set
from client_kit.remedies import Surface
from client_kit.settings_files import read_secret
from client_kit.variables import unknown_variables
from client_kit.vocabulary import Role

EXTRAS = {
    "generate": ("torch", "transformers", "openai"),
    "train": ("torch", "transformers", "trl", "peft", "datasets"),
    "report": ("plotly", "jinja2"),
    "server": ("fastapi", "uvicorn", "sqlalchemy", "faiss-cpu", "sentence-transformers"),
}
"""Libraries by the extra that brings them."""

ENOUGH_BYTES = 2 * 10**9
"""Free disk below which a warning is due: a checkpoint of a small model for every round."""


class CheckStatus(StrEnum):
    """Result of a check."""

    GOOD = "ok"
    WARNING = "warning"
    FAULT = "fault"
    ABSENT = "absent"
    """Not there, and not needed by everybody."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    subject: str
    verdict: CheckStatus
    found: str
    remedy: str = ""


def doctor(
    server: Annotated[
        str | None, typer.Option("--server", envvar="CONSENSUS_SERVER", help="URL of a server to check.")
    ] = None,
    token_file: TokenFileOption = None,
    work: Annotated[Path, typer.Option(help="Folder whose disk is checked.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Check versions, extras, disk, the model hub's setting, proxies, certificates, and a server with its encoder and token. Exit code 1 on a fault.

    Example: consensus doctor --server http://127.0.0.1:8000 --token-file token
    """
    checks = [*_installation(), _hub(), _disk(work), *_variables(), *_network(), *_service(server, token_file)]
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        for check in checks:
            _show(check)
    if any(check.verdict is CheckStatus.FAULT for check in checks):
        raise typer.Exit(Exit.FAILED)


def _installation() -> Iterator[Check]:
    yield Check("python", CheckStatus.GOOD, sys.version.split()[0])
    yield Check("semantic-consensus", CheckStatus.GOOD, __version__)
    for extra, libraries in EXTRAS.items():
        found = {library: _version(library) for library in libraries}
        if missing := [library for library, number in found.items() if number is None]:
            remedy = f"if you need it: pip install 'semantic-consensus[{extra}]'"
            yield Check(f"extra {extra}", CheckStatus.ABSENT, f"without {', '.join(missing)}", remedy)
        else:
            yield Check(
                f"extra {extra}", CheckStatus.GOOD, ", ".join(f"{name} {number}" for name, number in found.items())
            )


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _hub() -> Check:
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        return Check("model hub", CheckStatus.GOOD, "off (HF_HUB_OFFLINE): models come from folders and packages")
    return Check("model hub", CheckStatus.GOOD, "on: models named without a folder are downloaded")


def _disk(work: Path) -> Check:
    there = next(folder for folder in (work.absolute(), *work.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / 1e9:.1f} GB free at {there}"
    if free < ENOUGH_BYTES:
        return Check(
            "disk",
            CheckStatus.WARNING,
            found,
            "every round keeps a checkpoint: make room, or choose another work folder",
        )
    return Check("disk", CheckStatus.GOOD, found)


def _variables() -> Iterator[Check]:
    """What is set for us and read by nothing."""
    for told in unknown_variables(os.environ):
        yield Check("environment", CheckStatus.WARNING, told, "correct its name, or unset it")


def _network() -> Iterator[Check]:
    """Proxies and certificates of the environment."""
    faults = environment_faults()
    for fault in faults:
        yield Check(fault.variable, CheckStatus.FAULT, fault.cause, fault.remedy)
    if proxies := proxies_set():
        found = ", ".join(f"{name} {address}" for name, address in proxies.items())
        exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "nobody"
        yield Check("proxy", CheckStatus.GOOD, f"{found}; directly: this machine, and {exempt}")
    certificate = ClientCertificate.of_environment()
    if certificate and CERTIFICATE_VARIABLE not in {fault.variable for fault in faults}:
        yield Check("client certificate", CheckStatus.GOOD, f"{certificate.file}, shown to servers that ask for one")
    if "REQUESTS_CA_BUNDLE" in os.environ and not os.environ.get("SSL_CERT_FILE"):
        yield Check(
            "REQUESTS_CA_BUNDLE", CheckStatus.WARNING, "is not read here", "name the same file in SSL_CERT_FILE"
        )


def _service(server: str | None, token_file: Path | None) -> Iterator[Check]:
    if server is None:
        yield Check("server", CheckStatus.ABSENT, "not asked", "name one: --server URL")
        return
    try:
        with ConsensusClient(server, _token_if_any(token_file), retry=RetryPolicy(attempts=1)) as client:
            yield Check("server", CheckStatus.GOOD, f"{server}, version {client.health().version}")
            yield from _readiness(client)
            yield from _identity(client, given=_token_if_any(token_file) is not None)
    except ConsensusError as error:
        yield Check(
            "server", CheckStatus.FAULT, _told(error), "check the address, and that `consensus-server serve` runs there"
        )


def _told(error: ConsensusError) -> str:
    """What happened; the check has the advice."""
    return error.told(Surface.PARTICIPANT)[0]


def _token_if_any(file: Path | None) -> str | None:
    try:
        return read_secret(None if file else "CONSENSUS_TOKEN", file, what="the token")
    except ConfigurationError:
        if file is not None:
            raise
        return None


def _readiness(client: ConsensusClient) -> Iterator[Check]:
    state = client.readiness()
    verdict = CheckStatus.GOOD if state.ready else CheckStatus.FAULT
    yield Check("readiness", verdict, f"database {state.database}", "" if state.ready else "wait, or ask the operator")
    if state.encoder is None:
        yield Check("encoder", CheckStatus.FAULT, state.encoder_failure or "still loading", "wait, or ask the operator")
        return
    card = state.encoder
    found = f"{card.name}, {card.dimension} dimensions, {card.dtype}, weights {card.weights[:12]}, identity {card.digest[:12]}"
    if state.stand_in:
        yield Check("encoder", CheckStatus.WARNING, found, "this is a stand-in that knows no meaning: for tests only")
    else:
        yield Check("encoder", CheckStatus.GOOD, found)


def _identity(client: ConsensusClient, *, given: bool) -> Iterator[Check]:
    if not given:
        yield Check("token", CheckStatus.ABSENT, "none given", "set CONSENSUS_TOKEN, or --token-file")
        return
    try:
        identity = client.identity()
    except ConsensusError as error:
        yield Check("token", CheckStatus.FAULT, _told(error), "ask the operator for a new token")
        return
    where = identity.federation or "every federation"
    found = f"{identity.participant or 'the operator'} ({identity.role.value}) in {where}"
    yield Check("token", CheckStatus.GOOD, found)
    if identity.role is Role.PARTICIPANT:
        yield _uploads(client)


def _uploads(client: ConsensusClient) -> Check:
    try:
        client.check_upload()
    except BrokenEncoding as error:
        cause = f"a proxy on the way unpacks compressed bodies and does not say so ({error.detail})"
        return Check("uploads", CheckStatus.WARNING, cause, "answers are sent as they are, which takes longer")
    except UnexpectedAnswer as error:
        return Check(
            "uploads", CheckStatus.WARNING, _told(error), "answers are sent in smaller or plain requests until then"
        )
    except ConsensusError as error:
        return Check("uploads", CheckStatus.FAULT, _told(error), "try again, then ask the operator")
    return Check("uploads", CheckStatus.GOOD, "large compressed bodies arrive as they were sent")


_COLOURS = {
    CheckStatus.GOOD: "green",
    CheckStatus.WARNING: "yellow",
    CheckStatus.FAULT: "red",
    CheckStatus.ABSENT: "dim",
}


def _show(check: Check) -> None:
    console.print(f"{check.verdict.value:>8}", style=_COLOURS[check.verdict], end="  ")
    console.print(f"{check.subject}: {check.found}", markup=False, highlight=False, soft_wrap=True)
    if check.remedy:
        console.print(f"{'':10}{check.remedy}", markup=False, highlight=False, soft_wrap=True)
