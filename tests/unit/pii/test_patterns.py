"""The built-in detector finds what its form tells, and leaves alone what only looks like it."""

import pytest

from client_kit.pii.findings import findings
from client_kit.pii.patterns import find_patterns


def found(text):
    return [(text[each.start : each.end], each.kind) for each in findings(find_patterns, text)]


@pytest.mark.parametrize(
    ("text", "what", "kind"),
    [
        ("Write to anna.b+x@clinic.example.org.", "anna.b+x@clinic.example.org", "email"),
        ("(müller@ärzte.de)", "müller@ärzte.de", "email"),
        ("Pay DE89 3704 0044 0532 0130 00 NOW", "DE89 3704 0044 0532 0130 00", "iban"),
        ("GB82WEST12345698765432", "GB82WEST12345698765432", "iban"),
        ("Card 4111 1111 1111 1111.", "4111 1111 1111 1111", "card"),
        ("378282246310005", "378282246310005", "card"),
        ("Call +49 (30) 1234-5678 today", "+49 (30) 1234-5678", "phone"),
        ("Call (212) 555-0123.", "(212) 555-0123", "phone"),
        ("Tel. 030 1234567", "030 1234567", "phone"),
        ("From 203.0.113.9, twice", "203.0.113.9", "ip"),
        ("at 2001:db8::8a2e:370:7334", "2001:db8::8a2e:370:7334", "ip"),
    ],
)
def test_what_is_found(text, what, kind):
    assert found(text) == [(what, kind)]


@pytest.mark.parametrize(
    "text",
    [
        "It was 10:30:45 on 01-02-2026, or 2026-02-01.",
        "a @ b, user@host, @someone and x@y.",
        "DE89 3704 0044 0532 0130 01 has wrong check digits",
        "AB12 IS A ROAD, AND SO IS CD34 TOO OR NOT",
        "4111 1111 1111 1112 has a wrong check digit",
        "Avogadro: 602214076000000000000000; a light year is 9460730472580800 m",
        "ISBN 978-3-16-148410-0, from 1914 to 1918, 299 792 458 m/s",
        "Section 1.2.3.4.5, version 1.2.3.4, 300.1.2.3 and 127.0.0.1",
        "std::vector and a::b::c, ratio 1:2:3",
        "00:1A:2B:3C:4D:5E",
        "01/2026 and 007",
        "+1 or -1, 1 + 2345678 = 2345679",
    ],
)
def test_what_only_looks_like_it(text):
    assert found(text) == []
