"""What the claims of a verified token are worth here."""

from datetime import UTC, datetime

import pytest

from consensus_server.core.errors import IdentityRefused
from consensus_server.core.identities import IdentityRules, identity_in

NOW = datetime(2030, 1, 1, tzinfo=UTC)
AT = NOW.timestamp()
RULES = IdentityRules(
    issuer="https://id.example.org",
    audience="consensus",
    groups={"admins": "server", "leads": "clinics/boss"},
    participant_claim="site",
)
CLAIMS = {
    "iss": RULES.issuer, "sub": "ada", "aud": ["other", "consensus"], "exp": AT + 60, "nbf": AT, "iat": AT,
    "groups": ["staff", "leads"],
}  # fmt: skip


def test_who_asks_and_as_whom():
    found = identity_in(CLAIMS, RULES, NOW)
    assert (found.title, found.acts_as) == ("https://id.example.org ada", "clinics/boss")
    assert found.expires_at.timestamp() == AT + 60


@pytest.mark.parametrize(
    ("claims", "acts_as"),
    [
        ({"groups": "admins"}, "server"),
        ({"groups": ["leads", "admins"], "site": "clinics/anna"}, "server"),
        ({"groups": None, "site": "clinics/anna"}, "clinics/anna"),
        ({"groups": ["leads"], "site": ["clinics/boss"]}, "clinics/boss"),
    ],
)
def test_groups_and_the_claim_say_as_whom(claims, acts_as):
    assert identity_in(CLAIMS | claims, RULES, NOW).acts_as == acts_as


FAULTS = {
    "another issuer": ({"iss": "https://id.example.org/"}, "another issuer"),
    "no issuer": ({"iss": None}, "another issuer"),
    "another audience": ({"aud": "other"}, "another audience"),
    "an audience that begins alike": ({"aud": ["consensus2"]}, "another audience"),
    "no audience": ({"aud": None}, "another audience"),
    "expired": ({"exp": AT - 61}, "has expired"),
    "no end": ({"exp": None}, "no claim exp"),
    "an end without end": ({"exp": float("inf")}, "exp of the token is no time"),
    "an end of words": ({"exp": "tomorrow"}, "exp of the token is no time"),
    "an end that is true": ({"exp": True}, "exp of the token is no time"),
    "an end after all calendars": ({"exp": 1e300}, "exp of the token is no time"),
    "not before": ({"nbf": AT + 61}, "not valid yet"),
    "issued in the future": ({"iat": AT + 3600}, "not valid yet"),
    "no subject": ({"sub": None}, "no claim sub"),
    "a subject that breaks lines": ({"sub": "ada\nroot"}, "no claim sub"),
    "a subject without end": ({"sub": "a" * 256}, "no claim sub"),
    "nobody": ({"groups": ["staff"]}, "nobody here"),
    "groups of another form": ({"groups": {"admins": True}}, "nobody here"),
    "two": ({"site": "banks/anna"}, "several participants"),
    "a claim that names the server": ({"groups": [], "site": "server"}, "nobody here"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_anything_else_is_refused_with_the_cause(fault):
    claims, told = FAULTS[fault]
    with pytest.raises(IdentityRefused, match=told):
        identity_in(CLAIMS | claims, RULES, NOW)


@pytest.mark.parametrize("claims", [{"exp": AT - 59}, {"nbf": AT + 59}, {"iat": AT + 59}])
def test_clocks_may_differ_by_a_minute(claims):
    assert identity_in(CLAIMS | claims, RULES, NOW)


def test_without_a_claim_of_the_settings_none_is_read():
    rules = IdentityRules(issuer=RULES.issuer, audience="consensus")
    with pytest.raises(IdentityRefused, match="nobody here"):
        identity_in(CLAIMS | {"site": "clinics/anna", "": "clinics/anna"}, rules, NOW)
