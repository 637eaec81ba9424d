"""The audit record over each database: with its act or not at all, without gaps and forks, and found out where it was changed."""

import threading

import pytest
from sqlalchemy import update

from consensus_server.backends.store.schema import audit
from consensus_server.core.audit import ChainBroken
from consensus_server.core.errors import AlreadyExists
from consensus_server.service.audit import checked
from tests.support.service import OPERATOR


def lines(service):
    with service.store.reading() as tx:
        return list(tx.audit.lines())


def test_writers_at_the_same_time_make_one_chain(service):
    """As two processes would: each thread has a connection of its own."""
    service.found()
    before, failures = len(lines(service)), []

    def add(who):
        try:
            for number in range(5):
                service.participants.add(OPERATOR, "clinics", f"site-{who}-{number}")
                service.operators.add(OPERATOR, f"op-{who}-{number}")
        except Exception as error:  # noqa: BLE001 - the test looks at it
            failures.append(error)

    threads = [threading.Thread(target=add, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert checked(service.store).number == len(lines(service)) == before + 40


def test_an_act_that_failed_leaves_no_line(service):
    service.found(sites=["north"])
    before = checked(service.store)
    with pytest.raises(AlreadyExists):
        service.participants.add(OPERATOR, "clinics", "north")
    assert checked(service.store) == before


def test_a_line_that_was_changed_in_the_database_is_named(service):
    service.found(sites=["north"])
    with service.store._engine.begin() as connection:
        row = connection.execute(update(audit).where(audit.c.number == 2).values(line="{}"))
        assert row.rowcount == 1
    with pytest.raises(ChainBroken, match="line 2"):
        checked(service.store)
