"""Settings -> who is taken for whom by the word of an identity provider."""

from importlib.util import find_spec

from consensus_server.core.identities import SERVER, IdentityRules
from consensus_server.ports import Clock
from consensus_server.service.identities import Identities
from consensus_server.settings import Settings, SettingsError, names_in


def build_identities(settings: Settings, clock: Clock) -> Identities | None:
    """None where the settings name no issuer. Raises SettingsError."""
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_audience:
        raise SettingsError(
            "CONSENSUS_OIDC_ISSUER is set: set CONSENSUS_OIDC_AUDIENCE too, or tokens for others would be taken."
        )
    if find_spec("joserfc") is None:
        raise SettingsError("CONSENSUS_OIDC_ISSUER needs an optional extra: pip install 'semantic-consensus[oidc]'")
    from consensus_server.backends.identity_provider import SigningKeys  # noqa: PLC0415 - the extra

    rules = IdentityRules(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        groups_claim=settings.oidc_groups_claim,
        groups=dict(map(_group, names_in(settings.oidc_groups))),
        participant_claim=settings.oidc_participant_claim,
    )
    return Identities(SigningKeys(settings.oidc_issuer), rules, clock)


def _group(entry: str) -> tuple[str, str]:
    group, _, acts_as = (part.strip() for part in entry.rpartition("="))
    federation, _, participant = acts_as.partition("/")
    if not group or not (acts_as == SERVER or (federation and participant)):
        raise SettingsError(
            f"CONSENSUS_OIDC_GROUPS has {entry!r}; write GROUP={SERVER} or GROUP=FEDERATION/PARTICIPANT, with commas between."
        )
    return group, acts_as
