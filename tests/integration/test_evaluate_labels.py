"""The short form of the quality bench, with the stand-in encoder."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from consensus_server.cli import app
from consensus_server.core.consensus.confidence import CONFIDENCES
from consensus_server.core.consensus.meaning.equivalences import EQUIVALENCES
from consensus_server.core.consensus.rules import RULES
from consensus_server.evaluation.attacks import ATTACKS, kind_of
from consensus_server.evaluation.clusterers import CLUSTERERS

PROMPTS = Path(__file__).parents[2] / "prompts"
KEYS = (
    "file rule guards reliability panel_size attack attackers quality quality_low quality_high differences random best_single "
    "oracle coverage length_ratio length_adjusted_quality confidence auroc rank_correlation top_half_quality attack_success "
    "votes turned_away refusals facts policy"
)
QUICK = ("--panels", 2, "--encoder", "hashing", "--workers", 1, "--rules", "medoid")


@pytest.fixture
def judged(tmp_path):
    rng = np.random.default_rng(2)
    words = np.array([f"word{i}" for i in range(200)])
    rows = [
        {
            "prompt_id": f"p{p}",
            "prompt": " ".join(words[p : p + 8]),
            "model": f"m{k}",
            "output": " ".join([*words[p : p + 8], *rng.choice(words, 12)]),
            "preference": k / 5,
        }
        for p in range(12)
        for k in range(6)
    ]
    path = tmp_path / "judged.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def evaluate(*arguments):
    return CliRunner().invoke(app, ["evaluate-labels", *map(str, arguments)])


def test_rows_and_reports_are_written_and_embeddings_kept(judged, tmp_path):
    options = ["--panel-size", 4, "--panels", 3, "--encoder", "hashing", "--cache", tmp_path / "cache"]
    options += ["--rules", "hybrid,medoid", "--attacks", "injection,on_topic_copies_20", "--attackers", "1,2"]
    done = evaluate(judged, *options, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {tuple(row) for row in rows} == {tuple(KEYS.split())}
    assert len(rows) == (4 + 1) + 2 * 2 * 2
    assert {each["baseline"] for each in rows[3]["differences"]} == {"cluster_medoid", "vote", "without_guards"}
    assert "less cluster_medoid: " in done.output
    assert (tmp_path / "cache" / "embeddings.sqlite").is_file()
    again = evaluate(judged, *options, "--out", tmp_path / "again")
    assert again.exit_code == 0
    assert json.loads((tmp_path / "again" / "results.json").read_text()) == rows


def test_a_policy_of_a_file_is_measured_as_a_federation_would_take_it(judged, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("rule: medoid\nguards: true\ndistance_long: 0.4\n")
    options = ["--panels", 2, "--panel-size", 4, "--encoder", "hashing", "--workers", 1, "--cache", tmp_path]
    options += [
        "--policy",
        policy,
        "--set",
        "distance-short=0.1",
        "--against",
        "guards=false",
        "--confidence",
        "evidence",
    ]
    done = evaluate(judged, *options, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    (row,) = json.loads((tmp_path / "out" / "results.json").read_text())
    wanted = {"rule": "medoid", "guards": True, "distance_long": 0.4, "distance_short": 0.1, "confidence": "evidence"}
    assert row["policy"].items() >= wanted.items()
    assert not row["policy"]["abstain"]
    assert "against" in {each["baseline"] for each in row["differences"]}
    assert "  less against: " in done.output


def test_what_a_file_lacks_is_said(tmp_path):
    """A model with a gap, grades from 1 to 5, a prompt without text, and answers that state nothing under their equivalence."""
    rows = [
        {"prompt_id": f"p{p}", "prompt": "" if p < 2 else "How many?", "model": f"m{k}", "output": "No idea at all here.",
         "preference": 1 + (p + k) % 5, "equivalence": "final_answer"}
        for p in range(6) for k in range(5) if (p, k) != (3, 4)
    ]  # fmt: skip
    path = tmp_path / "foreign.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    options = [*QUICK, "--panel-size", 4, "--cache", tmp_path, "--out", tmp_path / "out"]
    assert "--scale 1-5" in " ".join(evaluate(path, *options).output.split())
    assert "--drop-incomplete leaves out" in " ".join(evaluate(path, *options, "--scale", "1-5").output.split())
    done = evaluate(path, *options, "--scale", "1-5", "--drop-incomplete")
    assert done.exit_code == 0, done.output
    (row,) = json.loads((tmp_path / "out" / "results.json").read_text())
    assert row["facts"] == {
        "models": 5, "prompts": 5, "left_out_models": 0, "left_out_prompts": 1, "empty_prompts": 2, "keyed": 25,
        "states_nothing": 25, "equivalence": "final_answer",
    }  # fmt: skip
    assert 0.9 < row["oracle"] <= 1
    told = " ".join(done.output.split())
    report = (tmp_path / "out" / "report.md").read_text()
    for said in (
        "25 of 25 answers state nothing under `final_answer`",
        "0 models and 1 prompts were left out",
        "2 of 5 prompts are empty",
    ):
        assert said in told
        assert said in report


def test_made_questions_are_judged_by_their_gold_answers_and_voted_on(tmp_path):
    path = tmp_path / "questions.jsonl"
    made = CliRunner().invoke(
        app, ["make-questions", str(path), "--prompts", "80", "--participants", "10", "--seed", "7"]
    )
    assert made.exit_code == 0, made.output
    options = ["--panel-size", 8, "--panels", 6, "--encoder", "hashing", "--cache", tmp_path / "cache", "--workers", 1]
    qualities = {}
    for equivalence in ("final_answer", "exact"):
        out = tmp_path / equivalence
        done = evaluate(path, *options, "--rules", "vote,medoid", "--equivalence", equivalence, "--out", out)
        assert done.exit_code == 0, done.output
        rows = json.loads((out / "results.json").read_text())
        qualities[equivalence] = {
            row["rule"]: row["quality"] for row in rows if not row["guards"] and not row["reliability"]
        }
        assert "Plotly.newPlot" in (out / "report.html").read_text()
    assert qualities["final_answer"]["vote"] > qualities["exact"]["vote"]
    assert qualities["final_answer"]["vote"] > qualities["final_answer"]["medoid"]


def test_a_calibration_goes_from_judged_answers_into_a_federation(tmp_path, monkeypatch):
    monkeypatch.setenv("CONSENSUS_DATA_DIR", str(tmp_path / "server"))
    questions = tmp_path / "questions.jsonl"
    CliRunner().invoke(app, ["make-questions", str(questions), "--prompts", "40", "--participants", "8"])
    options = ["--panel-size", 6, "--panels", 4, "--encoder", "hashing", "--cache", tmp_path / "cache", "--workers", 1]
    out = tmp_path / "out"
    confidence = ["--confidence", "dominant_share"]
    done = evaluate(
        questions, *options, "--rules", "hybrid,random", *confidence, "--calibrate", "--risk", 0.3, "--out", out
    )
    assert done.exit_code == 0, done.output
    assert "Expected calibration error on held-out prompts" in " ".join(done.stderr.split())
    written = json.loads((out / "calibration.json").read_text())
    assert written["fitted_to"] | {"rule": "hybrid", "guards": True, "reliability": True} == written["fitted_to"]
    assert written["calibration"]["source"] == hashlib.sha256(questions.read_bytes()).hexdigest()
    assert written["ece_after"] < 0.5

    def command(*arguments):
        done = CliRunner().invoke(app, [*map(str, arguments)])
        return done.exit_code, done.output

    assert command("database", "upgrade")[0] == 0
    code, output = command("prompt-set", "add", PROMPTS / "pocket" / "1.1")
    assert code == 0, output
    create = ["federation", "create", "clinics", "--prompt-set", "pocket", "--encoder", "hashing"]
    code, output = command(*create, "--confidence", "semantic_entropy", "--calibration", out / "calibration.json")
    assert code == 2
    assert "fitted to the confidence 'dominant_share'" in " ".join(output.split())
    assert command(*create, "--calibration", questions)[0] == 4
    code, output = command(
        *create, *confidence, "--rule", "medoid", "--no-guards", "--calibration", out / "calibration.json"
    )
    assert code == 2
    assert "fitted to rule=hybrid, not rule=medoid; guards=True, not guards=False" in " ".join(output.split())
    code, output = command(*create, *confidence, "--calibration", out / "calibration.json", "--json")
    assert code == 0, output
    assert json.loads(output)["policy"]["calibration"] == written["calibration"]
    code, output = command("federation", "list", "--json")
    assert json.loads(output)["items"][0]["policy"]["calibration"] == written["calibration"]


def test_a_calibration_is_of_one_file(judged, tmp_path):
    done = evaluate(
        judged, judged, "--calibrate", "--encoder", "hashing", "--cache", tmp_path, "--out", tmp_path / "out"
    )
    assert done.exit_code == 2
    assert "takes one FILE" in done.output


def test_several_kinds_of_task_have_a_calibration_each(judged, tmp_path):
    rows = [json.loads(line) for line in judged.read_text().splitlines()]
    kinds = {"p0": "rare"} | {f"p{p}": "odd" if p % 2 else "even" for p in range(1, 12)}
    worth = {"m5": 1, "m4": 1}
    judged.write_text(
        "\n".join(
            json.dumps(row | {"kind": kinds[row["prompt_id"]], "preference": worth.get(row["model"], 0)})
            for row in rows
        )
    )
    options = [*QUICK, "--panel-size", 4, "--cache", tmp_path, "--out", tmp_path / "out", "--calibrate"]
    done = evaluate(judged, *options)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").glob("calibration*")) == [
        "calibration-even.json", "calibration-odd.json", "calibration.json",
    ]  # fmt: skip
    assert json.loads((tmp_path / "out" / "calibration-odd.json").read_text())["fitted_to"]["kind"] == "odd"
    assert "No calibration for rare: 1 prompts" in " ".join(done.output.split())
    again = evaluate(judged, *options, "--set", f"calibration={tmp_path / 'out' / 'calibration.json'}")
    assert again.exit_code == 2
    assert "--set calibration=null" in again.output


def test_a_file_of_questions_that_cannot_be_written_is_named(tmp_path):
    made = CliRunner().invoke(app, ["make-questions", str(tmp_path / "none" / "questions.jsonl")])
    assert made.exit_code == 4
    assert "cannot be written" in " ".join(made.output.split())


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--rules", "median"], 2, "there is no median"),
        (["--attacks", "flood"], 2, "there is no flood"),
        (["--confidence", "surely"], 2, "there is no surely"),
        (["--equivalence", "alike"], 2, "there is no alike"),
        (["--attacks", "injection", "--attackers", "9"], 2, "give numbers from 1 to 7"),
        (["--attacks", "all", "--attackers", ""], 2, "give numbers from 1 to 7"),
        (["--clusterer", ""], 2, "--clusterer '': give one name"),
        (["--confidence", "dominant_share,semantic_entropy"], 2, "give one name"),
        (["--coverage", "0.8"], 2, "only applies with --calibrate"),
        (["--risk", "0.2"], 2, "only applies with --calibrate"),
        (["--calibrate", "--risk", "0.2", "--coverage", "0.8"], 2, "Give --risk or --coverage, not both"),
        (["--panel-size", "7"], 1, "needs as many models"),
        (["--scale", "5"], 2, "give the least and the greatest preference, such as 1-5"),
        (["--set", "distance_long=3"], 2, "distance_long: Input should be less than 2"),
        (["--set", "abstain"], 2, "not of the form FIELD=VALUE"),
        (["--set", "rule=median"], 2, "policy.rule: there is no 'median'"),
        (["--against", "distance=1"], 2, "distance: Extra inputs are not permitted"),
        (["--against", "nowhere.yaml"], 4, "cannot read nowhere.yaml"),
    ],
)
def test_what_cannot_be_run_is_said(judged, tmp_path, options, code, message):
    done = evaluate(judged, "--encoder", "hashing", "--cache", tmp_path, "--out", tmp_path / "out", *options)
    assert done.exit_code == code
    assert message in " ".join(done.output.split())


def test_attackers_are_asked_for_with_attacks_only(judged, tmp_path):
    done = evaluate(judged, *QUICK, "--cache", tmp_path, "--out", tmp_path / "out", "--panel-size", 4)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("option", ["--out", "--cache"])
@pytest.mark.parametrize("below", [(), ("folder",)])
def test_a_folder_that_cannot_be_made_is_named(judged, tmp_path, option, below):
    folders = {"--out": tmp_path / "out", "--cache": tmp_path / "cache"} | {option: judged.joinpath(*below)}
    done = evaluate(judged, *QUICK, *(each for pair in folders.items() for each in pair))
    assert done.exit_code == 4, done.output
    assert f"{option} {judged.joinpath(*below)} cannot be used" in " ".join(done.output.split())


def test_names_and_numbers_given_twice_are_taken_once(judged, tmp_path):
    options = [*QUICK[:-2], "--cache", tmp_path, "--out", tmp_path / "out", "--panel-size", 4]
    options += ["--rules", "medoid,medoid", "--attacks", "injection,injection", "--attackers", "2,2"]
    assert evaluate(judged, judged, *options).exit_code == 0
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(row["rule"], row["attack"], row["attackers"]) for row in rows] == [
        ("medoid", None, 0),
        ("medoid", "injection", 2),
    ]


def test_files_of_one_name_are_told_apart_by_their_folders(judged, tmp_path):
    files = [tmp_path / "ours" / "judged.jsonl", tmp_path / "theirs" / "judged.jsonl", tmp_path / "others.jsonl"]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(judged.read_bytes())
    out = tmp_path / "out"
    assert evaluate(*files, *QUICK, "--cache", tmp_path, "--out", out, "--panel-size", 4).exit_code == 0
    names = ["ours/judged.jsonl", "theirs/judged.jsonl", "others.jsonl"]
    assert [row["file"] for row in json.loads((out / "results.json").read_text())] == names
    report = (out / "report.md").read_text()
    assert [line.removeprefix("## ") for line in report.splitlines() if line.startswith("## ")] == names


def test_the_help_lists_what_can_be_named():
    page = "".join(re.sub("[│]", " ", evaluate("--help").output).split())
    for name in [*RULES, *map(kind_of, ATTACKS), *CONFIDENCES, *CLUSTERERS, *EQUIVALENCES]:
        assert name in page
    assert "NAME_20" in page
    assert "NAME_20_good_name" in page


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_quality_wants_a_file_and_passes_options_on():
    def make(*arguments):
        command = ["make", "quality", "VENV=none", "PYTHON=false", *arguments]
        return subprocess.run(command, cwd=PROMPTS.parent, capture_output=True, text=True, check=False)

    unnamed = make()
    assert unnamed.returncode == 2
    assert "make quality FILE=answers.jsonl.gz" in unnamed.stdout
    printed = make("FILE=judged.jsonl", "ARGS=--rules hybrid", "--dry-run").stdout
    assert 'evaluate-labels "judged.jsonl" --out quality --rules hybrid' in printed


def test_a_bad_file_is_named(tmp_path):
    done = evaluate(tmp_path / "none.jsonl", "--encoder", "hashing", "--cache", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 4
    assert "none.jsonl" in done.output


def test_what_adaptive_panels_save_and_change_is_measured(judged, tmp_path):
    options = [
        "--adaptive",
        "--panel-size",
        5,
        "--panels",
        1,
        "--prompts",
        6,
        "--encoder",
        "hashing",
        "--first",
        3,
        "--lead",
        2,
    ]
    done = evaluate(judged, *options, "--cache", tmp_path / "cache", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out" / "adaptive.json").read_text())
    assert [(row["order"], row["prompts"], row["first"]) for row in rows] == [("listed", 3, 3), ("reliable", 3, 3)]
    assert all(0.6 <= row["calls"] <= 1 and row["verbatim"] <= row["same"] for row in rows)
    refused = evaluate(judged, "--adaptive", "--panel-size", 3, "--out", tmp_path / "out")
    assert "--first 4: a panel has 3 participants" in " ".join(refused.output.split())


def test_panels_that_learn_are_measured_and_other_measures_are_refused(judged, tmp_path):
    out = tmp_path / "out"
    options = ("--panel-memory", "--panels", 3, "--panel-size", 4, "--encoder", "hashing", "--contradictions", "none")
    assert "less the best upstream" in evaluate(judged, "--out", out, "--cache", tmp_path, *options).stdout
    [row] = json.loads((out / "panel-memory.json").read_text())["rows"]
    assert (row["panel_size"], row["judged"], row["quality"] <= 1) == (4, 6, True)
    refused = evaluate(judged, "--out", out, "--cache", tmp_path, *options, "--rules", "medoid", "--calibrate")
    told = " ".join(refused.output.replace("│", " ").split())
    assert (refused.exit_code, "not by --rules, --calibrate" in told) == (2, True)
