import math
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image  # comes with matplotlib

import rnn_sine

README = (ROOT / "README.md").read_text(encoding="utf-8")
*SNIPPETS, (DDP, _) = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", README, re.DOTALL)
NUMBER = r"-?\d+\.\d+(?:e[+-]\d+)?|-?\d+e[+-]\d+"


def assert_alike(shown, printed):
    """Equal but for decimals, which may differ as one processor rounds otherwise than another."""
    assert re.sub(NUMBER, "#", shown) == re.sub(NUMBER, "#", printed)
    for a, b in zip(re.findall(NUMBER, shown), re.findall(NUMBER, printed), strict=True):
        a, b = float(a), float(b)
        assert math.isclose(a, b, rel_tol=0.1, abs_tol=0.02) or abs(math.log10(a / b)) < 0.7, (a, b)


def assert_same_picture(name, path):
    """Equal grey values over blocks of 10 x 10 pixels, but for what a new release moves by a pixel."""
    grey = []
    for file in (ROOT / "tests" / name, path):
        with Image.open(file) as picture:
            grey.append(np.asarray(picture.convert("L")).reshape(90, 10, 130, 10).mean(axis=(1, 3)) / 255)
    assert np.abs(grey[0] - grey[1]).mean() < 0.01


def test_the_output_and_the_picture_are_those_of_the_default_run(default_run):
    _, out, path = default_run
    start, end = re.search(r"```text\n(Device.*?\n)\.\.\.\n(.*?)```", README, re.DOTALL).groups()
    printed = out.replace(str(path), "rnn_sine.png")
    assert_alike(start + end, printed[: len(start)] + printed[-len(end) :])
    assert_same_picture("rnn_sine.png", path)


def test_the_snippets_print_what_the_page_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "readme"}
    for code, shown in SNIPPETS:
        exec(compile(code, "README.md", "exec"), namespace)
        out = re.sub(r"^Epoch .*\n", "", capsys.readouterr().out, flags=re.MULTILINE)
        assert_alike(shown or out, "".join(out.splitlines(keepends=True)[-shown.count("\n") :]))
        assert "parameter.numel" not in code or out == "True\n4353\n"
    assert_same_picture("switch.png", "switch.png")


def test_two_processes_train_to_equal_weights(tmp_path):
    (tmp_path / "ddp.py").write_text(DDP)
    shutil.copy(ROOT / "rnn_sine.py", tmp_path)
    command = [sys.executable, *re.search(r"`python (-m torch.distributed.run .*?)`", README)[1].split()]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=80)
    sums = re.findall(r"sum of the weights: (-?[\d.]+)", done.stdout)
    assert len(sums) == 2 and sums[0] == sums[1], done.stderr


@pytest.mark.parametrize("flags", sorted(set(re.findall(r"`python rnn_sine\.py ([^`\n]*)`", README)) - {"--help"}))
def test_every_command_line_parses(flags):
    rnn_sine.make_parser().parse_args(flags.split())


def test_every_link_leads_somewhere():
    headings = [re.sub(r"[^\w\- ]", "", h.lower()) for h in re.findall(r"^#+ (.*)$", README, re.MULTILINE)]
    for path, fragment in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", README):
        assert (ROOT / path).is_file() if path else fragment in [h.replace(" ", "-") for h in headings]
