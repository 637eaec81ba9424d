"""The panels file: what is refused is named with its line, and secrets are named, never held."""

from textwrap import dedent

import pytest

from consensus_server.panel_settings import WatchedPanels, load_panels, upstream_key
from consensus_server.panel_wiring import build_inference, build_upstreams
from consensus_server.settings import SettingsError, load_settings

GOOD = """\
upstreams:
  llama:
    base_url: http://localhost:8001/v1
    model: llama-3
    api_key_env: LLAMA_KEY
  qwen:
    base_url: https://example.org/v1
    model: qwen-3
    api_key_file: keys/qwen
panels:
  triage:
    upstreams: [llama, qwen]
    deadline_seconds: 5
    policy: {rule: hybrid}
callers:
  shop:
    token_hash: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    panels: [triage]
"""


def write(folder, text):
    path = folder / "panels.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return path


def test_a_file_is_read_with_paths_beside_it(tmp_path):
    content = load_panels(write(tmp_path, GOOD))
    assert content.panels["triage"].quorum == 2
    assert content.upstreams["qwen"].api_key_file == tmp_path / "keys" / "qwen"
    policy = content.panels["triage"].policy
    assert (policy.rule, policy.guards, policy.reliability) == ("hybrid", False, False)


def test_how_a_panel_asks_is_in_its_fingerprint_and_what_says_nothing_of_it_keeps_its_own(tmp_path):
    def panel(changed):
        text = _without_keys(GOOD.replace("deadline_seconds: 5", changed))
        settings = load_settings({}, panels_file=write(tmp_path, text))
        return build_inference(settings, lambda: None).panels(None)[0]

    plain, adaptive = panel("memory: null"), panel("memory: null\n    strategy: adaptive\n    hedge_seconds: usual")
    assert plain.fingerprint == "fp_5b362cc32715"
    assert (plain.adaptive, plain.memory) == (None, None)
    assert panel("deadline_seconds: 6").fingerprint == plain.fingerprint  # of two there is nothing to remember
    assert adaptive.fingerprint != plain.fingerprint
    assert (adaptive.adaptive.first, adaptive.adaptive.lead, adaptive.adaptive.hedge_late) == (4, 3.0, True)


def test_guards_are_on_where_the_file_says_so(tmp_path):
    text = GOOD.replace("{rule: hybrid}", "{rule: hybrid, guards: true}")
    assert load_panels(write(tmp_path, text)).panels["triage"].policy.guards


def test_upstreams_panels_and_callers_may_have_any_name(tmp_path):
    text = GOOD.replace("llama:", "no:").replace("[llama, qwen]", "[no, qwen]").replace("triage", "1")
    content = load_panels(write(tmp_path, text))
    assert content.panels["1"].upstreams == ["no", "qwen"]
    assert content.callers["shop"].panels == ["1"]


