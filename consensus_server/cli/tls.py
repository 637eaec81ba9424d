"""TLS of `serve`: the certificate that the server shows, and whose client certificates it accepts. All files are PEM."""

import ssl
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from consensus_server.settings import Settings, SettingsError

LOOK_SECONDS = 10
"""Between two looks at whether the certificate's files have changed."""

_SOON_SECONDS = 14 * 24 * 3600.0
"""An end of the certificate that is nearer is told at the start."""

_FAULTS = (
    (("no such file", "permission denied", "is a directory"), "cannot be read. Correct the path or its permissions"),
    (("key_values_mismatch", "key values mismatch"), "do not belong together. Name the key of this certificate"),
    (("password",), "hold a key with a password. Write it without one, readable by you alone"),
    (("has expired",), "are of a certificate that has expired. Renew it"),
    (("not yet valid",), "are of a certificate that is not valid yet. Check the clock of this machine"),
    (("purpose",), "are of a certificate that is not for servers. Ask its authority for one that is"),
)  # fmt: skip
"""What the system or OpenSSL says, in small letters, and what to tell."""

_log = structlog.get_logger("consensus_server.tls")


class ServerTls:
    """The context of all connections. Certificate and key are loaded anew where their files change; connections go on."""

    def __init__(self, certificate: Path, key: Path | None, client_ca: Path | None, *, required: bool) -> None:
        """key: None where the certificate's file holds it. client_ca: authorities of client certificates; None: none is asked for.

        required: connections without one are refused. Raises SettingsError.
        """
        self._files = certificate, key
        self._as_loaded = _state_of(*self._files)
        self.context = _loaded(*self._files)
        self.notes = [*_too_open(key or certificate), *_ending(self.context, certificate)]
        """What does not keep the server from starting, and should be known."""
        self.context.sslobject_class = _HeardRefusal
        if client_ca is not None:
            _accept(self.context, client_ca, required=required)

    @classmethod
    def of(cls, settings: Settings) -> "ServerTls | None":
        """As the settings have it; None for plain HTTP. Raises SettingsError."""
        if settings.tls_certificate is None:
            given = [name for name in ("tls_key", "tls_client_ca") if getattr(settings, name) is not None]
            if given:
                raise SettingsError(
                    f"CONSENSUS_{given[0].upper()} is set, and there is no certificate: set CONSENSUS_TLS_CERTIFICATE too."
                )
            return None
        required = settings.tls_client == "required"
        return cls(settings.tls_certificate, settings.tls_key, settings.tls_client_ca, required=required)

    async def renew(self) -> None:
        """Load certificate and key where their files have changed; files that cannot be used are told, and the old ones stay."""
        state = _state_of(*self._files)
        if state == self._as_loaded:
            return
        self._as_loaded = state
        try:
            _loaded(*self._files)  # on another context first: a half-written pair must not spoil this one
        except SettingsError as error:
            _log.error("the new certificate cannot be used; the one before goes on", cause=str(error))
            return
        self.context.load_cert_chain(*self._files, password=_nobody_is_asked)
        _log.info("the certificate was loaded anew", file=str(self._files[0]))


class _HeardRefusal(ssl.SSLObject):
    """A handshake that tells the other side why it is refused: the event loop ends the connection without sending the alert.

    So the first failure only asks for more, upon which what waits is sent, and whatever comes next ends the connection.
    """

    _refusal: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._refusal = error
            raise ssl.SSLWantReadError from error


def _loaded(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """A context of TLS 1.2 and newer that shows the certificate. Raises SettingsError for files that no client would accept."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_nobody_is_asked)
        _seen_by_a_client(context, certificate)
    except (OSError, ValueError) as error:
        raise SettingsError(_told(certificate, key, error)) from None
    return context


def _accept(context: ssl.SSLContext, client_ca: Path, *, required: bool) -> None:
    try:
        context.load_verify_locations(client_ca)
    except OSError as error:
        raise SettingsError(
            f"CONSENSUS_TLS_CLIENT_CA names {client_ca}, which holds no certificate that can be read ({error}). Name a file "
            "in PEM with the certificates of the authorities."
        ) from None
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL


def _seen_by_a_client(context: ssl.SSLContext, certificate: Path) -> dict[str, Any]:
    """What a client that trusts the certificate sees of it, by a handshake in memory. Raises SSLError where it would refuse it."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is trusted, whoever issued it
    client.load_verify_locations(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    for side in (asking, context.wrap_bio(to_server, to_client, server_side=True)) * 2:
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return asking.getpeercert() or {}


def _told(certificate: Path, key: Path | None, error: Exception) -> str:
    said = str(error).lower()
    files = f"{certificate} and {key}" if key else f"{certificate}, which should hold the key too,"
    told = next((told for signs, told in _FAULTS if any(sign in said for sign in signs)), "")
    told = told or "cannot be used. Name files in PEM: the certificate, and its key"
    return f"CONSENSUS_TLS_CERTIFICATE and CONSENSUS_TLS_KEY: {files} {told} ({error})."


def _too_open(key: Path) -> list[str]:
    others = key.stat().st_mode & (stat.S_IRWXO)
    return [f"Everybody on this machine can read the key {key}. Take that away: chmod o= {key}"] if others else []


def _ending(context: ssl.SSLContext, certificate: Path) -> list[str]:
    ends = str(_seen_by_a_client(context, certificate).get("notAfter", ""))
    if not ends or ssl.cert_time_to_seconds(ends) - time.time() > _SOON_SECONDS:
        return []
    return [
        f"The certificate {certificate} ends on {ends}. Renew it in place: the server loads it within {LOOK_SECONDS} s."
    ]


def _state_of(certificate: Path, key: Path | None) -> tuple[tuple[int, int, int], ...]:
    """What changes with the files; a file that is away for a moment has changed."""
    found = []
    for file in (certificate, key or certificate):
        try:
            state = file.stat()
            found.append((state.st_mtime_ns, state.st_size, state.st_ino))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)


def _nobody_is_asked() -> str:
    """In place of a password, so that OpenSSL asks for none at a terminal."""
    raise ValueError("the key has a password")
