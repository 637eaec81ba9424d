"""Any order of orders, submissions and passing time keeps what the protocol promises."""

import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from client_kit.vocabulary import RoundState
from consensus_server.core.errors import Conflict, Unauthenticated, UnknownRound
from consensus_server.core.lifecycle import TRANSITIONS
from tests.support.databases import open_sqlite
from tests.support.service import OPERATOR, Service

SITES = ("north", "south", "east")
QUORUM = 2
ROUND_SECONDS = 100.0

site = st.sampled_from(SITES)
prompt = st.sampled_from(["p-0", "p-1"])
text = st.sampled_from(["Yes.", "No, never."])


class Rounds(RuleBasedStateMachine):
    """The model: who has sealed what in which round, and the states that were seen."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="consensus-machine-"))
        self.service = Service(open_sqlite(self.folder))
        self.callers = dict(
            zip(SITES, self.service.found(sites=SITES, quorum=QUORUM, round_seconds=ROUND_SECONDS), strict=True)
        )
        self.states = {}
        self.sealed = {}
        self.published = {}
        self.claims = []
        self.active = set(SITES)
        self.closed_by_hand = set()

    def teardown(self):
        self.service.store.close()
        shutil.rmtree(self.folder)

    @property
    def last(self):
        return max(self.states, default=1)

    def attempt(self, act):
        try:
            return act()
        except Conflict:
            return None
        except Unauthenticated:
            return None if self.active != set(SITES) else pytest.fail("an active site is sent away")
        except UnknownRound:
            return None if not self.states else pytest.fail("a round is lost")

    @rule(open_now=st.booleans())
    def create(self, open_now):
        self.attempt(lambda: self.service.open(open_now=open_now))

    @rule()
    def open(self):
        self.attempt(lambda: self.service.rounds.open(OPERATOR, "clinics", self.last))

    @rule()
    def close(self):
        if self.attempt(lambda: self.service.rounds.close(OPERATOR, "clinics", self.last)):
            self.closed_by_hand.add(self.last)

    @rule(seconds=st.sampled_from([1, 30, 100]))
    def wait(self, seconds):
        self.service.clock.advance(seconds)

    @rule(site=site, prompt=prompt, text=text, replace=st.booleans())
    def answer(self, site, prompt, text, replace):
        self.attempt(lambda: self.service.store_answers(self.callers[site], {prompt: text}, self.last, replace=replace))

    @rule(site=site)
    def seal(self, site):
        receipt = self.attempt(lambda: self.service.seal(self.callers[site], self.last))
        if receipt is not None:
            assert self.sealed.setdefault((self.last, site), receipt) == receipt

    @rule(sites=st.sets(site, min_size=2))
    def answer_and_seal(self, sites):
        for each in sorted(sites):
            self.answer(each, "p-0", "Yes.", replace=False)
            self.seal(each)
            self.the_promises_hold()

    @rule(site=site, active=st.booleans())
    def attend(self, site, active):
        self.service.participants.set_active(OPERATOR, "clinics", site, active=active)
        (self.active.add if active else self.active.discard)(site)

    @rule()
    def claim(self):
        self.claims.append(self.service.aggregation.claim())

    @rule()
    def aggregate_a_claim(self):
        if self.claims and (claim := self.claims.pop(0)):
            self.service.aggregation.aggregate(claim)

    @rule(sites=st.sets(site, min_size=2))
    def a_whole_round(self, sites):
        self.create(open_now=True)
        self.the_promises_hold()
        self.answer_and_seal(sites)

    @rule()
    def work(self):
        self.service.worker.run_once()

    @invariant()
    def the_promises_hold(self):
        self.rounds_are_numbered_and_only_the_last_is_not_over()
        self.events_tell_the_same_story()
        self.what_is_published_stays()

    def rounds_are_numbered_and_only_the_last_is_not_over(self):
        rounds = self.service.rounds.all(OPERATOR, "clinics")
        assert [each.number for each in rounds] == list(range(1, len(rounds) + 1))
        assert all(each.state in {"published", "failed"} for each in rounds[:-1])
        for each in rounds:
            before = self.states.get(each.number, RoundState.DRAFT)
            assert each.state in _reachable(before)
            self.states[each.number] = each.state
            assert each.attendance.sealed == sum(number == each.number for number, _ in self.sealed)
            sealed = {site for number, site in self.sealed if number == each.number}
            if before == "open" and each.state != "open" and each.number not in self.closed_by_hand:
                assert self.service.clock.now() >= each.deadline or not self.active - sealed
            if each.state == "open":
                assert self.service.clock.now() < each.deadline
                assert self.active - sealed or len(sealed) < QUORUM
            if each.state in {"closed", "aggregating", "published"}:
                assert each.attendance.sealed

    def events_tell_the_same_story(self):
        for number, state in self.states.items():
            events = self.service.rounds.events_after(OPERATOR, "clinics", number)
            assert [event.event_id for event in events] == list(range(1, len(events) + 1))
            assert events[-1].round.state == state
            told = [event.round.state for event in events]
            assert all(after == before or after in TRANSITIONS[before] for before, after in pairwise(told))
            assert sum(event.kind == "submission.sealed" for event in events) == events[-1].round.attendance.sealed

    def what_is_published_stays(self):
        for number, state in self.states.items():
            if state == "published":
                labels = self.service.labels(number)
                assert self.published.setdefault(number, labels) == labels
                assert labels.count(b"\n") == 3


def _reachable(state):
    seen, frontier = set(), {state}
    while frontier:
        seen |= frontier
        frontier = {to for each in frontier for to in TRANSITIONS[each]} - seen
    return seen


TestRounds = Rounds.TestCase
TestRounds.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
