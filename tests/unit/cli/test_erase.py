"""`consensus erase`: who is asked, and what goes here."""

import pytest
from typer.testing import CliRunner

from client_kit.cli.application import app
from client_kit.cli.erase import forget_local
from client_kit.errors import JournalError
from client_kit.federation.journal import Journal
from client_kit.generation.answer_cache import AnswerCache
from client_kit.showing import show_why
from client_kit.wire import PromptExplanation, PseudoLabel


def test_nothing_is_erased_where_nobody_can_be_asked():
    result = CliRunner().invoke(app, ["erase", "--server", "http://127.0.0.1:9"])
    assert result.exit_code != 0
    assert "Nothing was erased" in result.output
    assert "--yes" in result.output


def test_journal_and_kept_answers_go_once_no_process_works_with_them(tmp_path):
    AnswerCache(tmp_path / "answers.sqlite").close()
    (tmp_path / "labels.jsonl").write_text("of others")
    with Journal(tmp_path / "journal.jsonl", {"participant": "north"}), pytest.raises(JournalError):
        forget_local(tmp_path)
    assert [file.name for file in forget_local(tmp_path)] == ["journal.jsonl", "answers.sqlite"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["journal.lock", "labels.jsonl"]
    assert forget_local(tmp_path) == []


def test_a_label_whose_text_is_gone_is_told_as_such(capsys):
    label = PseudoLabel(
        prompt_id="p-0", digest="0" * 64, confidence=0.5, confidence_method="share", support=1.0, share=1.0, clusters=[], erased=True,
    )  # fmt: skip
    show_why(PromptExplanation(label=label, answers=[]))
    assert "The text was erased; its digest is 0000" in capsys.readouterr().out