FAULTS = {
    "repeated upstream": ("  qwen:\n", "  llama:\n", r"line 6: 'llama' stands already in line 2; keep one of them"),
    "unknown upstream": (
        "[llama, qwen]",
        "[llama, qwin]",
        r"line 12: panels.triage.upstreams.1: there is no upstream 'qwin'; there are llama, qwen",
    ),
    "unknown panel": ("[triage]", "[triag]", r"line 18: callers.shop.panels.*there is no panel 'triag'"),
    "unknown rule": ("hybrid", "best", r"line 14: panels.triage.policy: policy.rule: there is no 'best'"),
    "retired clusterer": (
        "rule: hybrid",
        "clusterer: kmeans",
        r"line 14: panels.triage.policy.clusterer: there is no 'kmeans' any more.*leave the field out",
    ),
    "misspelt field": ("deadline_seconds", "dedline_seconds", r"line 13: panels.triage.dedline_seconds: Extra"),
    "quorum out of reach": (
        "deadline_seconds: 5",
        "quorum: 3",
        r"line 11: .*the quorum is 3, but there are only 2 upstreams",
    ),
    "twice the same": ("[llama, qwen]", "[llama, llama]", r"line 11: .*each upstream has one vote; named twice: llama"),
    "first out of reach": (
        "deadline_seconds: 5",
        "strategy: adaptive\n    first: 3",
        r"line 11: .*first is 3, but there are only 2 to ask",
    ),
    "quorum beyond first": (
        "deadline_seconds: 5",
        "strategy: adaptive\n    first: 1",
        r"line 11: .*the quorum is 2, but first is 1",
    ),
    "first without adaptive": (
        "deadline_seconds: 5",
        "first: 2",
        r"line 11: .*first: for strategy: adaptive only",
    ),
    "fallback in the panel": (
        "deadline_seconds: 5",
        "fallback: qwen",
        r"line 11: .*the fallback qwen answers in the panel already",
    ),
    "fallback unknown": ("deadline_seconds: 5", "fallback: gpt", r"line 13: .*there is no upstream 'gpt'"),
    "no fallback": ("deadline_seconds: 5", "fallback_on_abstention: true", r"line 11: .*there is no fallback"),
    "cheapest without prices": (
        "deadline_seconds: 5",
        "strategy: adaptive\n    first: 2\n    order: cheapest",
        r"price_per_million is missing in llama, qwen",
    ),
    "money without prices": (
        "panels: [triage]",
        "budget: {money: 3}",
        r"caller shop has a budget in money, but price_per_million is missing in llama, qwen",
    ),
    "budget of nothing": (
        "panels: [triage]",
        "budget: {per: day}",
        r"line 18: .*a budget limits tokens, money or both",
    ),
    "no address": ("http://localhost:8001/v1", "localhost", r"line 3: upstreams.llama.base_url"),
    "two keys": ("model: qwen-3", "model: qwen-3\n    api_key_env: K", r"line 6: .*both set; name one"),
    "a token in the open": ("9f86d081884c", "my-own-token", r"line 17: callers.shop.token_hash"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_told_with_its_line(tmp_path, kind):
    before, after, message = FAULTS[kind]
    assert before in GOOD
    with pytest.raises(SettingsError, match=message):
        load_panels(write(tmp_path, GOOD.replace(before, after)))


def test_policies_of_version_0_1_0_mean_what_they_meant(tmp_path):
    text = GOOD.replace("{rule: hybrid}", "{rule: mean_nearest, clusterer: average_linkage}")
    policy = load_panels(write(tmp_path, text)).panels["triage"].policy
    assert (policy.rule, hasattr(policy, "clusterer")) == ("medoid", False)
    inference = build_inference(load_settings({}, panels_file=write(tmp_path, _without_keys(text))), lambda: None)
    as_of_today = GOOD.replace("hybrid", "medoid")
    today = build_inference(load_settings({}, panels_file=write(tmp_path, _without_keys(as_of_today))), lambda: None)
    assert inference.panels(None)[0].fingerprint == today.panels(None)[0].fingerprint


def _without_keys(text):
    return text.replace("    api_key_env: LLAMA_KEY\n", "").replace("    api_key_file: keys/qwen\n", "")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.yaml"):
        build_inference(load_settings({}, panels_file=tmp_path / "nowhere.yaml"), lambda: None)


def test_a_missing_key_names_upstream_and_source(tmp_path, monkeypatch):
    monkeypatch.delenv("LLAMA_KEY", raising=False)
    content = load_panels(write(tmp_path, GOOD))
    with pytest.raises(SettingsError, match="key of the upstream llama is not in the environment variable LLAMA_KEY"):
        upstream_key("llama", content.upstreams["llama"])
    with pytest.raises(SettingsError, match=r"key of the upstream qwen is not in .*keys/qwen"):
        upstream_key("qwen", content.upstreams["qwen"])


async def test_keys_are_read_where_the_file_says_and_shown_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMA_KEY", "secret-of-llama\n")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "qwen").write_text("secret-of-qwen", encoding="utf-8")
    content = load_panels(write(tmp_path, GOOD))
    upstreams = build_upstreams(content)
    shown = repr(content) + repr(upstreams) + repr([vars(each) for each in upstreams.values()])
    assert upstream_key("llama", content.upstreams["llama"]) == "secret-of-llama"
    assert "secret-of" not in shown
    for each in upstreams.values():
        await each.close()


def test_the_fingerprint_changes_with_what_answers_depend_on_only(tmp_path):
    def fingerprint(text):
        inference = build_inference(load_settings({}, panels_file=write(tmp_path, _without_keys(text))), lambda: None)
        return inference.panels(None)[0].fingerprint

    first = fingerprint(GOOD)
    assert fingerprint(GOOD.replace("deadline_seconds: 5", "deadline_seconds: 9")) == first
    of_three = GOOD.replace("[llama, qwen]", "[llama, qwen, third]").replace(
        "upstreams:\n", "upstreams:\n  third: {base_url: http://127.0.0.1:1/v1, model: m}\n", 1
    )
    forgets = ("deadline_seconds: 5", "memory: null")
    for rule, remembers in (("hybrid", True), ("cluster_medoid", False)):
        text = of_three.replace("hybrid", rule)
        assert (fingerprint(text) != fingerprint(text.replace(*forgets))) is remembers
    assert fingerprint(GOOD.replace("qwen-3", "qwen-4")) != first
    assert fingerprint(GOOD.replace("hybrid", "medoid")) != first


def test_a_file_is_read_again_when_it_or_a_key_of_it_changes(tmp_path):
    path = tmp_path / "panels.yaml"
    upstreams = "upstreams: {llama: {base_url: http://127.0.0.1:1/v1, model: m, api_key_file: key}}\n"
    path.write_text(upstreams, encoding="utf-8")
    (tmp_path / "key").write_text("first", encoding="utf-8")
    watched = WatchedPanels(path)
    assert watched.changed() is None
    (tmp_path / "key").write_text("the second", encoding="utf-8")
    assert watched.changed() is watched.file
    path.write_text(upstreams + "panels: {one: {upstreams: [llama], quorum: 1}}\n", encoding="utf-8")
    assert set(watched.changed().panels) == {"one"}
    assert watched.changed() is None


def test_a_change_that_cannot_be_used_is_told_once_and_the_file_before_stays(tmp_path):
    path = tmp_path / "panels.yaml"
    path.write_text("panels: {}\n", encoding="utf-8")
    watched = WatchedPanels(path)
    before = watched.file
    for content, fault in (("panels: {one: {}}\n", "panels.one.upstreams"), (None, "panels.yaml")):
        path.unlink() if content is None else path.write_text(content, encoding="utf-8")
        with pytest.raises(SettingsError, match=fault):
            watched.changed()
        assert watched.changed() is None
        assert watched.file is before
    path.write_text("panels:   {}\n", encoding="utf-8")
    assert watched.changed() == before


async def test_an_upstream_that_a_change_leaves_alone_goes_on_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMA_KEY", "k")
    path = write(tmp_path, _without_keys(GOOD))
    inference = build_inference(load_settings({}, panels_file=path), lambda: None)
    before = {each.name: each for each in inference.panels(None)[0].upstreams}
    path.write_text(_without_keys(GOOD).replace("qwen-3", "qwen-30"), encoding="utf-8")
    await inference.renew()
    after = {each.name: each for each in inference.panels(None)[0].upstreams}
    assert after["llama"] is before["llama"]
    assert after["qwen"] is not before["qwen"]
    await inference.close()


async def test_an_upstream_that_no_panel_asked_for_a_while_is_connected_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMA_KEY", "k")
    text = _without_keys(GOOD)
    path = write(tmp_path, text)
    inference = build_inference(load_settings({}, panels_file=path), lambda: None)
    before = {each.name: each for each in inference.panels(None)[0].upstreams}
    for changed in (text.replace("[llama, qwen]", "[llama]\n    quorum: 1"), text + "\n"):
        assert changed != text
        path.write_text(changed, encoding="utf-8")
        await inference.renew()
    after = {each.name: each for each in inference.panels(None)[0].upstreams}
    assert (after["llama"] is before["llama"], after["qwen"] is before["qwen"]) == (True, False)
    await inference.close()
