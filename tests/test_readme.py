import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = {  # the first line of the section's text -> its Python snippets
    section.splitlines()[0]: re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    for section in README.split("\n## ")[1:]
}


def run_snippet(code, folder):
    """Run a snippet as it stands, in `folder`, as if rnn_sine.py lay there: what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder, env=None, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def numbers(line):
    return [float(number) for number in re.findall(r"\d\.\d+e[+-]\d\d", line)]


def test_the_output_shown_is_that_of_the_default_run(default_run):
    _, out, _, picture = default_run
    shown = re.search(r"```text\n(.*?)```", README, re.DOTALL)[1].splitlines()
    printed = out.replace(str(picture), "rnn_sine.png").splitlines()
    number = r"\d\.\d+e[+-]\d\d"
    assert [re.sub(number, "#", line) for line in shown] == [re.sub(number, "#", line) for line in printed]
    for shown_line, printed_line in zip(shown, printed):
        assert numbers(shown_line) == pytest.approx(numbers(printed_line), rel=0.02, abs=1e-7)
