"""Certificates in files, by what the server knows them by."""

import ssl
from hashlib import sha256
from pathlib import Path

from client_kit.errors import FaultyFile
from client_kit.input_files import read_file

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def fingerprint_of(file: Path) -> str:
    """SHA-256 of the first certificate of a file in PEM: the one that is shown. Raises FaultyFile."""
    _, begin, rest = read_file(file).partition(_BEGIN)
    content, end, _ = rest.partition(_END)
    try:
        return sha256(ssl.PEM_cert_to_DER_cert(begin + content + end)).hexdigest()
    except ValueError:
        raise FaultyFile(f"{file} holds no certificate in PEM") from None
