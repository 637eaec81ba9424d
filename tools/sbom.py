"""A bill of materials of this environment, as CycloneDX: `python -m tools.sbom FILE`.

What is installed beside this Python is listed with name, version, purl and licence, and the pinned encoders with the
SHA-256 of their files. The same environment gives the same bytes: there is no time and no serial number in it.
"""

import json
import sys
from importlib.metadata import Distribution, PackageMetadata, distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from consensus_server.backends.encoders.weights import PINNED, PinnedModel

SUBJECT = "semantic-consensus"


def bill() -> dict[str, Any]:
    """The bill as CycloneDX 1.6, components in the order of their names."""
    found = {item["bom-ref"]: item for item in map(_library, distributions())}
    subject = next(item for item in found.values() if item["name"] == SUBJECT)
    models = [_model(name, model) for name, model in sorted(PINNED.items())]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject | {"type": "application"}},
        "components": [found[ref] for ref in sorted(found) if found[ref] is not subject] + models,
    }


def _library(distribution: Distribution) -> dict[str, Any]:
    name, version = canonicalize_name(distribution.metadata["Name"]), distribution.version
    purl = f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
    item = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    licences = _licences(distribution.metadata)
    return item | {"licenses": licences} if licences else item


def _licences(metadata: PackageMetadata) -> list[dict[str, Any]]:
    """An expression where the package has one, else what its classifiers or the first line of its licence say."""
    if expression := metadata.get_all("License-Expression"):
        return [{"expression": expression[0]}]
    marked = [each.rsplit(" :: ", 1)[-1] for each in metadata.get_all("Classifier") or () if each.startswith("License")]
    names = marked or "".join(metadata.get_all("License") or ()).strip().splitlines()[:1]
    return [{"license": {"name": name}} for name in names]


def _model(name: str, model: PinnedModel) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": digest} for digest in model.files.values()]
    files = [{"type": "file", "name": file, "hashes": [each]} for file, each in zip(model.files, hashes, strict=True)]
    ref = f"pkg:huggingface/{model.repository}@{model.revision}"
    return {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": name,
        "version": model.revision,
        "purl": ref,
        "components": files,
    }


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(bill(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
