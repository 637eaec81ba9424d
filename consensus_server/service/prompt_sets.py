"""Public prompt sets: verified when they arrive, pinned by their digest ever after."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from client_kit.wire.digests import rows_digest
from client_kit.wire.prompt_sets import unlike_wordings
from consensus_server.core.errors import AlreadyExists, Fault, PromptSetMismatch, UnknownPromptSet
from consensus_server.core.federations import Manifest, Prompt
from consensus_server.ports import Clock, Store, Transaction
from consensus_server.service.access import Caller, require_server_operator, require_valid
from consensus_server.service.audit import noted


class PromptSets:
    """Prompt sets of the server. Everybody with a token may read them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def add(self, caller: Caller, manifest: Manifest, prompts: Sequence[Prompt]) -> bool:
        """Keep a prompt set; False when its digest was held already, and nothing changed.

        Raises Forbidden unless the server's operator calls, and PromptSetMismatch when manifest and prompts disagree.
        """
        require_server_operator(caller)
        verify_prompt_set(manifest, prompts)
        try:
            with self._store.writing() as tx:
                require_valid(tx, caller, lock=True)
                tx.prompt_sets.add(manifest, prompts)
                told = {"name": manifest.name, "version": manifest.version, "prompts": manifest.prompt_count}
                noted(tx, caller, "prompt_set.added", self._clock.now(), subject=manifest.digest, after=told)
        except AlreadyExists:
            return False
        return True

    def all(self, caller: Caller) -> tuple[Manifest, ...]:
        """The manifests, by name and version."""
        del caller  # any token will do: prompts are public among those who have one
        with self._store.reading() as tx:
            return tx.prompt_sets.manifests()

    def get(self, caller: Caller, digest: str) -> Manifest:
        """The manifest of one. Raises UnknownPromptSet."""
        del caller
        with self._store.reading() as tx:
            return manifest_for(tx, digest)

    def prompts(self, caller: Caller, digest: str) -> tuple[Prompt, ...]:
        """In the order of `prompt_id`. Raises UnknownPromptSet."""
        del caller
        with self._store.reading() as tx:
            manifest_for(tx, digest)
            return tx.prompt_sets.prompts(digest)


def manifest_for(tx: Transaction, digest: str) -> Manifest:
    """The manifest. Raises UnknownPromptSet."""
    manifest = tx.prompt_sets.manifest(digest)
    if manifest is None:
        raise UnknownPromptSet(f"No prompt set with the digest {digest} is held.")
    return manifest


def verify_prompt_set(manifest: Manifest, prompts: Sequence[Prompt]) -> None:
    """Raise PromptSetMismatch with everything in which manifest and prompts disagree."""
    faults = tuple(_mismatches(manifest, prompts))
    if faults:
        raise PromptSetMismatch(
            f"The manifest of {manifest.name} {manifest.version} does not describe these prompts: {faults[0].message}",
            faults,
        )


def _mismatches(manifest: Manifest, prompts: Sequence[Prompt]) -> Iterator[Fault]:
    counts = Counter(prompt.prompt_id for prompt in prompts)
    for prompt_id, count in counts.items():
        if count > 1:
            yield Fault("prompts", f"prompt {prompt_id} stands there {count} times; give each prompt its own id.")
    for fault in unlike_wordings(prompts):
        yield Fault("prompts", f"{fault}.")
    if manifest.prompt_count != len(prompts):
        yield Fault("manifest.prompt_count", f"it says {manifest.prompt_count} prompts; there are {len(prompts)}.")
    topics = Counter(prompt.topic for prompt in prompts if prompt.topic is not None)
    if dict(manifest.topics) != topics:
        yield Fault("manifest.topics", f"it says {dict(manifest.topics)}; the prompts have {dict(topics)}.")
    digest = prompts_digest(prompts)
    if manifest.digest != digest:
        yield Fault("manifest.digest", f"it says {manifest.digest}; the prompts have {digest}.")


def prompts_digest(prompts: Sequence[Prompt]) -> str:
    """`client_kit.wire.prompt_set_digest` of these prompts: fields that are not set do not count."""
    return rows_digest({k: v for k, v in asdict(prompt).items() if v is not None} for prompt in prompts)
