"""The pages say what the code does: links lead somewhere, code blocks compile, tables equal their source."""

import ast
import json
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pytest

from client_kit.errors import PROBLEM_ERRORS
from client_kit.federation.configuration import FederationSettings
from client_kit.generation.dialects import MEANINGS
from client_kit.remedies import REMEDIES
from client_kit.settings import (
    CollapseSettings,
    DpoSettings,
    DpSettings,
    MixingSettings,
    NoTrainerSettings,
    OpenAISettings,
    ParticipantSettings,
    PiiSettings,
    SamplingSettings,
    ScriptedSettings,
    SftSettings,
    TransformersSettings,
    ValidationSettings,
    VLLMServerSettings,
    VLLMSettings,
)
from client_kit.settings_files import load_settings
from client_kit.wire import Endpoint, Problem, ProblemCode, PseudoLabel, content_digest, routes
from consensus_server.http_api.openai_compat.envelope import ENVELOPES
from consensus_server.http_api.problems import CATALOG
from consensus_server.panel_settings import PanelsFile
from consensus_server.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "prompts").rglob("*.md")])
README_WORDS_BEFORE_THE_FIRST_COMMAND = 120

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


def without_code(text):
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", text))


def anchors(page):
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table_rows(page, *, header):
    """Cells of the rows of the table with this header."""
    text = page.read_text(encoding="utf-8")
    body = text.split(f"{header}\n", 1)[1].split("\n", 1)[1]
    lines = body[: body.find("\n\n")].splitlines() if "\n\n" in body else body.splitlines()
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines if line.startswith("|")]


def test_the_table_of_situations_is_that_of_the_code():
    rows = table_rows(ROOT / "docs" / "endpoints.md", header="| Situation | For the prompt | For the run | Examples |")
    known = [
        (
            f"`{situation.value}`",
            ("nothing known" if each.prompt is None else each.prompt.value) + (", in doubt" if each.doubtful else ""),
            each.run.value,
        )
        for situation, each in MEANINGS.items()
    ]
    assert [
        (name, prompt.replace("too long", "too_long"), run.replace(" ", "_")) for name, prompt, run, _ in rows
    ] == known


def page_id(page):
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_relative_links_resolve(page):
    for target in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(linked), f"{target}: {linked.name} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_python_blocks_compile_and_import_names_that_exist(page):
    for _, language, code in FENCE.findall(page.read_text(encoding="utf-8")):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(dedent(code))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("client_kit", "consensus_server")):
                module = import_module(node.module)
                assert [alias.name for alias in node.names if not exists_in(module, alias.name)] == []


def exists_in(module, name):
    """As a name of the module, or as a module in it that nobody has imported yet."""
    return hasattr(module, name) or find_spec(f"{module.__name__}.{name}") is not None


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_lines_end_without_white_space_and_fences_are_closed(page):
    text = page.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert len(re.findall(r"^ *```", text, re.MULTILINE)) % 2 == 0
    assert text.endswith("\n")


def test_the_readme_comes_to_the_first_command_soon():
    before = re.split(r"^(?:```| {4})", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[0]
    assert len(before.split()) <= README_WORDS_BEFORE_THE_FIRST_COMMAND
    assert before != (ROOT / "README.md").read_text(encoding="utf-8"), "there is no command"


def test_the_table_of_problems_is_the_servers():
    rows = table_rows(ROOT / "docs" / "protocol.md", header="| Code | Status | Title | Remedy |")
    expected = [
        (f"`{code.value}`", str(entry.status), entry.title, REMEDIES[code].http) for code, entry in CATALOG.items()
    ]
    assert rows == expected
    assert {row[0].strip("`") for row in rows} == {code.value for code in ProblemCode} == set(PROBLEM_ERRORS)


def test_the_table_of_errors_of_inference_is_the_server_s():
    rows = table_rows(ROOT / "docs" / "inference.md", header="| Code | Status | When |")
    assert [row[:2] for row in rows] == [(f"`{code}`", str(kind.status)) for code, kind in ENVELOPES.items()]


def test_the_table_of_pull_mode_names_every_field_with_its_default():
    rows = table_rows(ROOT / "docs" / "pull-mode.md", header="| Field | Default | Meaning |")
    expected = [
        (
            f"`{name}`",
            "required" if field.is_required() else f"`{field.default}`" if field.default not in {None, ()} else "",
        )
        for name, field in Endpoint.model_fields.items()
    ]
    assert [row[:2] for row in rows] == expected


def test_the_table_of_routes_is_the_wires():
    rows = table_rows(ROOT / "docs" / "protocol.md", header="| Method | Path | Who | What |")
    documented = {
        path.strip("`").replace("{r}", "{f}/rounds/{number}").replace("{f}", routes.FEDERATION) for _, path, *_ in rows
    }
    templates = {
        value.replace(":path", "")
        for name, value in vars(routes).items()
        if name.isupper() and isinstance(value, str) and value.startswith("/")
    }
    assert documented == templates


def test_the_table_of_settings_is_the_servers():
    rows = table_rows(ROOT / "docs" / "operating.md", header="| Variable | Default | Meaning |")
    expected = [
        (f"`{PREFIX}{name.upper()}`", default_of(field), " ".join((field.description or "").split()))
        for name, field in Settings.model_fields.items()
    ]
    assert rows == expected


@pytest.mark.parametrize(
    "kind",
    [
        TransformersSettings,
        VLLMSettings,
        VLLMServerSettings,
        OpenAISettings,
        ScriptedSettings,
        SftSettings,
        DpoSettings,
        DpSettings,
        NoTrainerSettings,
    ],
)
def test_the_tables_of_generators_and_trainers_are_the_kits(kind):
    name = kind.model_fields["kind"].annotation.__args__[0]
    rows = table_rows(ROOT / "docs" / "participant-settings.md", header=f"| `{name}` | Default | Meaning |")
    expected = [
        (f"`{field_name}`", as_yaml(field), " ".join((field.description or "").split()))
        for field_name, field in kind.model_fields.items()
        if field_name != "kind"
    ]
    assert rows == expected


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("sampling", SamplingSettings),
        ("mixing", MixingSettings),
        ("validation", ValidationSettings),
        ("collapse", CollapseSettings),
        ("pii", PiiSettings),
    ],
)
def test_the_tables_of_a_sites_habits_are_the_kits(name, section):
    rows = table_rows(ROOT / "docs" / "participant-settings.md", header=f"| `{name}` | Default | Meaning |")
    expected = [
        (f"`{field_name}`", as_yaml(field), " ".join((field.description or "").split()))
        for field_name, field in section.model_fields.items()
    ]
    assert rows == expected


