"""What participants state about record-level privacy. The server believes, adds up, and can check none of it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PrivacyStatement:
    """A participant's word on its own records; `client_kit.wire.PrivacyStatement` says what each field means."""

    epsilon: float
    delta: float
    accountant: str | None = None


@dataclass(frozen=True, slots=True)
class ParticipantPrivacy:
    """A participant that sealed, and what it stated, if anything."""

    participant: str
    stated: PrivacyStatement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyCard:
    """The statements of a round."""

    participants: tuple[ParticipantPrivacy, ...]
    """Those who sealed, by name."""
    epsilon: float | None
    delta: float | None


def privacy_card(stated: Mapping[str, PrivacyStatement | None]) -> PrivacyCard | None:
    """The statements together; None where nobody states anything.

    stated: by participant that sealed. A record lies at one site, and what the others do with that site's answers is
    post-processing (Dwork and Roth 2014, proposition 2.1). So the largest epsilon and the largest delta hold for every
    record of the federation, but only where no participant is silent; else both are None.
    """
    made = [each for each in stated.values() if each is not None]
    if not made:
        return None
    everybody = len(made) == len(stated)
    return PrivacyCard(
        participants=tuple(ParticipantPrivacy(name, stated[name]) for name in sorted(stated)),
        epsilon=max(each.epsilon for each in made) if everybody else None,
        delta=max(each.delta for each in made) if everybody else None,
    )
