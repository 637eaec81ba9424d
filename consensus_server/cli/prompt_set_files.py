"""Reads a prompt set from its folder, or one that comes with the kit by its name."""

from client_kit.command_line import CommandFailed, Exit
from client_kit.errors import PromptSetError
from client_kit.prompts import load_prompt_set
from client_kit.wire import PromptSetUpload

LAYOUT = "A prompt set is a folder with manifest.json and prompts.jsonl; see prompts/README.md."


def read_prompt_set(name: str) -> PromptSetUpload:
    """The manifest and the prompts of a folder or of a shipped set. Raises CommandFailed naming every fault."""
    try:
        return load_prompt_set(name).upload()
    except PromptSetError as error:
        raise CommandFailed(f"{error}.", Exit.BAD_FILE, remedy=LAYOUT) from None
