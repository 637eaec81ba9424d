"""`consensus replay`: existing answers through the real service."""

from pathlib import Path
from typing import Annotated, Any

import typer

from client_kit.command_line import JsonOption, note, print_json, print_table, say
from client_kit.errors import ConfigurationError
from client_kit.federation.beforehand import check_policy
from client_kit.federation.replay import SERVER_FOLDER, Replay
from client_kit.federation.replay import replay as play
from client_kit.federation.replay_file import AnswerFile, draw_models, named_models, read_answer_file
from client_kit.federation.replay_results import label_rows, summarise, write_results
from client_kit.generation.losses import few
from client_kit.input_files import not_looked_at
from client_kit.showing import milder_policy
from client_kit.stages import shown
from client_kit.vocabulary import abstained
from client_kit.wire import ConsensusPolicy
from client_kit.wire.limits import MAX_ANSWER_CHARS

DEFAULT_MODELS = 8


def replay(  # noqa: PLR0917 - a command's options are its parameters
    file: Annotated[
        Path, typer.Argument(help="JSONL or JSONL.gz with prompt_id, prompt, model, output; preference if judged.")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the results and the server's database, used again on a rerun.")
    ],
    models: Annotated[
        int | None,
        typer.Option("--models", min=1, help=f"Models to draw from the file; {DEFAULT_MODELS} where none are named."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="A model that takes part; repeat for each.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    rule: Annotated[str, typer.Option(help="Rule that turns a pool into a pseudo-label.")] = ConsensusPolicy().rule,
    abstention: Annotated[
        bool,
        typer.Option(
            "--abstention/--no-abstention", help="Whether prompts without a clear meaning stay without a label."
        ),
    ] = True,
    encoder: Annotated[
        str | None, typer.Option(help="Encoder of the server; by default its own. `hashing` is a stand-in for tests.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play a whole round from a file of existing answers: a server starts here, each model is a participant.

    Writes pseudo_labels.jsonl, round_card.json and, where answers have a judged preference (0..1, null or -1 where the
    judge failed), summary.json. Only prompts and outputs reach the server. Needs the extra `server`.

    Example: consensus replay answers.jsonl.gz --models 8 --seed 7 --no-abstention --out replay
    """
    answers = read_answer_file(file)
    chosen = _chosen(answers, models, model or [], seed)
    policy = ConsensusPolicy(rule=rule, abstain=abstention)
    check_policy(policy, rule="--rule")
    _tell_what_is_left(file, answers)
    with shown(hidden=as_json) as observe:
        played = play(answers, chosen, out, policy=policy, encoder=encoder, observe=observe)
    rows = label_rows(played, answers)
    summary = summarise(rows, played, answers) if answers.judged else None
    write_results(out, rows, played, summary)
    if as_json:
        print_json(_outcome(out, played, rows, summary))
    else:
        _report(out, played, rows, summary)


def _tell_what_is_left(file: Path, answers: AnswerFile) -> None:
    if ignored := not_looked_at(file, answers.ignored):
        note(ignored)
    if answers.too_long:
        named = few([f"{prompt_id} ({model})" for prompt_id, model in answers.too_long])
        note(f"Left out, over {MAX_ANSWER_CHARS:,} characters: {named}")


def _chosen(answers: AnswerFile, count: int | None, names: list[str], seed: int) -> list[str]:
    if names and count is not None:
        raise ConfigurationError("--models draws models and --model names them; give one of the two")
    if names:
        return named_models(answers.outputs, names)
    return draw_models(answers.outputs, DEFAULT_MODELS if count is None else count, seed)


def _outcome(out: Path, played: Replay, rows: list[dict[str, Any]], summary: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "out": str(out),
        "federation": played.federation,
        "models": list(played.models),
        "prompts": len(rows),
        "labels": sum(not row["abstained"] for row in rows),
        "abstentions": played.card.counts.abstentions,
        "encoded": played.card.counts.encoded,
        "reused": played.card.counts.reused,
        "timings": played.card.timings.model_dump(),
        "summary": summary,
    }


def _report(out: Path, played: Replay, rows: list[dict[str, Any]], summary: dict[str, Any] | None) -> None:
    counts, timings = played.card.counts, played.card.timings
    say(
        f"{counts.labels} pseudo-labels for {len(rows)} prompts from {counts.answers} answers of {len(played.models)} models."
    )
    if counts.abstentions:
        say(f"Without a label: {abstained(counts.abstentions)}.")
    if hint := milder_policy(counts, played.federation, played.card.number, f" --data-dir {out / SERVER_FOLDER}"):
        say(hint)
    say(
        f"Aggregated in {timings.total_seconds:.1f} s ({timings.encoding_seconds:.1f} s encoding; "
        f"{counts.encoded} texts embedded, {counts.reused} found in the database)."
    )
    if summary is not None:
        means = summary["mean_preference"]
        shown = [
            ["picks", _figure(means["picks"])],
            ["all answers", _figure(means["all_answers"])],
            [f"best model ({summary['best_model']}, known only afterwards)", _figure(means["best_model"])],
        ]
        print_table(["Mean preference", ""], shown, empty="")
        ratio = summary["length_ratio"]
        length = "" if ratio is None else f"; picks are {ratio:.3f} times as long as the answers"
        say(f"Coverage {summary['coverage']:.3f}{length}.")
    say(f"Written to {out}")


def _figure(value: float | None) -> str:
    return "not judged" if value is None else f"{value:.3f}"
