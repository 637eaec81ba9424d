"""`consensus-server federation`: created once, never changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from client_kit import wire
from client_kit.command_line import (
    CommandFailed,
    Exit,
    JsonOption,
    print_json,
    print_table,
    say,
)
from client_kit.input_files import read_json
from consensus_server.cli.operating import (
    DatabaseOption,
    DataDirOption,
    EncoderOption,
    checked_name,
    on_server,
    operating,
)
from consensus_server.cli.prompt_sets import find_prompt_set
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.wiring import Server

app = typer.Typer(help="Create and show federations.", no_args_is_help=True)

_NEW = wire.FederationCreate(federation="example", prompt_set="0" * 64)
"""Shows the defaults of the wire in the help."""

NameArgument = Annotated[str, typer.Argument(help="Name of the federation.", metavar="FEDERATION")]


@app.command(epilog="Example: consensus-server federation create clinics --prompt-set general --quorum 3")
def create(
    name: NameArgument,
    *,
    prompt_set: Annotated[
        str, typer.Option("--prompt-set", help="Name (its newest version), NAME@VERSION, or digest of a prompt set.")
    ],
    quorum: Annotated[int, typer.Option(help="Sealed submissions that a round needs.")] = _NEW.quorum,
    round_seconds: Annotated[
        float, typer.Option(help="Seconds from the opening of a round to its deadline.")
    ] = _NEW.round_seconds,
    samples: Annotated[int, typer.Option(help="Most answers per participant and prompt.")] = _NEW.samples_per_prompt,
    max_answer_chars: Annotated[int, typer.Option(help="Longest answer, in characters.")] = _NEW.max_answer_chars,
    contributors_only: Annotated[
        bool, typer.Option("--contributors-only", help="Pseudo-labels only for those who sealed a submission.")
    ] = False,
    requires_training_rights: Annotated[
        bool,
        typer.Option(
            "--requires-training-rights",
            help="Accept only answers that come with the statement that others may train on them.",
        ),
    ] = False,
    late: Annotated[
        str, typer.Option(help="What becomes of answers after the end of a round: refuse, or carry into the next.")
    ] = _NEW.late,
    answers_kept_days: Annotated[
        int | None, typer.Option(help="Days after the end of a round after which its answers are erased.", metavar="N")
    ] = None,
    signatures: Annotated[
        wire.Signatures, typer.Option(help="Whether participants sign their seals: optional or required.")
    ] = _NEW.signatures,
    rule: Annotated[str, typer.Option(help="What turns a pool into a pseudo-label.")] = _NEW.policy.rule,
    confidence: Annotated[str, typer.Option(help="Confidence score.")] = _NEW.policy.confidence,
    clusterer: Annotated[str, typer.Option(hidden=True)] = "average_linkage",  # of version 0.1.0
    distance_short: Annotated[
        float, typer.Option(help="Cosine distance of clusters of short answers.")
    ] = _NEW.policy.distance_short,
    distance_long: Annotated[
        float, typer.Option(help="Cosine distance of clusters of longer answers.")
    ] = _NEW.policy.distance_long,
    short_chars: Annotated[int, typer.Option(help="Median length below which answers are short.")] = (
        _NEW.policy.short_chars
    ),
    minimum_support: Annotated[int, typer.Option(help="Participants that must stand behind a pseudo-label.")] = (
        _NEW.policy.minimum_support
    ),
    abstain: Annotated[bool, typer.Option(help="Give no label where support is too weak.")] = True,
    seed: Annotated[int, typer.Option(help="For rules that draw.")] = _NEW.policy.seed,
    guards: Annotated[
        bool, typer.Option(help="Reject garbage, off-topic, over-long and repetitive answers; copies share a vote.")
    ] = _NEW.policy.guards,
    reliability: Annotated[
        bool, typer.Option(help="Trust participants by the round's other prompts (rules fused and hybrid).")
    ] = _NEW.policy.reliability,
    length_penalty: Annotated[
        float,
        typer.Option(
            help="Share of the advantage of length that is taken away, 0 to 2 (rules fused and hybrid).", min=0, max=2
        ),
    ] = _NEW.policy.length_penalty,
    half_life_rounds: Annotated[
        float, typer.Option(help="Rounds after which half of a reputation is left; 0: none is carried on.")
    ] = _NEW.policy.half_life_rounds,
    contradictions: Annotated[
        str,
        typer.Option(
            help="What keeps contradictory answers apart: words (English), none, nli:MODEL of CONSENSUS_NLI_MODELS, or "
            "judge:UPSTREAM of CONSENSUS_PANELS_FILE.",
            metavar="NAME",
        ),
    ] = _NEW.policy.contradictions,
    calibration: Annotated[
        Path | None,
        typer.Option(help="File of `evaluate-labels --calibrate`; publishes estimated probabilities.", metavar="FILE"),
    ] = None,
    truncated: Annotated[
        wire.TruncatedAnswers, typer.Option(help="What participants do with truncated answers.")
    ] = _NEW.answers.truncated,
    refusals: Annotated[
        wire.Refusals, typer.Option(help="What becomes of refusals (English): keep or drop.")
    ] = _NEW.answers.refusals,
    encoder: EncoderOption = None,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a federation, pinned to a prompt set and to the server's encoder."""
    checked_name(name)
    calibrated = (
        None
        if calibration is None
        else calibration_in(calibration, {"rule": rule, "guards": guards, "reliability": reliability})
    )
    fields = {
        "federation": name,
        "quorum": quorum,
        "round_seconds": round_seconds,
        "samples_per_prompt": samples,
        "max_answer_chars": max_answer_chars,
        "contributors_only": contributors_only,
        "requires_training_rights": requires_training_rights,
        "late": late,
        "answers_kept_days": answers_kept_days,
        "signatures": signatures,
        "answers": {"truncated": truncated, "refusals": refusals},
        "policy": {
            "rule": rule,
            "confidence": confidence,
            "clusterer": clusterer,
            "distance_short": distance_short,
            "distance_long": distance_long,
            "short_chars": short_chars,
            "minimum_support": minimum_support,
            "abstain": abstain,
            "seed": seed,
            "guards": guards,
            "reliability": reliability,
            "length_penalty": length_penalty,
            "half_life_rounds": half_life_rounds,
            "contradictions": contradictions,
            "calibration": calibrated,
        },
    }
    with operating(data_dir, database_url, encoder=encoder) as server:
        request = _checked({**fields, "prompt_set": find_prompt_set(server, prompt_set).digest})
        created = _create(server, request)
        if as_json:
            print_json(created)
        else:
            say(f"Federation {created.federation} is created. Next: consensus-server participant add {name} NAME")


