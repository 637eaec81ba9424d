"""Environments of a company: proxies that answer nobody, in every form that a variable has."""

from itertools import product

DEAD = "http://127.0.0.1:9"
"""Nobody listens there: traffic to it is refused at once."""

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
ALL_VARIABLES = (*PROXY_VARIABLES, "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")

FORMS = {
    **{name: {name: DEAD} for name in (*PROXY_VARIABLES, *map(str.lower, PROXY_VARIABLES))},
    "socks": {"ALL_PROXY": "socks5://127.0.0.1:9", "all_proxy": "socks5://127.0.0.1:9"},
    "no scheme": {"http_proxy": "127.0.0.1:9"},
    "a kind that is none": {"HTTP_PROXY": "htp://127.0.0.1:9"},
    "everything": {
        **{case(name): DEAD for name, case in product(PROXY_VARIABLES, (str.upper, str.lower))},
        "all_proxy": "socks5://127.0.0.1:9",
        "NO_PROXY": "fd00::/8,10.0.0.0/40",
        "SSL_CERT_FILE": "/nowhere/ca.pem",
    },
}


def set_environment(monkeypatch, **variables):
    """These variables about proxies and certificates, and no others."""
    for name in ALL_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
