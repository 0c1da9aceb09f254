"""The README: every output, picture, command, snippet and link on it is what it says."""

import os
import re
import shutil
import subprocess
import sys

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