def calibration_in(path: Path, wanted: Mapping[str, object] | None = None) -> object:
    """What a file of `evaluate-labels --calibrate` gives to a policy.

    wanted: fields of the policy that the file must have been fitted to; those that it does not name are not asked for.
    Raises CommandFailed.
    """
    wanted = wanted or {}
    try:
        found = read_json(path)
        calibration, fitted = found["calibration"], {**wanted, **found.get("fitted_to", {})}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandFailed(
            f"{path} is not a calibration file ({type(error).__name__}: {error}).",
            Exit.BAD_FILE,
            remedy="consensus-server evaluate-labels FILE --calibrate writes one.",
        ) from None
    if other := [
        f"{name}={fitted[name]}, not {name}={value}" for name, value in wanted.items() if fitted[name] != value
    ]:
        raise CommandFailed(
            f"{path} was fitted to {'; '.join(other)}: its probabilities hold for nothing else.",
            Exit.USAGE,
            remedy=f"Use the policy that it was fitted to, or fit a new calibration: evaluate-labels FILE --calibrate --rules {wanted['rule']}.",
        )
    return calibration


def _checked(fields: dict[str, object]) -> wire.FederationCreate:
    try:
        return wire.FederationCreate.model_validate(fields)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise CommandFailed("\n".join(faults), Exit.USAGE, remedy="Correct the options named above.") from None


def _create(server: Server, request: wire.FederationCreate) -> wire.Federation:
    federations, terms = server.use_cases.federations, translate.terms(request)
    federations.check(SERVER_OPERATOR, terms)  # before an encoder is loaded
    server.encoder.identify()
    return translate.federation(federations.create(SERVER_OPERATOR, terms))


@app.command("list", epilog="Example: consensus-server federation list --json")
@on_server
def list_(server: Server, *, as_json: JsonOption = False) -> None:
    """All federations of the server."""
    found = [translate.federation(each) for each in server.use_cases.federations.all(SERVER_OPERATOR)]
    if as_json:
        print_json(wire.FederationList(items=found))
        return
    rows = [(each.federation, each.prompt_set[:12], each.quorum, each.policy.rule, each.created_at) for each in found]
    print_table(("federation", "prompt set", "quorum", "rule", "created"), rows, empty="There are no federations.")


@app.command(epilog="Example: consensus-server federation show clinics")
@on_server
def show(server: Server, name: NameArgument, *, as_json: JsonOption = False) -> None:
    """What a federation agreed on."""
    found = translate.federation(server.use_cases.federations.get(SERVER_OPERATOR, name))
    if as_json:
        print_json(found)
        return
    flat = found.model_dump(mode="json")
    rows = [(key, value) for key, value in flat.items() if not isinstance(value, dict)]
    nested = [(f"{key}.{name}", value) for key in ("policy", "answers") for name, value in flat[key].items()]
    print_table(("term", "value"), rows + nested, empty="")
