"""The environment variables `CONSENSUS_*` of both command lines, so that a misspelt one is told instead of passed over."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

PREFIX = "CONSENSUS_"

OF_THE_KIT = frozenset(
    {
        "SERVER",
        "FEDERATION",
        "TOKEN",
        "CLIENT_CERTIFICATE",
        "CLIENT_KEY",
        "COMPARISON_TOKEN",
        "ISSUER",
        "CLIENT_ID",
        "EGRESS",
    }
)

OF_THE_SERVER = frozenset(
    {
        *(
            "DATA_DIR",
            "DATABASE_URL",
            "DATABASE_SECONDS",
            "NLI_MODELS",
            "CORS_ORIGINS",
            "HOST",
            "PORT",
            "OPERATOR_TOKEN",
            "OPERATOR_TOKEN_FILE",
            "PANELS_FILE",
            "SIGNING_KEY_FILE",
            "LOG_LEVEL",
        ),
        *("ENCODER", "ENCODER_THREADS", "ENCODER_PREFIX", "ENCODER_TOKENS", "ENCODER_URL", "ENCODER_DIMENSION"),
        *("ENCODER_REVISION", "ENCODER_KEY_VARIABLE", "ENCODER_KEY_FILE", "LEASE_SECONDS", "POLL_SECONDS"),
        *("HEARTBEAT_SECONDS", "TRAFFIC_SECONDS", "IDLE_SECONDS", "WIRE_BYTES", "BODY_BYTES", "PARAMETER_BYTES"),
        *("BODY_SECONDS", "REQUEST_MEMORY_BYTES", "REQUESTS_AT_ONCE", "CONNECTIONS", "HEAD_SECONDS"),
        *("OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_GROUPS_CLAIM", "OIDC_GROUPS", "OIDC_PARTICIPANT_CLAIM"),
        *("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA", "TLS_CLIENT", "TRUSTED_PROXIES"),
        *("REQUESTS_PER_SECOND", "REQUEST_BURST", "THREADS"),
    }
)
"""A test holds it equal to the server's settings, which the kit does not import."""

_OF_OTHERS = re.compile(r"TEST_|DEMO_TEST$|.*(SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP))")
"""Of our tests, and what Kubernetes sets for a service named `consensus`."""


def unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """A line for each variable with our prefix that nothing reads, with the one that may be meant; empty ones are not set.

    A variable that another one names (`CONSENSUS_ENCODER_KEY_VARIABLE`) is read.
    """
    known, named = OF_THE_KIT | OF_THE_SERVER, set(environ.values())
    for variable, value in sorted(environ.items()):
        name = variable.removeprefix(PREFIX)
        if name == variable or not value or name in known or variable in named or _OF_OTHERS.match(name):
            continue
        close = get_close_matches(name, known, n=1)
        meant = f" Is {PREFIX}{close[0]} meant?" if close else ""
        yield f"Nothing reads the environment variable {variable}.{meant}"
