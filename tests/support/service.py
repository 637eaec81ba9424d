"""The use cases over one store, with a clock set by hand, and short ways to what most tests need."""

from datetime import UTC, datetime, timedelta

from client_kit.vocabulary import Role
from client_kit.wire import content_digest, submission_digest
from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.core.federations import Manifest, Prompt, Terms
from consensus_server.core.rounds import Answer
from consensus_server.service.access import SERVER_OPERATOR, Access
from consensus_server.service.aggregation import Aggregation
from consensus_server.service.appeals import Appeals
from consensus_server.service.bundles import Bundles
from consensus_server.service.contradictions import BY_WORDS
from consensus_server.service.endpoints import Endpoints
from consensus_server.service.erasures import Erasures
from consensus_server.service.federations import Federations
from consensus_server.service.inspection import Inspection
from consensus_server.service.invitations import Invitations
from consensus_server.service.operators import Operators
from consensus_server.service.parameters import Parameters
from consensus_server.service.participants import Participants
from consensus_server.service.prompt_sets import PromptSets, prompts_digest
from consensus_server.service.pseudo_labels import PseudoLabels
from consensus_server.service.rejections import Rejections
from consensus_server.service.reliability import Reliabilities
from consensus_server.service.round_signatures import RoundSignatures
from consensus_server.service.rounds import Rounds
from consensus_server.service.signing_keys import SigningKeys
from consensus_server.service.submissions import Submissions
from consensus_server.service.traffic import Traffic
from consensus_server.service.worker import AggregationWorker

OPERATOR = SERVER_OPERATOR
OPERATOR_TOKEN = "the-operator-of-the-server"
START = datetime(2030, 1, 1, tzinfo=UTC)


class HandSetClock:
    """Stands still until it is told otherwise."""

    def __init__(self):
        self._now = START

    def now(self):
        return self._now

    def advance(self, seconds):
        self._now += timedelta(seconds=seconds)


def make_prompts(count=3):
    return [Prompt(f"p-{i}", f"Question {i}?", "odd" if i % 2 else "even") for i in range(count)]


def make_manifest(prompts, **changes):
    topics = {}
    for prompt in prompts:
        if prompt.topic is not None:
            topics[prompt.topic] = topics.get(prompt.topic, 0) + 1
    values = {
        "name": "questions",
        "version": "1.0",
        "digest": prompts_digest(prompts),
        "prompt_count": len(prompts),
        "description": "for tests",
        "licence": "CC0-1.0",
        "language": "en",
        "topics": topics,
    }
    return Manifest(**values | changes)


class Service:
    """Everything that a server does, without a server."""

    def __init__(self, store, clock=None, encoder=None, lease_seconds=60.0, comparisons=BY_WORDS, *, signing_key=None):
        self.store = store
        self.clock = clock or HandSetClock()
        self.encoder = encoder or HashingEncoder()
        self.access = Access(store, OPERATOR_TOKEN, self.clock)
        self.prompt_sets = PromptSets(store, self.clock)
        self.federations = Federations(store, self.clock, lambda: self.encoder.identity, comparisons)
        self.participants = Participants(store, self.clock)
        self.erasures = Erasures(store, self.clock)
        self.signing_keys = SigningKeys(store, self.clock)
        self.operators = Operators(store, self.clock)
        self.invitations = Invitations(store, self.clock)
        self.rounds = Rounds(store, self.clock, comparisons)
        self.round_signatures = RoundSignatures(store, self.clock, lambda: signing_key.public)
        self.bundles = Bundles(store, self.clock)
        self.submissions = Submissions(store, self.clock)
        self.pseudo_labels = PseudoLabels(store, self.clock)
        self.parameters = Parameters(store, self.clock, self.pseudo_labels)
        self.traffic = Traffic(store)
        self.reliabilities = Reliabilities(store, self.clock)
        self.rejections = Rejections(store, self.clock)
        self.appeals = Appeals(store, self.clock)
        self.inspection = Inspection(store, store.embeddings, self.clock, {}, comparisons)
        self.endpoints = Endpoints(store, self.clock, lambda: {"llama", "qwen"})
        self.aggregation = Aggregation(
            store, store.embeddings, self.encoder, self.clock, lease_seconds=lease_seconds, comparisons=comparisons,
            signing_key=signing_key,
        )  # fmt: skip
        self.worker = AggregationWorker(self.aggregation, self.rounds, poll_seconds=0.01)

    def found(self, name="clinics", *, prompts=3, sites=(), **terms):
        """A federation over a prompt set of so many prompts, or of these; answers the callers of its sites."""
        chosen = make_prompts(prompts) if isinstance(prompts, int) else prompts
        self.prompt_sets.add(OPERATOR, make_manifest(chosen), chosen)
        self.federations.create(OPERATOR, Terms(name=name, prompt_set=prompts_digest(chosen), **terms))
        return [self.join(site, federation=name) for site in sites]

    def join(self, name, *, federation="clinics", role=Role.PARTICIPANT):
        return self.access.identify(self.participants.add(OPERATOR, federation, name, role).token)

    def open(self, federation="clinics", **options):
        return self.rounds.create(OPERATOR, federation, **options)

    def store_answers(self, caller, texts, number=1, **options):
        return self.submissions.store(caller, caller.federation, number, answers_of(texts), **options)

    def seal(self, caller, number=1, *, of=None, **stated):
        """of: the round whose answers are counted, where it is another one."""
        held = self.submissions.held(caller, caller.federation, of or number)
        return self.submissions.seal(
            caller, caller.federation, number, count=len(held.answers), digest=held.digest, **stated
        )

    def submit(self, caller, texts, number=1, **stated):
        """Store and seal. texts: by prompt_id, or by (prompt_id, sample)."""
        self.store_answers(caller, texts, number)
        return self.seal(caller, number, **stated)

    def label_texts(self, number=1, federation="clinics"):
        """Texts of the pseudo-labels by prompt, None for an abstention."""
        page = self.pseudo_labels.page(OPERATOR, federation, number)
        return {label.prompt_id: label.text for label in page.items}

    def state(self, number=1, federation="clinics"):
        return self.rounds.get(OPERATOR, federation, number).state

    def labels(self, number=1, federation="clinics", caller=OPERATOR):
        return b"".join(self.pseudo_labels.stream(caller, federation, number))

    def events(self, number=1, federation="clinics", after=0):
        return [event.kind.value for event in self.rounds.events_after(OPERATOR, federation, number, after)]


def answers_of(texts):
    keyed = {key if isinstance(key, tuple) else (key, 0): text for key, text in texts.items()}
    return [Answer(prompt_id, sample, text) for (prompt_id, sample), text in keyed.items()]


def digest_of(texts):
    return submission_digest((each.prompt_id, each.sample, content_digest(each.text)) for each in answers_of(texts))
