"""The parameter path over HTTP: files in, aggregates out, and what is refused."""

import json

import numpy as np
import pytest

from client_kit.wire import ParameterCard
from client_kit.wire.parameters import METADATA_KEY
from consensus_server.core.parameters import aggregate
from consensus_server.service.tensor_files import file_digest, read_stated, read_tensors, write_tensors
from tests.support.adapters import BASE, lora_plan, reft_plan, update


def terms(plan):
    tensors = [{"name": spec.name, "shape": list(spec.shape)} for spec in plan.tensors]
    return {"method": plan.method, "base_model": plan.base_model, "tensors": tensors, "max_rank": plan.max_rank,
            "scaling": plan.scaling, "dtype": plan.dtype, "intervention": plan.intervention}  # fmt: skip


def file_of(sent, plan, base=BASE):
    return write_tensors(sent.tensors, plan.dtype, {"base_model": base, "rank": sent.rank, "examples": sent.examples})


def put(arena, participant, content, query=""):
    return arena.as_(participant).put(f"{arena.round}/parameters{query}", content=content)


def finish(arena):
    for participant in arena.tokens:
        assert arena.seal(participant).status_code == 200
    assert arena.live.aggregate()


@pytest.mark.parametrize("plan", [lora_plan("flora"), reft_plan(), reft_plan(dtype="BF16"), lora_plan(dtype="F16")])
def test_what_participants_send_comes_back_aggregated(live, new_arena, plan):
    names = ("anna", "bert", "cleo", "dora")
    arena = new_arena(live, participants=names, parameters=terms(plan))
    sent = {name: update(plan, name) for name in names}
    for name, one in sent.items():
        receipt = put(arena, name, file_of(one, plan)).json()
        assert (receipt["rank"], receipt["unchanged"]) == (4, False)
    finish(arena)
    as_sent = [type(one)(name, read_tensors(file_of(one, plan), plan.dtype), one.rank) for name, one in sent.items()]
    wanted = aggregate(as_sent, plan)
    tolerance = {"F32": 1e-5, "F16": 5e-3, "BF16": 5e-2}[plan.dtype]
    for name in names:
        response = arena.as_(name).get(f"{arena.round}/parameters")
        tensors, stated = read_tensors(response.content, plan.dtype), read_stated(response.content)
        assert response.headers["etag"] == f'"{file_digest(response.content)}"'
        assert stated.base_model == BASE
        for key, array in wanted.personal.get(name, wanted.common).items():
            assert tensors[key] == pytest.approx(array, abs=tolerance)
    card = ParameterCard.model_validate(arena.operator.get(f"{arena.round}/card").json()["parameters"])
    assert [(each.participant, each.rank) for each in card.updates] == [(name, 4) for name in names]


def test_what_is_withdrawn_takes_no_part_with_a_later_seal(live, new_arena):
    plan = lora_plan()
    arena = new_arena(live, parameters=terms(plan))
    first, second = (file_of(update(plan, "anna", seed=seed), plan) for seed in (0, 1))
    put(arena, "anna", first)
    assert arena.as_("anna").delete(f"{arena.round}/submissions").json() == {"withdrawn": 0}
    assert put(arena, "anna", second).json()["unchanged"] is False  # and no conflict with what was taken back
    assert arena.as_("anna").delete(f"{arena.round}/submissions").status_code == 200
    put(arena, "bert", file_of(update(plan, "bert"), plan))
    finish(arena)
    card = ParameterCard.model_validate(arena.operator.get(f"{arena.round}/card").json()["parameters"])
    assert [each.participant for each in card.updates] == ["bert"]


def test_an_aggregate_may_be_larger_than_what_one_caller_may_send(live, new_arena, monkeypatch):
    """Stacked factors grow with the participants, and nobody can fetch them in parts."""
    plan = lora_plan("flora")
    arena = new_arena(live, parameters=terms(plan))
    for name in arena.tokens:
        assert put(arena, name, file_of(update(plan, name), plan)).status_code == 200
    finish(arena)
    monkeypatch.setattr(live.context.memory, "caller_bytes", 1000)
    response = arena.as_("anna").get(f"{arena.round}/parameters")
    assert (response.status_code, len(response.content) > 1000) == (200, True)
    assert live.context.memory.held_bytes == 0


