"""TLS: whom to trust, by SSL_CERT_FILE and SSL_CERT_DIR, and as whom to appear, by a client certificate."""

import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from client_kit.errors import ConfigurationError

CERTIFICATE_VARIABLE = "CONSENSUS_CLIENT_CERTIFICATE"
KEY_VARIABLE = "CONSENSUS_CLIENT_KEY"
_TRUSTED = ("SSL_CERT_FILE", "SSL_CERT_DIR")

_SIGNS = (
    (
        ("hostname mismatch", "ip address mismatch", "certificate has expired"),
        "its certificate does not hold for this address or day. Correct the address, or tell who runs the server.",
    ),
    (
        ("alert certificate expired",),
        f"the client certificate that it was shown has expired. Renew the file that {CERTIFICATE_VARIABLE} names.",
    ),
    (
        ("certificate_verify_failed",),
        "its certificate is not trusted. Name the certificate of the authority that issued it in SSL_CERT_FILE.",
    ),
    (
        (
            *("alert certificate required", "alert bad certificate", "alert unknown ca"),
            *("no required ssl certificate", "ssl certificate error"),
        ),
        f"it asks for a client certificate that it knows. Set {CERTIFICATE_VARIABLE}, or client_certificate of the endpoint.",
    ),
    (("wrong version number",), "it speaks no TLS. Write http:// where it is meant."),
)
"""What a failure of TLS says, in small letters, and what to tell."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What shows a server, or the proxy before it, who asks. Files in PEM; the key has no password."""

    file: Path
    """The certificate, and those that lead to its authority."""
    key: Path | None = None
    """Its private key; None: it stands in `file`."""

    @classmethod
    def named(cls, file: Path | None, key: Path | None) -> "ClientCertificate | None":
        """As settings name it; None where they name none. Raises ConfigurationError for a key alone."""
        if file is None and key is not None:
            raise ConfigurationError(f"client_key names {key}, and there is no certificate: set client_certificate too")
        return None if file is None else cls(file, key)

    @classmethod
    def of_environment(cls) -> "ClientCertificate | None":
        """As CONSENSUS_CLIENT_CERTIFICATE and CONSENSUS_CLIENT_KEY name it."""
        file, key = os.environ.get(CERTIFICATE_VARIABLE), os.environ.get(KEY_VARIABLE)
        return cls(Path(file), Path(key) if key else None) if file else None


@dataclass(frozen=True, slots=True)
class EnvironmentFault:
    """A variable that makes requests fail."""

    variable: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable} {self.cause}. {self.remedy[:1].upper()}{self.remedy[1:]}."


def tls_context(certificate: ClientCertificate | None = None) -> ssl.SSLContext | None:
    """For addresses of https; None where nothing is set, so that the HTTP library takes its own.

    certificate: None for the environment's. Raises OSError for authorities, ConfigurationError for a client certificate
    that cannot be used.
    """
    shown = certificate or ClientCertificate.of_environment()
    if not (shown or any(map(os.environ.get, _TRUSTED))):
        return None
    context = httpx.create_ssl_context()
    if shown:
        _show(shown, context)
    return context


def told_of_tls(said: str) -> str:
    """Cause and remedy of a connection that failed over certificates, by what the library or a server's page says; else empty."""
    found = (advice for signs, advice in _SIGNS if any(sign in said.lower() for sign in signs))
    return next(found, "")


def faults_of_certificates() -> list[EnvironmentFault]:
    """What is wrong with the variables about certificates, as they are now."""
    return [*_of_trusted(), *_of_shown()]


def _show(certificate: ClientCertificate, context: ssl.SSLContext) -> None:
    try:
        # An empty password, so that nobody is asked for one at a terminal.
        context.load_cert_chain(certificate.file, certificate.key, password=lambda: "")
    except (OSError, ValueError) as error:
        key = f" with the key {certificate.key}" if certificate.key else ", which should hold its key too,"
        raise ConfigurationError(
            f"the client certificate {certificate.file}{key} cannot be used ({error}). Name files in PEM that belong "
            "together, the key without a password"
        ) from error


def _of_trusted() -> Iterator[EnvironmentFault]:
    for name in _TRUSTED:
        value = os.environ.get(name)
        if value and name == "SSL_CERT_DIR":  # several folders are taken, and those that are missing passed over
            value = next((each for each in value.split(os.pathsep) if os.access(each, os.R_OK)), value)
        if value and not os.access(Path(value), os.R_OK):
            yield EnvironmentFault(
                name, f"names {value}, which cannot be read", "correct the path, or unset the variable"
            )
        elif value and not _loads(value):
            yield EnvironmentFault(name, f"names {value}, which holds no certificate", "name a file in PEM")


def _loads(file_or_folder: str) -> bool:
    try:
        ssl.create_default_context().load_verify_locations(
            **{"capath" if Path(file_or_folder).is_dir() else "cafile": file_or_folder}
        )
    except OSError:
        return False
    return True


def _of_shown() -> Iterator[EnvironmentFault]:
    certificate = ClientCertificate.of_environment()
    if certificate is None and os.environ.get(KEY_VARIABLE):
        yield EnvironmentFault(
            KEY_VARIABLE, "names a key, and there is no certificate", f"name it in {CERTIFICATE_VARIABLE}"
        )
    if certificate is None:
        return
    try:
        _show(certificate, ssl.create_default_context())
    except ConfigurationError as error:
        cause, _, remedy = str(error).partition(". ")
        yield EnvironmentFault(CERTIFICATE_VARIABLE, f"is wrong: {cause}", remedy)
