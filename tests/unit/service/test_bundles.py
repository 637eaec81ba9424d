"""Run bundles: the same bytes twice, only what the reader may see, and no change that passes."""

import io
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_kit.bundles import MANIFEST, open_bundle, write_bundle
from client_kit.verifying import Contents, Outcome, verify
from client_kit.vocabulary import Role
from client_kit.wire import RoundStatement, SealRecord, SignedRound, canonical_json, lines_digest
from consensus_server.cli.verifying import _decision, federation_of
from consensus_server.core.consensus import Policy
from consensus_server.core.errors import AggregationRefused, RoundNotPublished
from consensus_server.service.contradictions import pinned
from consensus_server.service.recomputing import decided_again
from consensus_server.settings import Settings
from tests.support.databases import open_sqlite
from tests.support.service import OPERATOR, Service
from tests.support.signing import key_of, register, signed

SERVER, MALLORY, ANNA = key_of("s"), key_of("m"), key_of("a")
SAYS = {
    "anna": {"p-0": "Yes, the sea is salty.", "p-1": "It opens at nine o'clock.", "p-2": "Rain bends light."},
    "bert": {"p-0": "Yes, the sea is salty indeed.", "p-1": "It opens at nine.", "p-2": "Light is bent by rain."},
    "carl": {"p-0": "Yes, the sea is salty.", "p-1": "It opens at ten o'clock.", "p-2": "Nobody knows."},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Two published rounds of three sites, of which one signs; the second has reputations, and a taught site."""
    store = open_sqlite(tmp_path_factory.mktemp("store"))
    yield two_rounds(store)
    store.close()


def two_rounds(store):
    service = Service(store, signing_key=SERVER)
    policy = pinned(Policy(abstain=False))
    callers = service.found(sites=list(SAYS), contributors_only=True, policy=policy)
    register(service, callers[0], ANNA)
    for number in (1, 2):
        service.open()
        service.store_answers(callers[0], SAYS["anna"], number)
        service.seal(callers[0], number, signature=signed(service, callers[0], ANNA, number))
        service.submit(callers[1], SAYS["bert"], number)
        service.submit(callers[2], SAYS["carl"], number, taught_through=number - 1)
        service.worker.run_once()
    return service


def bundle_of(service, caller=OPERATOR, number=2):
    stream = io.BytesIO()
    service.bundles.write(caller, "clinics", number, stream)
    return stream.getvalue()


@pytest.fixture(scope="module")
def whole(service):
    return bundle_of(service)


def outcomes(data, key=SERVER.public):
    return {check.name: check.outcome.value for check in verify(data, key).checks}


def failed(data, key=SERVER.public):
    """Names and details of the checks that failed."""
    return {check.name: check.detail for check in verify(data, key).checks if check.outcome is Outcome.FAILED}


def packed(opened, changes, **told):
    """The bundle with other members and a manifest that fits them: what whoever forges one would hand on."""
    stream = io.BytesIO()
    about = {name: value for name, value in opened.about.items() if name not in {"format", "members"}} | told
    write_bundle(stream, about, {name: [content] for name, content in (opened.members | changes).items()})
    return stream.getvalue()


def test_a_bundle_is_the_same_bytes_twice_and_everything_in_it_holds(service, whole):
    assert whole == bundle_of(service)
    assert outcomes(whole) == dict.fromkeys(
        ("file", "server", "terms", "prompts", "card", "labels", "seals", "signatures", "answers", "basis"), "passed"
    )
    assert open_bundle(whole).about["texts_of"] == ["anna", "bert", "carl"]
    assert "compare it" in next(check.detail for check in verify(whole).checks if check.name == "server")


@pytest.mark.parametrize("number", [1, 2])
def test_its_texts_give_its_labels(service, number):
    contents = Contents(open_bundle(bundle_of(service, number=number)))
    again = decided_again(contents, federation_of(contents), service.encoder)
    assert (again.digest, contents.card.labels) == (contents.card.labels, contents.stated.labels)
    assert [each.line for each in again.records] == contents.opened.lines("labels.jsonl")


def test_another_encoder_does_not_decide_it(service, whole):
    contents = Contents(open_bundle(whole))
    with pytest.raises(AggregationRefused):
        decided_again(contents, replace(federation_of(contents), encoder="0" * 64), service.encoder)


@pytest.mark.parametrize(
    ("who", "texts_of", "absent"),
    [
        ("bert", ["bert"], {"basis.jsonl"}),
        ("idle", [], {"basis.jsonl", "answers.jsonl", "labels.jsonl"}),
        ("olga", [], {"basis.jsonl", "answers.jsonl", "labels.jsonl"}),
    ],
)
def test_a_member_is_told_what_it_may_see(service, who, texts_of, absent):
    role = Role.OBSERVER if who == "olga" else Role.PARTICIPANT
    known = [each.name for each in service.participants.all(OPERATOR, "clinics")]
    if who not in known:
        service.join(who, role=role)
    caller = service.access.identify(service.participants.renew_token(OPERATOR, "clinics", who).token)
    data = bundle_of(service, caller)
    opened = open_bundle(data)
    assert opened.about["texts_of"] == texts_of
    assert not absent & opened.members.keys()
    assert set(outcomes(data).values()) == {"passed", "not checked"}
    told = b"".join(opened.members.values()).decode()
    assert ("carl" in told, SAYS["carl"]["p-2"] in told) == (True, False)


def test_before_publication_there_is_none(service):
    service.open()
    with pytest.raises(RoundNotPublished):
        bundle_of(service, number=3)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_one_changed_byte_anywhere_is_found(whole, data):
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda each: each != whole[place]))
    changed = whole[:place] + bytes([byte]) + whole[place + 1 :]
    assert outcomes(changed) == {"file": "failed"}


def test_a_changed_byte_is_named_with_its_member(whole):
    for name, content in open_bundle(whole).members.items():
        place = whole.index(content) + len(content) // 2
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        assert failed(changed)["file"].startswith(f"{name}: ")
    assert failed(whole[:-1])["file"].startswith("container: ")
    assert failed(b"")["file"].startswith(("container: ", MANIFEST))


def rows_of(opened, name):
    return [json.loads(line) for line in opened.lines(name)]


def joined(rows):
    return "".join(f"{canonical_json(row)}\n" for row in rows).encode()


def swapped_label(opened):
    first, second, *rest = rows_of(opened, "labels.jsonl")
    return {"labels.jsonl": joined([first | {"text": second["text"]}, second | {"text": first["text"]}, *rest])}


def reordered_labels(opened):
    return {"labels.jsonl": joined(reversed(rows_of(opened, "labels.jsonl")))}


def downgraded_policy(opened):
    terms = json.loads(opened.members["federation.json"])
    terms["policy"]["abstain"] = True
    return {"federation.json": canonical_json(terms).encode()}


def eased_terms(opened):
    terms = json.loads(opened.members["federation.json"])
    return {"federation.json": canonical_json(terms | {"quorum": 1}).encode()}


def other_card(opened):
    card = json.loads(opened.members["card.json"])
    card["counts"]["admitted"] += 1
    return {"card.json": canonical_json(card).encode()}


def other_prompt(opened):
    first, *rest = rows_of(opened, "prompts.jsonl")
    return {"prompts.jsonl": joined([first | {"prompt": "Question 9?"}, *rest])}


def other_answer(opened):
    first, *rest = rows_of(opened, "answers.jsonl")
    return {"answers.jsonl": joined([first | {"text": "No."}, *rest])}


def anothers_answer(opened):
    first, second, *rest = rows_of(opened, "answers.jsonl")
    names = first | {"participant": second["participant"]}, second | {"participant": first["participant"]}
    return {"answers.jsonl": joined([*names, *rest])}


def missing_answer(opened):
    return {"answers.jsonl": joined(rows_of(opened, "answers.jsonl")[1:])}


def reordered_seals(opened):
    return {"seals.jsonl": joined(reversed(rows_of(opened, "seals.jsonl")))}


def seal_without_signature(opened):
    first, *rest = rows_of(opened, "seals.jsonl")
    return {"seals.jsonl": joined([first | {"signature": None, "statement": None}, *rest])}


def better_reputation(opened):
    rows = rows_of(opened, "basis.jsonl")
    return {"basis.jsonl": joined([{**row, "mean": 9.0} if row["kind"] == "reputation" else row for row in rows])}


FORGED = {
    swapped_label: "labels", reordered_labels: "labels", downgraded_policy: "terms", eased_terms: "terms",
    other_card: "card", other_prompt: "prompts", other_answer: "answers", anothers_answer: "answers",
    missing_answer: "answers", reordered_seals: "seals", seal_without_signature: "seals", better_reputation: "basis",
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGED, ids=lambda each: each.__name__)
def test_a_bundle_that_was_written_anew_with_a_change_is_found_by_what_was_signed(whole, forge):
    opened = open_bundle(whole)
    changed = forge(opened)
    assert opened.members | changed != opened.members
    assert FORGED[forge] in failed(packed(opened, changed))


def resigned(opened, key, changes, **statement):
    """The bundle as a server of this key would have signed it, with other members."""
    members = opened.members | changes
    old = RoundStatement.read(SignedRound.read(opened.members["signature.json"]).statement)
    seals = lines_digest(members["seals.jsonl"].decode().splitlines())
    new = old.model_copy(update={"seals": seals, **statement})
    by = SignedRound(statement=new.text(), signature=key.sign(new))
    return packed(opened, changes | {"signature.json": canonical_json(by.model_dump(mode="json")).encode()})


def test_a_round_that_another_server_signed_is_told(whole):
    forged = resigned(open_bundle(whole), MALLORY, {})
    assert list(failed(forged)) == ["server"]
    assert MALLORY.public in failed(forged)["server"]
    assert failed(forged, None) == {}  # without a key that is known, it can only be shown
    assert failed(whole, MALLORY.public)


def test_a_server_that_lies_cannot_sign_for_a_participant(service, whole):
    opened, earlier = open_bundle(whole), open_bundle(bundle_of(service, number=1))
    first, *rest = rows_of(opened, "seals.jsonl")
    old = rows_of(earlier, "seals.jsonl")[0]
    replayed = {"seals.jsonl": joined([first | {"statement": old["statement"], "signature": old["signature"]}, *rest])}
    assert "signed another number" in failed(resigned(opened, SERVER, replayed))["signatures"]
    fewer = {"seals.jsonl": joined([first | {"count": 2}, *rest])}
    assert "signed another count" in failed(resigned(opened, SERVER, fewer))["signatures"]
    forged = json.loads(canonical_json(first))
    forged["signature"]["key"] = MALLORY.public
    other = {"seals.jsonl": joined([forged, *rest])}
    assert "not one of its statement" in failed(resigned(opened, SERVER, other))["signatures"]
    strange = SealRecord.model_validate(first).model_copy(update={"participant": "dora"})
    added = {"seals.jsonl": joined([first, *rest, strange.model_dump(mode="json")])}
    assert "signatures" in failed(resigned(opened, SERVER, added))


def test_a_key_signs_for_its_time_only(whole):
    opened = open_bundle(whole)
    (key,) = rows_of(opened, "keys.jsonl")
    late = {"keys.jsonl": joined([key | {"registered_at": "2031-01-01T00:00:00Z"}])}
    assert "not its key when it sealed" in failed(resigned(opened, SERVER, late))["signatures"]
    none = {"keys.jsonl": b""}
    assert "not its key when it sealed" in failed(resigned(opened, SERVER, none))["signatures"]


def test_answers_cannot_hide_behind_a_manifest_that_does_not_name_them(whole):
    opened = open_bundle(whole)
    hidden = packed(opened, other_answer(opened), texts_of=["bert", "carl"])
    assert "answers of anna, whose texts are said not to be here" in failed(hidden)["answers"]


def test_what_was_erased_is_told_and_nothing_looks_like_a_change(tmp_path):
    store = open_sqlite(tmp_path)
    service = two_rounds(store)
    for number in (1, 2):
        service.erasures.erase(OPERATOR, "clinics", "carl")
        data = bundle_of(service, number=number)
        assert open_bundle(data).about["texts_of"] == ["anna", "bert"]
        found = {check.name: check for check in verify(data, SERVER.public).checks}
        assert [name for name, check in found.items() if check.outcome is Outcome.FAILED] == []
        assert found["answers"].detail.endswith("; the server says that those of carl were erased since")
        unmade = {name for name, check in found.items() if check.outcome is Outcome.NOT_CHECKED}
        assert unmade <= {"labels", "basis"}
        assert _decision(verify(data), Settings()).detail == "texts that it was decided from were erased since"
        changed = open_bundle(data)
        assert "answers" in failed(packed(changed, other_answer(changed)))
    store.close()
