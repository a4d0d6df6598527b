"""`regimed report`: from a result on the disk to a page on the disk."""

from __future__ import annotations

import json
import sys

import pytest

from backtest.report import html
from daemon.cli import main
from tests.backtest.samples import sample_result
from tests.cycle.processes import regimed


@pytest.fixture
def called(monkeypatch, capsys):
    """Return exit code, output and errors of a command that runs in this process."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["regimed", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_a_folder_of_a_backtest_gets_its_page(tmp_path, called):
    """Beside the result, which stays as it is; nothing else is left, and a second run changes nothing."""
    result = sample_result()
    (tmp_path / "result.json").write_bytes(result.as_bytes())
    done = regimed("report", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    for told in (done.stdout, called("report", str(tmp_path))[1]):
        assert told == f"written: {tmp_path / 'report.html'}\n"
        assert (tmp_path / "report.html").read_text() == html(result.as_value())
        assert (tmp_path / "result.json").read_bytes() == result.as_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "result.json"]


def test_a_file_of_any_name_goes_with_its_json_into_another_folder(tmp_path, called):
    """The JSON beside the page is the result's own bytes; where both lie is told as JSON where asked for."""
    data, out = sample_result().as_bytes(), tmp_path / "new" / "report"
    (tmp_path / "mine.json").write_bytes(data)
    code, said, _ = called("report", str(tmp_path / "mine.json"), "--out", str(out), "--format", "json")
    assert code == 0
    assert json.loads(said) == {"page": str(out / "report.html"), "result": str(out / "result.json")}
    assert (out / "result.json").read_bytes() == data
    assert (out / "report.html").read_text() == html(sample_result().as_value())


def test_what_cannot_be_told_ends_in_one_line_and_writes_nothing(tmp_path, called):
    """No such file, no JSON, a part that is missing, a file in the folder's place: each by name."""
    code, _, told = called("report", str(tmp_path))
    assert code == 2
    assert told.startswith(f"regimed: {tmp_path / 'result.json'}: no such file; `regimed backtest")
    file, out = tmp_path / "result.json", tmp_path / "out"
    value = sample_result().as_value()
    for content, problem in (
        ("{", "not JSON"),
        (json.dumps({**value, "nav": ["1"]}), "nav: 1 values, expected one for each of 72 hours"),
    ):
        file.write_text(content)
        code, _, told = called("report", str(file), "--out", str(out))
        assert code == 1
        assert told.startswith(f"regimed: {file}: ") and problem in told
        assert told.count("\n") == 1
        assert not out.exists()
    file.write_text(json.dumps(value))
    code, _, told = called("report", str(file), "--out", str(file))
    assert (code, told) == (2, f"regimed: --out: {file} is a file; expected a folder\n")