def as_yaml(field):
    return "required" if field.is_required() else f"`{json.dumps(field.default).strip(chr(34))}`"


def default_of(field):
    return "" if field.default in {None, ""} else f"`{field.default}`"


def test_the_make_targets_named_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|^    |^)make ([a-z-]+)", text, re.MULTILINE))
        assert named <= targets, f"{page_id(page)}: {named - targets}"


def test_every_decision_and_recipe_is_listed():
    for index, folder in [("docs/decisions/README.md", "docs/decisions"), ("CONTRIBUTING.md", "docs/recipes")]:
        listed = {Path(target).name for target in LINK.findall((ROOT / index).read_text(encoding="utf-8"))}
        assert {page.name for page in (ROOT / folder).glob("[0-9]*.md")} <= listed


def test_the_glossary_is_in_order_and_says_each_word_once():
    words = [row[0] for row in table_rows(ROOT / "docs" / "glossary.md", header="| Word | Meaning |")]
    assert words == sorted(set(words))


def yaml_blocks():
    for page in PAGES:
        for _, language, block in FENCE.findall(page.read_text(encoding="utf-8")):
            if language == "yaml":
                yield pytest.param(block, id=f"{page_id(page)}:{block.splitlines()[0]}")


@pytest.mark.parametrize("block", list(yaml_blocks()))
def test_settings_files_shown_are_valid(block, tmp_path):
    name = block.splitlines()[0].removeprefix("# ")
    kinds = {
        "participant.yaml": ParticipantSettings,
        "federation.yaml": FederationSettings,
        "panels.yaml": PanelsFile,
    }
    (tmp_path / name).write_text(block, encoding="utf-8")
    load_settings(tmp_path / name, kinds[name])


def test_json_shown_is_valid_and_a_label_has_the_digest_of_its_text():
    blocks = [
        json.loads(block)
        for page in PAGES
        for _, language, block in FENCE.findall(page.read_text(encoding="utf-8"))
        if language == "json"
    ]
    labels = [PseudoLabel.model_validate(block) for block in blocks if "confidence_method" in block]
    assert [label.digest for label in labels] == [content_digest(label.text) for label in labels] != []
    problems = [Problem.model_validate(block) for block in blocks if "remedy" in block]
    assert [(problem.status, problem.remedy) for problem in problems] == [
        (CATALOG[problem.code].status, REMEDIES[problem.code].http) for problem in problems
    ]


def test_the_folders_shown_are_those_that_exist():
    """The tree in docs/architecture.md, and nothing of the two packages is left out of it."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = next(block for _, language, block in FENCE.findall(page) if language == "text")
    shown, folder = set(), ""
    for line in tree.splitlines():
        name = line.split()[0]
        folder = "" if not line.startswith(" ") else folder
        shown.add(folder + name)
        folder = name if not line.startswith(" ") else folder
    assert [name for name in shown if not (ROOT / name).exists()] == []
    for package in ("client_kit", "consensus_server"):
        parts = {
            p.name + "/" * p.is_dir() for p in (ROOT / package).iterdir() if not p.name.startswith(("__", "py.typed"))
        }
        assert {f"{package}/{part}" for part in parts if part != "packaged_prompts/"} <= shown