def test_bytes_on_the_wire_are_those_of_the_method(live, new_arena):
    """An update is its numbers and a header that does not grow with them."""
    plan = lora_plan()
    arena = new_arena(live, parameters=terms(plan))
    content = file_of(update(plan, "anna"), plan)
    numbers = sum(4 * int(np.prod(spec.extents(4))) for spec in plan.tensors)
    assert 0 < len(content) - numbers < 700
    put(arena, "anna", content)
    put(arena, "bert", file_of(update(plan, "bert"), plan))
    finish(arena)
    assert len(arena.as_("anna").get(f"{arena.round}/parameters").content) - numbers < 700
    traffic = {row["participant"]: row for row in arena.operator.get(f"{arena.round}/traffic").json()["items"]}
    assert traffic["anna"]["received_bytes"] > len(content)


def test_the_same_file_again_changes_nothing_and_another_one_is_a_conflict(live, new_arena, problem):
    plan = lora_plan()
    arena = new_arena(live, parameters=terms(plan))
    first, second = (file_of(update(plan, "anna", seed=seed), plan) for seed in (0, 1))
    assert put(arena, "anna", first).json()["unchanged"] is False
    assert put(arena, "anna", first).json()["unchanged"] is True
    problem(put(arena, "anna", second), 409, "answer_conflict")
    assert put(arena, "anna", second, "?replace=true").json()["digest"] == file_digest(second)
    arena.seal("anna")
    problem(put(arena, "anna", first, "?replace=true"), 409, "submission_sealed")
    assert put(arena, "anna", second).json()["unchanged"] is True


def test_only_what_is_sealed_is_aggregated(live, new_arena):
    plan = lora_plan()
    arena = new_arena(live, participants=("anna", "bert", "cleo"), parameters=terms(plan))
    sent = {name: update(plan, name) for name in arena.tokens}
    for name, one in sent.items():
        put(arena, name, file_of(one, plan))
    arena.seal("anna")
    arena.seal("bert")
    arena.operator.post(f"{arena.round}/close")
    assert arena.live.aggregate()
    tensors = read_tensors(arena.as_("cleo").get(f"{arena.round}/parameters").content, "F32")
    wanted = aggregate([sent["anna"], sent["bert"]], plan).common
    assert all(tensors[name] == pytest.approx(array, abs=1e-5) for name, array in wanted.items())


ODD_METADATA = [
    f'{{"base_model": "{BASE}", {odd}}}'
    for odd in (
        '"rank": 4, "examples": Infinity', '"rank": 4, "examples": -1', '"rank": 4, "examples": 9223372036854775808',
        '"rank": null', '"rank": "4"', '"rank": true', '"rank": -4', '"rank": 4, "examples": 0',
    )
] + ["null", "[]", "7"]  # fmt: skip


