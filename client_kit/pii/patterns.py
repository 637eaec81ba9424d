"""The built-in detector: personal data whose form tells what it is. Names, places and the like need a tool made for them."""

import ipaddress
import re
from collections.abc import Iterator

from client_kit.pii.findings import Finding

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}(?![\w@])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(r"(?<![\w-])(?:\d{13,19}|\d{4}(?:[ -]\d{4}){3}|3[47]\d\d[ -]\d{6}[ -]\d{5})(?![\w-])")
_PHONE = re.compile(
    r"(?<![\w+])(?<!\d[ -])(?:"
    r"(?:\+|00)[1-9](?:[ ()/.-]{0,2}\d){7,14}"  # with the country
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4}"  # North America
    r"|\(?0\d{1,4}\)?[ /-]\d{3,}(?:[ -]?\d{2,})+"  # with an area code that begins with 0
    r")(?![\w-])"
)
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:]|\.\d)"
)
_VERSION = re.compile(r"(?:version|release|v)\s*$", re.IGNORECASE)

_COUNTRY_LAST = 4


def find_patterns(text: str) -> Iterator[Finding]:
    """E-mail addresses, IBANs, card numbers, telephone numbers and IP addresses."""
    yield from (Finding(*match.span(), "email") for match in _EMAIL.finditer(text))
    yield from _ibans(text)
    yield from (Finding(*match.span(), "card") for match in _CARD.finditer(text) if _is_card(match[0]))
    yield from (Finding(*match.span(), "phone") for match in _PHONE.finditer(text))
    yield from (
        Finding(*match.span(), "ip")
        for match in _ADDRESS.finditer(text)
        if _is_address(match[0]) and not _VERSION.search(text, 0, match.start())
    )


def _ibans(text: str) -> Iterator[Finding]:
    """An IBAN may be followed by words in capitals: it ends where its check digits are right."""
    for match in _IBAN.finditer(text):
        ends = [match.end(), *(match.start() + gap.start() for gap in re.finditer(" ", match[0]))]
        for end in sorted(ends, reverse=True):
            if _is_iban(text[match.start() : end]):
                yield Finding(match.start(), end, "iban")
                break


def _is_iban(text: str) -> bool:
    """ISO 13616: the number, letters as 10 to 35 and the first four characters last, leaves 1 when divided by 97."""
    plain = text.replace(" ", "")
    turned = plain[_COUNTRY_LAST:] + plain[:_COUNTRY_LAST]
    return len(plain) >= 15 and int("".join(str(int(each, 36)) for each in turned)) % 97 == 1  # noqa: PLR2004


def _is_card(text: str) -> bool:
    """ISO/IEC 7812: a first digit of payment cards, and the check digit of Luhn."""
    digits = [int(each) for each in text if each.isdigit()]
    doubled = [each if place % 2 == 0 else sum(divmod(2 * each, 10)) for place, each in enumerate(reversed(digits))]
    return digits[0] in {2, 3, 4, 5, 6} and sum(doubled) % 10 == 0


def _is_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
