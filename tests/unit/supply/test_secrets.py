"""No file of the repository holds a key or a token: private keys, and tokens in the forms of those who issue them."""

import math
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\s*(?P<secret>[A-Za-z0-9+/=:,\s-]{20,})")
TOKENS = re.compile(
    rb"""(?<![A-Za-z0-9])(?P<secret>
      gh[pousr]_[A-Za-z0-9]{36,} | github_pat_\w{22,} | glpat-[\w-]{20,}     # code hosting
    | (?:AKIA|ASIA)[A-Z0-9]{16} | AIza[\w-]{35}                              # clouds
    | xox[abprs]-[\w-]{10,}                                                  # chat
    | sk-[\w-]{20,} | hf_[A-Za-z0-9]{30,} | pypi-[\w-]{50,}                  # inference APIs, hubs, indexes
    | eyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16,}                               # JSON Web Tokens
    )""",
    re.VERBOSE,
)
NAMED = re.compile(rb"(?i)(?:token|secret|password|api_?key)[\"']?\s*[:=]\s*[\"'](?P<secret>[\w+/=-]{32,})[\"']")
BITS_PER_CHARACTER = 3.0
"""Made-up tokens of tests (`sk-aaaa`, words with hyphens) lie below, drawn ones above."""

ALLOWED = {
    ("tests/integration/http/conftest.py", "operator"): "words, the token of a server that lives for a test",
    ("tests/integration/inference/test_pull_mode.py", "sk-the-s"): "words, the key of an upstream that is a stand-in",
    ("tests/support/panels.py", "operator"): "words, the token of a server that lives for a test",
}
"""File and how it begins -> why what looks like a secret there is none."""


def entropy(text):
    """Bits per character, 0 for one repeated character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def secrets_in(content):
    """Whatever looks like a secret in the bytes of a file, shortened, so that a report is no second copy."""
    found = [match["secret"] for pattern in (KEY, TOKENS, NAMED) for match in pattern.finditer(content)]
    return [each[:8].decode() for each in found if entropy(each) >= BITS_PER_CHARACTER]


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_no_tracked_file_holds_a_secret():
    held = {
        (file.relative_to(ROOT).as_posix(), start)
        for file in tracked()
        if file.is_file()
        for start in secrets_in(file.read_bytes())
    }
    assert held - ALLOWED.keys() == set()
    assert ALLOWED.keys() - held == set(), "an exception that nothing needs"


DRAWN = "q7Zt4Xw9Lk2Vb8Nc5Rm1Hs6Jd3Fg0PyTaUeK"


@pytest.mark.parametrize(
    "planted",
    [
        "-----BEGIN " + "PRIVATE KEY-----\n" + DRAWN + "\n",
        "-----BEGIN OPENSSH " + "PRIVATE KEY-----\n" + DRAWN + "\n",
        "gh" + "p_" + DRAWN,
        "sk" + "-proj-" + DRAWN,
        "h" + "f_" + DRAWN,
        "AK" + "IA" + "Q7ZT4XW9LK2VB8NC",
        ".".join(["ey" + "J" + DRAWN, "ey" + "J" + DRAWN, DRAWN]),
        "operator_" + f'token: "{DRAWN}"',
    ],
)
def test_a_planted_one_is_found(planted):
    assert secrets_in(f"before {planted} after".encode())


@pytest.mark.parametrize("harmless", ["sk-" + "a" * 40, f"token = '{'0' * 64}'", "ghp_short", f"sha256:{'0f' * 32}"])
def test_what_is_none_is_left_alone(harmless):
    assert secrets_in(harmless.encode()) == []
