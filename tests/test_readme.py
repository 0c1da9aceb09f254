"""The README: every output, picture, command, snippet and link on it is what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, TESTS
from PIL import Image  # comes with matplotlib

import rnn_sine

README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", README, re.DOTALL)
COMMANDS = re.findall(r"python rnn_sine\.py( [^`\n#|]*)", README)
NUMBER = r"-?\d+\.\d+(?:e[+-]\d+)?|-?\d+e[+-]\d+"


def assert_alike(shown, printed):
    """Equal words and whole numbers; other numbers differ by a tenth at most, processors round."""
    for line, printed_line in zip(shown.splitlines(), printed.splitlines(), strict=True):
        assert re.sub(NUMBER, "#", line) == re.sub(NUMBER, "#", printed_line)
        numbers = [float(number) for number in re.findall(NUMBER, line)]
        printed_numbers = [float(number) for number in re.findall(NUMBER, printed_line)]
        # On the sine, linear regression errs by rounding alone: there, nothing is below 1e-5.
        rounding = 1e-5 if line.startswith("linear regression") else 0
        assert numbers == pytest.approx(printed_numbers, rel=0.1, abs=rounding)


def assert_same_picture(name, path):
    """Equal grey values over blocks of 10 x 10 pixels, but for what a new release moves by a pixel."""
    blocks = []
    for file in (TESTS / name, path):
        with Image.open(file) as picture:
            grey = np.asarray(picture.convert("L")) / 255
        height, width = grey.shape
        blocks.append(grey.reshape(height // 10, 10, width // 10, 10).mean(axis=(1, 3)))
    assert np.abs(blocks[0] - blocks[1]).mean() < 0.01


def test_the_output_and_the_picture_are_those_of_the_default_run(default_run):
    _, out, path = default_run
    shown = re.search(r"```text\n(Device.*?)```", README, re.DOTALL)[1]
    printed = out.replace(str(path), "rnn_sine.png")
    printed = re.sub(r"(Epoch \[10/.*\n)(?:Epoch .*\n)*(Epoch \[100/)", r"\1...\n\2", printed)
    assert_alike(shown, printed)
    assert_same_picture("rnn_sine.png", path)


def test_the_snippets_print_what_the_page_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("tests").mkdir()
    shutil.copy(TESTS / "sunspots.csv", "tests")
    namespace = {"__name__": "readme"}
    for code, shown in SNIPPETS[:-1]:
        exec(compile(code, "README.md", "exec"), namespace)
        out = re.sub(r"^Epoch .*\n", "", capsys.readouterr().out, flags=re.MULTILINE)
        printed = out.splitlines()[-shown.count("\n") :]
        assert_alike(shown, "\n".join(printed))
    for flags in COMMANDS:  # a file that a command reads is there by now
        file = rnn_sine.make_parser().parse_args(flags.split()).series
        assert file in (None, "FILE") or Path(file).exists()


def test_two_processes_train_to_equal_weights(tmp_path):
    (tmp_path / "ddp.py").write_text(SNIPPETS[-1][0])
    shutil.copy(ROOT / "rnn_sine.py", tmp_path)
    flags = re.search(r"`python (-m torch.distributed.run .*?)`", README)[1].split()
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    done = subprocess.run([sys.executable] + flags, cwd=tmp_path, env=environment, capture_output=True, text=True)
    sums = re.findall(r"sum of the weights: (-?[\d.]+)", done.stdout)
    assert len(sums) == 2, done.stderr
    assert sums[0] == sums[1]


def test_every_link_leads_somewhere():
    anchors = []
    for heading in re.findall(r"^#+ (.*)$", README, re.MULTILINE):
        anchors.append(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    for path, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", README):
        if path:
            assert (ROOT / path).is_file()
        else:
            assert anchor in anchors
