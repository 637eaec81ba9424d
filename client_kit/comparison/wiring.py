"""The task that a plan names."""

from pathlib import Path

from client_kit.comparison.behaviour import BehaviourTask
from client_kit.comparison.facts import FactsTask
from client_kit.comparison.own import OwnTask
from client_kit.comparison.plan import Setting
from client_kit.comparison.tasks import Task


def task_of(setting: Setting, cache: Path | None = None) -> Task:
    """The task of a setting. cache: folder of cached base models; the user's when not set."""
    if setting.task == "own":
        return OwnTask(setting)
    return (BehaviourTask if setting.task == "behaviour" else FactsTask)(setting, cache)
