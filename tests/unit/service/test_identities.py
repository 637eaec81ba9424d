"""Who is vouched for by an identity provider may do what the participant may as whom it acts, as long as both hold."""

import json
from datetime import timedelta

import pytest

from client_kit.vocabulary import Role, Scope
from consensus_server.core.errors import Forbidden, IdentityRefused, Unauthenticated, WrongCertificate
from consensus_server.core.identities import SKEW_SECONDS, IdentityRules
from consensus_server.service.access import Access
from consensus_server.service.identities import Identities
from tests.support.service import OPERATOR, OPERATOR_TOKEN

ISSUER = "https://id.example.org"
RULES = IdentityRules(
    issuer=ISSUER, audience="consensus", groups={"admins": "server", "leads": "clinics/boss"}, participant_claim="site"
)


class Provider:
    """Vouches for whatever stands in the token: JSON in hex, between two dots."""

    def claims(self, token):
        return json.loads(bytes.fromhex(token.strip(".")))


@pytest.fixture
def vouched(service):
    """Identifies by claims of a token that holds for a minute."""
    service.found(sites=["north", "south"])
    service.join("boss", role=Role.OPERATOR)
    service.open()
    access = Access(service.store, OPERATOR_TOKEN, service.clock, Identities(Provider(), RULES, service.clock))
    service.access = access

    def identify(certificate=None, **claims):
        ends = (service.clock.now() + timedelta(seconds=60)).timestamp()
        usual = {"iss": ISSUER, "aud": "consensus", "sub": "ada", "exp": ends}
        return access.identify(f".{json.dumps(usual | claims).encode().hex()}.", certificate)

    return identify


def test_a_participant_takes_part_and_an_operator_of_the_server_operates(service, vouched):
    north = vouched(site="clinics/north")
    assert (north.role, north.title) == (Role.PARTICIPANT, f"clinics/north ({ISSUER} ada)")
    service.submit(north, {"p-0": "Yes."})
    admin = vouched(groups=["admins"])
    service.participants.add(admin, "clinics", "east")
    assert admin.title == f"operator ({ISSUER} ada)"
    assert Scope.PANELS in admin.scopes
    with service.store.reading() as tx:
        assert json.loads(list(tx.audit.lines())[-1])["actor"] == admin.title
    with pytest.raises(Forbidden):
        service.rounds.close(north, "clinics", 1)
    with pytest.raises(Forbidden):
        service.store_answers(vouched(groups=["leads"]), {"p-0": "No."})


def inactive(service):
    service.participants.set_active(OPERATOR, "clinics", "north", active=False)


def bound(service):
    service.participants.bind(OPERATOR, "clinics", "north", {"c" * 64})


def over(service):
    service.clock.advance(60 + SKEW_SECONDS)


@pytest.mark.parametrize(
    ("ended", "kind"), [(inactive, Unauthenticated), (bound, WrongCertificate), (over, IdentityRefused)]
)
def test_what_is_under_way_ends_with_the_participant_and_with_the_token(service, vouched, ended, kind):
    north = vouched(site="clinics/north")
    ended(service)
    for call in (
        lambda: service.store_answers(north, {"p-0": "Yes."}),
        lambda: service.rounds.all(north, "clinics"),
        lambda: service.access.check(north),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert caught.type is kind


def test_an_operator_of_the_server_is_one_as_long_as_the_token_holds(service, vouched):
    admin = vouched(groups=["admins"])
    service.access.check(admin)
    over(service)
    for call in (lambda: service.access.check(admin), lambda: service.operators.add(admin, "eve")):
        with pytest.raises(IdentityRefused):
            call()


def test_a_bound_participant_needs_its_certificate_however_it_is_named(service, vouched):
    bound(service)
    with pytest.raises(WrongCertificate):
        vouched(site="clinics/north")
    assert vouched("c" * 64, site="clinics/north").participant.name == "north"


def test_nobody_makes_itself_a_token_that_outlives_the_providers_word(service, vouched):
    with pytest.raises(Forbidden, match="renewed there"):
        service.participants.renew_token(vouched(site="clinics/north"), "clinics", "north")
    assert service.participants.renew_token(vouched(groups=["leads"]), "clinics", "north").token


def test_tokens_of_the_server_are_found_as_before(service, vouched):
    issued = service.participants.renew_token(OPERATOR, "clinics", "south")
    assert service.access.identify(issued.token).identity is None
    assert service.access.identify(OPERATOR_TOKEN).title == "operator"
    with pytest.raises(IdentityRefused, match="too long"):
        service.access.identify("x" * 20_000 + "..")
