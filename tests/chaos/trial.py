"""The same rounds in peace and under a monkey; nothing may differ."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.deployment import Deployment, own_postgres, small_disk
from tests.chaos.federation import Federation, Outcome
from tests.chaos.monkey import Monkey


@dataclass
class Trial:
    """What was done to a deployment, and what became of its rounds."""

    done: Counter
    told: Counter
    """Errors that clients got over, by class."""
    outcome: Outcome


def in_peace(folder, rounds):
    """What the rounds give where nothing happens, on SQLite."""
    with Deployment(folder) as deployment, Federation(deployment) as federation:
        federation.found()
        return federation.look(federation.run(rounds), rounds)


def under_a_monkey(folder, rounds, database, seed, **options):
    """The same, while things happen. None where the database is not to be had. options: of the monkey."""
    with ExitStack() as stack:
        postgres = stack.enter_context(own_postgres()) if database == "postgresql" else None
        if database == "postgresql" and postgres is None:
            return None
        disk = stack.enter_context(small_disk()) if database == "sqlite" else None
        data = disk / "data" if disk is not None else folder
        data.mkdir(exist_ok=True)
        deployment = stack.enter_context(Deployment(data, None if postgres is None else postgres.url))
        federation = stack.enter_context(Federation(deployment))
        federation.found()
        with Monkey(deployment, federation, seed, postgres=postgres, disk=disk, **options) as monkey:
            outcome = federation.run(rounds)
        deployment.wait_until_ready()
        federation.look(outcome, rounds)
        deployment.command("database", "check")
        deployment.command("audit", "verify")
        return Trial(monkey.done, federation.errors, outcome)


def differences(peace, trial):
    """What is not as it would have been; an empty list is what is wanted."""
    found = []
    for number, (calm, wild) in enumerate(zip(peace.labels, trial.outcome.labels, strict=True), start=1):
        if calm != wild:
            found.append(f"round {number}: other labels")
    for number, times in enumerate(trial.outcome.published, start=1):
        if times != 1:
            found.append(f"round {number} was published {times} times")
    for key, digest in peace.held.items():
        kept = {trial.outcome.held.get(key), trial.outcome.sealed.get(key)}
        found += [f"{key}: other answers than were sent"] * (kept != {digest})
    return found


def scratch(parent, name):
    folder = Path(parent) / name
    folder.mkdir()
    return folder
