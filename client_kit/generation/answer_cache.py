"""Answers that a model gave already, on disk, so that nothing is asked, and paid for, twice.

One SQLite file. An answer is in it whole or not at all, also when the process is killed; several processes may share it.
When the machine itself goes down, the last answers may be lost, and are asked for again.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from client_kit.errors import ConfigurationError
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.seeds import answer_seed
from client_kit.storage import for_its_owner
from client_kit.wire import FinishReason, Prompt

_TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER, completion_tokens INTEGER
) WITHOUT ROWID"""


def answer_key(source: Mapping[str, Any], prompt: Prompt, sample: int, sampling: Sampling) -> str:
    """SHA-256 of all that an answer depends on.

    source: JSON values that say which model answers, and how it is asked: address and name, or the digest of its files.
    """
    content = {
        "source": source, "prompt": prompt.prompt, "temperature": sampling.temperature, "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens, "stop": sampling.stop, "sample": sample,
        "seed": answer_seed(sampling.seed, prompt.prompt_id, sample),
    }  # fmt: skip
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


class AnswerCache:
    """Answers by their key. Safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises ConfigurationError where it is none of this kind."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        try:
            open(
                path, "ab", opener=for_its_owner
            ).close()  # SQLite then makes what lies beside it for its owner alone too
            self._database = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            # Killed processes lose nothing with either setting; only a machine that goes down may.
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(_TABLE)
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"{path} cannot be used as a cache of answers ({error}). Remove it; its answers are asked for again"
            ) from error

    def get(self, key: str, prompt: Prompt, sample: int) -> Generation | None:
        """The answer held under `key`, as one to this prompt and sample."""
        with self._lock:
            row = self._database.execute(
                "SELECT text, finish_reason, prompt_tokens, completion_tokens FROM answers WHERE key = ?", (key,)
            ).fetchone()
        if row is None:
            return None
        text, finish, prompt_tokens, completion_tokens = row
        return Generation(prompt.prompt_id, sample, text, FinishReason(finish), prompt_tokens, completion_tokens)

    def put(self, key: str, answer: Generation) -> None:
        """Hold an answer. The first one under a key stays."""
        # A lone surrogate, which a model's bytes may decode to, is no text to SQLite; and no submission could hold it.
        text = answer.text.encode("utf-8", errors="ignore").decode("utf-8")
        row = (key, text, answer.finish_reason.value, answer.prompt_tokens, answer.completion_tokens)
        with self._lock:
            self._database.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)", row)

    def tokens(self) -> tuple[int, int]:
        """(prompt, completion) tokens of all answers held, as far as they were counted."""
        with self._lock:
            row = self._database.execute(
                "SELECT COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(completion_tokens), 0) FROM answers"
            ).fetchone()
        return int(row[0]), int(row[1])

    def __len__(self) -> int:
        with self._lock:
            return int(self._database.execute("SELECT COUNT(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
