"""Reads a prompt set from its folder: `manifest.json` and `prompts.jsonl`."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from client_kit.wire import Manifest, Prompt, PromptSetUpload
from consensus_server.cli.output import CommandFailed, Exit

Model = TypeVar("Model", bound=BaseModel)

LAYOUT = "A prompt set is a folder with manifest.json and prompts.jsonl; see prompts/README.md."


def read_prompt_set(folder: Path) -> PromptSetUpload:
    """The manifest and the prompts of a folder; whether they belong together is for the service to say.

    Raises CommandFailed naming the file and the line.
    """
    if not folder.is_dir():
        shipped = f"`consensus prompts validate {folder}` prints where a set is that comes with the kit."
        raise CommandFailed(f"{folder} is not a folder.", Exit.BAD_FILE, remedy=f"{LAYOUT} {shipped}")
    manifest = _parse(Manifest, _text(folder / "manifest.json"), str(folder / "manifest.json"))
    path = folder / "prompts.jsonl"
    lines = [(number, line) for number, line in enumerate(_text(path).split("\n"), start=1) if line.strip()]
    prompts = [_parse(Prompt, line, f"{path}, line {number}") for number, line in lines]
    if not prompts:
        raise CommandFailed(f"{path} holds no prompts.", Exit.BAD_FILE, remedy=LAYOUT)
    return PromptSetUpload(manifest=manifest, prompts=prompts)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CommandFailed(f"{path} does not exist.", Exit.BAD_FILE, remedy=LAYOUT) from None
    except UnicodeDecodeError as error:
        raise CommandFailed(
            f"{path} is not valid UTF-8 (byte {error.start}).", Exit.BAD_FILE, remedy="Save the file as UTF-8."
        ) from None
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.", Exit.BAD_FILE) from None


def _parse(model: type[Model], text: str, where: str) -> Model:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise CommandFailed(
            f"{where}: {field + ': ' if field else ''}{fault['msg']}.", Exit.BAD_FILE, remedy=LAYOUT
        ) from None
