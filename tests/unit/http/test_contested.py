"""What is told of a contested answer can be sent, whatever an upstream has said."""

import pytest

from consensus_server.core.inference import Reply
from consensus_server.core.labels import AnswerFate, ClusterShare
from consensus_server.http_api.openai_compat.contested import contested_fields


def fate(name, cluster):
    return AnswerFate(participant=name, sample=0, digest="0" * 64, admitted=True, cluster=cluster)


@pytest.mark.parametrize(
    ("said", "path", "told"),
    [
        (r'{"a": "x\ud800y"}', "/a", "xy"),
        (r'{"a": 2, "b\ud800": {"\udc00c": 1}}', "/b", {"c": 1}),
        ('{"a": ' + "1" * 400 + ".5}", "/a", int("1" * 399 + "2")),
    ],
)
def test_what_no_answer_could_hold_spoils_none(said, path, told):
    replies = {("u0", 0): Reply('{"a": 2}', "stop"), ("u1", 0): Reply(said, "stop")}
    shares = [ClusterShare(answers=1, votes=1.0, share=0.5)] * 2
    (field,) = contested_fields(shares, [fate("u0", 0), fate("u1", 1)], replies)
    assert (field.path, field.values[1].value) == (path, told)
    field.model_dump_json()
