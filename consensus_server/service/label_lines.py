"""The one written form of a pseudo-label. Digest and stream are made of it, so that their bytes are the same."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from hashlib import sha256

from client_kit.wire.digests import canonical_json
from consensus_server.core.labels import ClusterShare, Label


def label_line(label: Label) -> str:
    """Canonical JSON of a label, without the newline; fields that are not set do not stand in it."""
    return canonical_json({name: value for name, value in asdict(label).items() if value is not None})


def read_label(line: str) -> Label:
    """The label that `label_line` wrote."""
    fields = json.loads(line)
    clusters = tuple(ClusterShare(**cluster) for cluster in fields.pop("clusters"))
    return Label(clusters=clusters, **fields)


def lines_digest(lines: Iterable[str]) -> str:
    """Digest of a round's labels. lines: in the order of `prompt_id`. Equals `client_kit.wire.pseudo_labels_digest`."""
    digest = sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
