"""The task that a plan names, imported late."""

from pathlib import Path

from client_kit.comparison.plan import Setting
from client_kit.comparison.tasks import Task


def task_of(setting: Setting, cache: Path | None = None) -> Task:
    """The task that a setting names."""
    if setting.task == "behaviour":
        from client_kit.comparison.behaviour import BehaviourTask  # noqa: PLC0415 - only where it is asked for

        return BehaviourTask(setting, cache)
    if setting.task == "own":
        from client_kit.comparison.own import OwnTask  # noqa: PLC0415 - as above

        return OwnTask(setting)
    from client_kit.comparison.facts import FactsTask  # noqa: PLC0415 - as above

    return FactsTask(setting, cache)
