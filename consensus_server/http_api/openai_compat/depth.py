"""How many panels a question has passed, so that panels that ask one another in a circle come to an end."""

from starlette.requests import Request

from consensus_server.core.inference import DEEPEST, DEPTH_HEADER


class TooDeep(Exception):  # noqa: N818 - reads as what happened
    """The question came through too many panels."""


def depth_of(request: Request) -> int:
    """0 for a question that no panel has asked, and where the header tells nothing. Raises TooDeep."""
    told = request.headers.get(DEPTH_HEADER, "")
    depth = int(told) if told.isascii() and told.isdecimal() and len(told) < 4 else 0  # noqa: PLR2004 - digits
    if depth > DEEPEST:
        raise TooDeep(f"The question came through {depth} panels that ask one another; {DEEPEST} are answered.")
    return depth
