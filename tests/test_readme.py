import re

import numpy as np
import pytest
from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS = {section.splitlines()[0]: section for section in README.split("\n## ")[1:]}


def snippets(title):
    return re.findall(r"```python\n(.*?)```", SECTIONS[title], re.DOTALL)


@pytest.fixture
def run_snippet(tmp_path, monkeypatch, capsys):
    """Run a snippet, as it stands, in a temporary folder: what it prints."""
    monkeypatch.chdir(tmp_path)

    def run(code):
        exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return run


def numbers(text):
    return [float(number) for number in re.findall(r"\d\.\d+e[+-]\d\d", text)]


def test_the_output_shown_is_that_of_the_default_run(default_run):
    _, out, _, picture = default_run
    shown = re.search(r"```text\n(.*?)```", README, re.DOTALL)[1]
    printed = out.replace(str(picture), "rnn_sine.png")
    # On a clean sine, linear regression errs by rounding alone, which differs from machine to machine.
    quotient = r"(?<=regression: ).*(?= times)"
    assert float(re.search(quotient, shown)[0]) == pytest.approx(float(re.search(quotient, printed)[0]), rel=0.9)
    shown, printed = (re.sub(quotient, "#", text) for text in (shown, printed))
    number = r"\d\.\d+e[+-]\d\d"
    assert re.sub(number, "#", shown) == re.sub(number, "#", printed)
    assert numbers(shown) == pytest.approx(numbers(printed), rel=0.02, abs=1e-7)


def test_the_snippet_for_your_own_series(run_snippet):
    command = re.search(r'python -c "import numpy as np; (.*)"\n', SECTIONS["Your own series"])[1]
    exec(command, {"np": np})
    (snippet,) = snippets("Your own series")
    assert len(snippet.splitlines()) <= 15
    persistence, linear_regression, rnn = numbers(run_snippet(snippet).split("100/100")[1])[1:]
    assert rnn < linear_regression / 3 < persistence / 3
    assert persistence == pytest.approx(0.0747, rel=0.01)
