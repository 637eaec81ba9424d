"""The public prompts of the pocket world, and the questions on which a participant is judged.

`python -m client_kit.pocket.public FOLDER` writes the prompt set of the demonstration into a new folder; the project
keeps it as `prompts/pocket/1.1`. (1.0 has the same prompts and does not say which ask the same.)
"""

import sys
from pathlib import Path

from client_kit import prompts
from client_kit.pocket.world import Use, World
from client_kit.wire import Prompt

SET_VERSION = "1.1"
DESCRIPTION = (
    "Questions about the facts of the pocket world: three quarters of the facts, two wordings each. "
    "For demonstrations and tests with tiny models."
)


def public_prompts(world: World, *, every: bool = False) -> list[Prompt]:
    """The public prompts: every public fact in both public wordings; prompt_id is `<fact_id>/<wording>`, `question` the fact_id.

    every: of the other facts too, which are a control else.
    """
    return [
        Prompt(prompt_id=f"{fact.fact_id}/{wording}", prompt=question, topic=fact.topic, question=fact.fact_id)
        for fact, wording, question in world.ask(Use.PUBLIC)
        if fact.public or every
    ]


def questions(world: World, use: Use) -> list[Prompt]:
    """One question for each fact of the split `use` (VALIDATION or TEST); prompt_id is the fact_id."""
    if use not in {Use.VALIDATION, Use.TEST}:
        raise ValueError(f"{use} is no split to judge on; take validation or test")
    return [
        Prompt(prompt_id=fact.fact_id, prompt=question, topic=fact.topic)
        for fact, _, question in world.ask(use)
        if fact.validation == (use is Use.VALIDATION)
    ]


def write_prompt_set(world: World, folder: Path) -> None:
    """Write the public prompts with their manifest to `folder`, which must be new."""
    prompts.write_prompt_set(
        folder,
        public_prompts(world),
        name="pocket",
        version=SET_VERSION,
        description=DESCRIPTION,
        licence="Apache-2.0",
        language="en",
    )


if __name__ == "__main__":
    from client_kit.pocket.settings import FULL

    write_prompt_set(FULL.world(), Path(sys.argv[1]))
