"""The pages: every output, picture, command, snippet, table and link on them is what it says."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import experiments
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import ROOT, TESTS
from matplotlib import font_manager
from PIL import Image  # comes with matplotlib

import rnn_sine

PAGES = {"README.md": ROOT, "tests/README.md": TESTS}  # and the folders that their links begin from
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"python rnn_sine\.py((?: [^`\n#|<]*)?)")
NUMBER = r"-?\d+\.\d+(?:e[+-]\d+)?|-?\d+e[+-]\d+"


def blocks(page):
    """The code of a page: (language, text, text of the output block behind it or "")."""
    found = [(match[2], match[3], match.end(), match.start()) for match in FENCE.finditer(TEXTS[page])]
    for number, (language, text, end, _) in enumerate(found):
        output = ""
        if number + 1 < len(found):
            next_language, next_text, _, next_start = found[number + 1]
            if next_language == "text" and TEXTS[page][end:next_start].strip() == "":
                output = next_text
        yield language, text, output


def assert_alike(shown, printed):
    """Equal words and whole numbers; other numbers differ by a tenth at most, processors round."""
    for line, printed_line in zip(shown.splitlines(), printed.splitlines(), strict=True):
        pattern = NUMBER
        if re.match("persistence|linear regression|MLP|RNN", line):
            pattern = NUMBER + r"|\d+"  # in the table, an error of 36.0 is printed as 36
        assert re.sub(rf" *({pattern})", "#", line) == re.sub(rf" *({pattern})", "#", printed_line)
        numbers = [float(number) for number in re.findall(pattern, line)]
        printed_numbers = [float(number) for number in re.findall(pattern, printed_line)]
        # On the sine, linear regression errs by rounding alone: there, nothing is below 1e-5.
        rounding = 1e-5 if line.startswith("linear regression") else 0
        assert numbers == pytest.approx(printed_numbers, rel=0.1, abs=rounding)


def without_losses(out):
    """The output of a run with all but its first and last losses left out, as the pages show it."""
    return re.sub(r"(Epoch \[10/.*\n)(?:Epoch .*\n)*(Epoch \[100/)", r"\1...\n\2", out)


def assert_same_picture(path, other):
    """Equal grey values over blocks of 10 x 10 pixels, but for what a new release moves by a pixel."""
    grey = []
    for file in (path, other):
        with Image.open(file) as picture:
            values = np.asarray(picture.convert("L")) / 255
        height, width = values.shape
        grey.append(values.reshape(height // 10, 10, width // 10, 10).mean(axis=(1, 3)))
    assert np.abs(grey[0] - grey[1]).mean() < 0.004


def test_the_output_and_the_picture_are_those_of_the_default_run(default_run):
    _, out, path = default_run
    printed = without_losses(out.replace(str(path), "rnn_sine.png"))
    shown = [output for language, text, output in blocks("README.md") if text == "python rnn_sine.py\n"]
    assert len(shown) == 1
    assert_alike(shown[0], printed)
    tables = re.findall(r"^```text\n( +MSE .*?)```$", TEXTS["README.md"], re.DOTALL | re.MULTILINE)
    assert len(tables) == 1  # in the Chinese part
    assert_alike(tables[0], printed[printed.index("                          MSE") : printed.index("Picture")])
    assert_same_picture(TESTS / "rnn_sine.png", path)


def test_the_chinese_picture_is_that_of_the_default_run(default_run, tmp_path):
    if not any("NotoSansCJK-Regular" in file for file in font_manager.findSystemFonts()):
        pytest.skip("needs the font NotoSansCJK-Regular (Debian: fonts-noto-cjk)")
    figure = rnn_sine.draw_results(default_run[0])
    rnn_sine.label_in_chinese(figure)
    figure.savefig(tmp_path / "a.png")
    plt.close(figure)
    assert_same_picture(TESTS / "rnn_sine_zh.png", tmp_path / "a.png")


@pytest.mark.parametrize("page", PAGES)
def test_snippets_and_commands_print_what_the_page_shows(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(TESTS, "tests", ignore=shutil.ignore_patterns("*.py", "__pycache__", "*.png", "*.json"))
    namespace = {"__name__": "page"}
    compared = 0
    for language, text, output in blocks(page):
        if language == "python" and "torch.distributed" not in text:
            exec(compile(text, page, "exec"), namespace)
            printed = capsys.readouterr().out.splitlines()[-output.count("\n") :]
            assert_alike(output, "\n".join(printed))
            compared += 1
        if language == "sh" and "--series tests" in text:
            rnn_sine.main(COMMAND.search(text)[1].split() + ["--no-show", "--device", "cpu"])
            assert_alike(output, without_losses(capsys.readouterr().out))
            compared += 1
    assert compared == {"README.md": 8, "tests/README.md": 2}[page]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_has_flags_and_files_that_exist(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for flags in COMMAND.findall(TEXTS[page]):
        args = rnn_sine.make_parser().parse_args(flags.split())
        assert args.series in (None, "FILE") or Path(args.series).exists()
    for flags in re.findall(r"python tests/experiments\.py((?: --[a-z-]+(?: \d+)?)*)", TEXTS[page]):
        experiments.make_parser().parse_args(flags.split())


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    anchors = {}
    for name, text in TEXTS.items():
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors[(ROOT / name).resolve()] = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                                            for heading in headings]
    prose = re.sub(r"`[^`\n]+`", "", FENCE.sub("", TEXTS[page]))
    for path, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", prose):
        target = (PAGES[page] / path).resolve() if path else (ROOT / page).resolve()
        assert target.is_file(), path
        assert not anchor or anchor in anchors[target], anchor


FIGURES = json.loads((TESTS / "experiments.json").read_text())


def table_rows(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def test_the_evidence_shows_the_tables_that_the_experiments_printed():
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        experiments.print_tables(FIGURES)
    printed = table_rows(out.getvalue())
    names = {row.split("|")[1] for row in printed} - {" ", "---"}
    shown = [row for row in table_rows(TEXTS["tests/README.md"]) if row.split("|")[1] in names]
    assert len(shown) > 60
    for row in shown:
        assert row in printed


def test_the_settings_on_the_first_page_have_the_errors_of_the_experiments():
    medians = []
    for row, cells in FIGURES["clean sine: trainings of the RNN"].items():
        if "300 epochs" not in row:
            medians.append(experiments.number(np.median(cells["test MSE"])))
    rows = [row for row in table_rows(TEXTS["README.md"]) if re.search(r"\| \de-\d\d \||\| \d\.\de-\d\d \|", row)]
    assert [row.split("|")[2].strip() for row in rows] == medians * 2  # in English and in Chinese


def test_the_picture_of_the_evidence_shows_the_figures(tmp_path):
    experiments.draw(FIGURES, tmp_path / "a.png")
    assert_same_picture(TESTS / "experiments.png", tmp_path / "a.png")


@pytest.mark.skipif(os.name == "nt", reason="torchrun needs libuv, which PyTorch lacks on Windows")
def test_two_processes_train_to_equal_weights(tmp_path):
    snippets = [text for language, text, _ in blocks("tests/README.md") if "torch.distributed" in text]
    (tmp_path / "ddp.py").write_text(snippets[0])
    shutil.copy(ROOT / "rnn_sine.py", tmp_path)
    flags = re.search(r"`python (-m torch.distributed.run .*?)`", TEXTS["tests/README.md"])[1].split()
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    done = subprocess.run([sys.executable] + flags, cwd=tmp_path, env=environment, capture_output=True, text=True)
    sums = re.findall(r"sum of the weights: (-?[\d.]+)", done.stdout)
    assert len(sums) == 2, done.stderr
    assert sums[0] == sums[1]
