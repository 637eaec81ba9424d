"""`consensus bundle` and `consensus verify-round`: a published round in one file, and what can be checked of it."""

from pathlib import Path
from typing import Annotated

import typer

from client_kit.cli.connection import FederationOption, ServerOption, TokenFileOption, connect
from client_kit.cli.looking import PublishedOption, last_published
from client_kit.command_line import JsonOption, print_json, say
from client_kit.errors import ConfigurationError
from client_kit.showing_checks import BundleArgument, ServerKeyOption, show_verified
from client_kit.storage import for_its_owner
from client_kit.verifying import DECISION, Check, Outcome, verify


def bundle(
    *,
    server: ServerOption,
    out: Annotated[Path, typer.Option("--out", help="New file, which only you can read.", metavar="FILE")],
    number: PublishedOption = None,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything of a published round that you may see into one file, for `verify-round`.

    An operator sees all texts, a participant its own and the pseudo-labels, an observer digests.

    Example: consensus bundle --server http://127.0.0.1:8000 --token-file token --round 3 --out round-3.zip
    """
    with connect(server, token_file, federation) as client:
        chosen = number or last_published(client)
        data = client.bundle(chosen)
    try:
        with open(out, "xb", opener=for_its_owner) as stream:
            stream.write(data)
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written: {error.strerror}; name a new file") from None
    if as_json:
        print_json({"round": chosen, "file": str(out), "bytes": len(data)})
    else:
        say(f"Round {chosen} is in {out} ({len(data):,} bytes). Check it: consensus verify-round {out}")


def verify_round(file: BundleArgument, *, server_key: ServerKeyOption = None, as_json: JsonOption = False) -> None:
    """Check a bundle: its bytes, the server's signature, the participants' signatures, and texts against their seals.

    Whether these texts give these labels is decided by consensus-server verify-round. Ends with exit code 1 where anything
    that was checked is wrong.

    Example: consensus verify-round round-3.zip
    """
    found = verify(file.read_bytes(), server_key)
    undecided = Check(DECISION, Outcome.NOT_CHECKED, "consensus-server verify-round decides the round again")
    show_verified(found, (undecided,), as_json=as_json)