def with_metadata(content, stated):
    """A sound file with another text under the key of the metadata."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"][METADATA_KEY] = stated
    written = json.dumps(header).encode()
    return len(written).to_bytes(8, "little") + written + content[8 + size :]


def damaged(kind):
    plan, sent = lora_plan(), update(lora_plan(), "anna")
    content = file_of(sent, plan)
    header = json.dumps({"__metadata__": {METADATA_KEY: json.dumps({"base_model": BASE, "rank": 4})}}).encode()
    return {
        "text": b"no tensors at all, just words and more words",
        "cut off": content[:-40],
        "huge header": (2**40).to_bytes(8, "little") + content[8:],
        "no metadata": (2).to_bytes(8, "little") + b"{}",
        "no tensors": len(header).to_bytes(8, "little") + header,
        "pickle": b"\x80\x04\x95" + bytes(60),
        "another base model": file_of(sent, plan, base="c" * 64),
        "another dtype": write_tensors(sent.tensors, "F16", {"base_model": BASE, "rank": 4}),
        "nan": file_of(type(sent)("anna", {**sent.tensors, "0.q.lora_A": np.full((4, 12), np.nan)}, 4), plan),
        **{stated: with_metadata(content, stated) for stated in ODD_METADATA},
        "rank that is no number": write_tensors(sent.tensors, "F32", {"base_model": BASE, "rank": "four"}),
        "two of a rank": file_of(update(plan, "anna", rank=2), plan),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "ends before its header"),
        ("cut off", "not a sound safetensors file"),
        ("huge header", "ends before its header"),
        ("no metadata", "no 'semantic_consensus'"),
        ("no tensors", "tensor 0.q.lora_A: is missing"),
        ("pickle", "ends before its header"),
        ("another base model", "base_model: is cccccccccccc"),
        ("another dtype", "is F16; this federation exchanges F32"),
        ("nan", "holds NaN or infinity"),
        ("rank that is no number", "semantic_consensus.rank: Input should be a valid integer"),
        *((stated, "metadata cannot be used") for stated in ODD_METADATA),
        ("two of a rank", "rank: is 2; 4, the same for all"),
    ],
)
def test_a_faulty_file_is_refused_and_the_round_goes_on(live, new_arena, problem, kind, message):
    plan = lora_plan()
    arena = new_arena(live, participants=("anna", "bert", "cleo"), parameters=terms(plan))
    refused = problem(put(arena, "anna", damaged(kind)), 422, "parameters_refused")
    assert message in refused["detail"]
    for name in ("bert", "cleo"):
        put(arena, name, file_of(update(plan, name), plan))
    finish(arena)
    card = arena.operator.get(f"{arena.round}/card").json()["parameters"]
    assert [each["participant"] for each in card["updates"]] == ["bert", "cleo"]
    assert arena.as_("anna").get(f"{arena.round}/parameters").status_code == 200


def test_a_file_larger_than_the_plan_allows_is_refused(live, new_arena, problem):
    plan = lora_plan()
    arena = new_arena(live, parameters={**terms(plan), "max_bytes": 1000})
    assert (
        "at most 1000"
        in problem(put(arena, "anna", file_of(update(plan, "anna"), plan)), 422, "parameters_refused")["detail"]
    )


def test_a_file_larger_than_the_server_allows_is_not_read(start_server, new_arena, problem):
    plan = lora_plan()
    arena = new_arena(start_server("small", parameter_bytes=1024), parameters=terms(plan))
    problem(put(arena, "anna", file_of(update(plan, "anna"), plan)), 413, "body_too_large")


def test_a_federation_without_a_plan_takes_and_gives_none(arena, answer_rows, problem):
    problem(put(arena, "anna", b"x" * 100), 404, "no_parameters")
    arena.publish({"anna": answer_rows(), "bert": answer_rows()})
    problem(arena.as_("anna").get(f"{arena.round}/parameters"), 404, "no_parameters")


def test_a_round_in_which_nobody_sent_any_has_none_and_still_has_labels(live, new_arena, answer_rows, problem):
    arena = new_arena(live, parameters=terms(lora_plan()))
    arena.publish({"anna": answer_rows(), "bert": answer_rows()})
    problem(arena.as_("anna").get(f"{arena.round}/parameters"), 404, "no_parameters")
    assert arena.operator.get(f"{arena.round}/card").json()["parameters"]["updates"] == []


def test_before_publication_there_is_nothing_to_fetch(live, new_arena, problem):
    arena = new_arena(live, parameters=terms(lora_plan()))
    problem(arena.as_("anna").get(f"{arena.round}/parameters"), 409, "round_not_published")


def test_a_plan_by_which_nothing_could_be_exchanged_makes_no_federation(live, new_arena, problem):
    arena = new_arena(live)
    body = {"federation": "never", "prompt_set": arena.prompt_set, "parameters": terms(lora_plan("fedprox"))}
    assert (
        "there is no 'fedprox'"
        in problem(live.client().post("/v1/federations", json=body), 422, "validation_failed")["detail"]
    )


def test_a_file_that_is_not_news_is_not_sent(live, new_arena):
    plan = lora_plan()
    arena = new_arena(live, parameters=terms(plan))
    for name in arena.tokens:
        put(arena, name, file_of(update(plan, name), plan))
    finish(arena)
    tag = arena.as_("anna").get(f"{arena.round}/parameters").headers["etag"]
    again = arena.as_("anna", **{"if-none-match": tag}).get(f"{arena.round}/parameters")
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_a_file_is_the_same_to_the_last_byte_however_often_it_is_written(dtype):
    one = update(lora_plan(), "anna").tensors
    stated = {"base_model": BASE, "rank": 4, "examples": 7}
    files = {write_tensors(dict(items), dtype, stated) for items in (list(one.items()), list(one.items())[::-1])}
    assert len(files) == 1
    (content,) = files
    tensors = read_tensors(content, dtype)
    assert read_stated(content).model_dump() == stated
    error = {"F32": 2**-24, "F16": 2**-11, "BF16": 2**-8}[dtype]
    assert all(np.abs(tensors[k] - v).max() <= error * np.abs(v).max() for k, v in one.items())
