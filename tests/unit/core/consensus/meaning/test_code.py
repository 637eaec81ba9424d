"""Code means the same where its syntax tree does, names, comments and types aside."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus.meaning.code import code_key

PLAIN = "def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"
SAME = [
    (
        'Sure! Here it is:\n\n```python\ndef total(values: list[int]) -> int:\n    """Adds up."""\n    acc = 0  # so far\n'
        "    for value in values:\n        acc += value\n    return acc\n```\nCall `total([1])`."
    ),
    "```\ndef total(a):\n\n  b = (0)\n  for c in a: b += c\n  return b\n```\n\n```python\nprint(total)\n```",
    "def total(xs):\n    'Adds.'\n    s: int\n    s: int = 0\n    for x in xs:\n        s += x\n    return s",
]
OTHER = [
    PLAIN.replace("total", "summe"),
    PLAIN.replace("0", "1"),
    PLAIN.replace("s += x", "s -= x"),
    PLAIN.replace("return s", "return x"),
    PLAIN.replace("xs:", "ys:"),
]


@pytest.mark.parametrize("text", SAME)
def test_names_comments_types_and_fences_do_not_count(text):
    assert code_key(text) == code_key(PLAIN)


@pytest.mark.parametrize("text", OTHER)
def test_what_runs_otherwise_is_other_code(text):
    assert code_key(text) not in {None, code_key(PLAIN)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("f = lambda x, *y: (x, y)", "f = lambda a, *b: (a, b)"),
        ("r = {k: v for k, v in z if v}", "r = {a: b for a, b in z if b}"),
        (
            "def f(x):\n def g(y):\n  nonlocal x\n  x = y\n return g",
            "def f(a):\n def h(b):\n  nonlocal a\n  a = b\n return h",
        ),
        ("def f(v):\n match v:\n  case [a, *r]: return a, r", "def f(w):\n match w:\n  case [b, *s]: return b, s"),
        ("def f():\n try: g()\n except E as e: raise H from e", "def f():\n try: g()\n except E as x: raise H from x"),
        ("class A:\n x = 1\n def f(self): return self.x", "class A:\n x = 1\n def f(me): return me.x"),
        ("async def f(x):\n return await g(x)", "async def f(q):\n return await g(q)"),
    ],
)
def test_scopes(one, other):
    assert code_key(one) == code_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(x): return y", "def f(x): return z"),
        ("def f(x):\n global g\n g = x", "def f(x):\n global h\n h = x"),
        ("def f(a, b): return a", "def f(a, b): return b"),
        ("def f():\n import numpy\n return numpy", "def f():\n import scipy\n return scipy"),
        ("class A:\n x = 1\n def f(s): return x", "class A:\n x = 1\n def f(x): return x"),
        ("x = 1", "y = 1"),
    ],
)
def test_what_others_can_see_keeps_its_name(one, other):
    assert code_key(one) != code_key(other)


@pytest.mark.parametrize(
    "text", ["", "'only a text'", "no code here!", "```python\nx = \n```", "(" * 10**6, "-" * 50_000 + "1", "x\0"]
)
def test_what_is_no_python_has_no_key(text):
    assert code_key(text) is None


@settings(deadline=None)
@given(st.text(alphabet="abc=+()[]:\n \"'#0`"))
def test_any_text_is_borne(text):
    key = code_key(text)
    assert key is None or len(key) == 64


names = st.from_regex(r"[a-z]{2,8}_", fullmatch=True)


def at_depth(frames, text):
    return code_key(text) if not frames else at_depth(frames - 1, text)


@pytest.mark.parametrize(
    "text",
    [
        "if a:\n pass\n" + "elif b:\n pass\n" * 250,
        "x = 1" + " + 1" * 300,
        "x = " + "a and (b or " * 80 + "c" + ")" * 80,
        "x = " + "-" * 5000 + "1",
    ],
)
def test_deep_code_has_no_normal_form_whoever_asks(text):
    assert [at_depth(frames, text) for frames in (0, 100, 200)] == [None] * 3


@pytest.mark.parametrize(
    "text", ["if a:\n pass\n" + "elif b:\n pass\n" * 90, "x = 1" + " + 1" * 90, "f" + "(lambda: f" * 40 + ")" * 40]
)
def test_a_normal_form_does_not_depend_on_who_asks(text):
    keys = {at_depth(frames, text) for frames in (0, 100, 200)}
    assert len(keys) == 1
    assert None not in keys


@settings(deadline=None)
@given(names, names)
def test_names_of_locals_never_count(one, other):
    def program(local):
        return f"def total(xs):\n    {local} = [{local} + 1 for {local} in xs]\n    return {local}"

    assert code_key(program(one)) == code_key(program(other))
