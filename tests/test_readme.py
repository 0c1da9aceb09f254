"""The pages: every output, command, snippet, table and link on them is what it says."""

import code
import contextlib
import io
import json
import re
import shutil
from pathlib import Path

import experiments
import numpy as np
import pytest
from conftest import ROOT, TESTS

import rnn_sine

FOLDERS = {"README.md": ROOT, "tests/README.md": TESTS}  # the folders that a page's links begin from
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in FOLDERS}
ENGLISH, CHINESE = TEXTS["README.md"].split("\n## 中文\n")
SESSIONS = {"English": ENGLISH, "Chinese": CHINESE, "evidence": TEXTS["tests/README.md"]}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"python rnn_sine\.py((?: [^`\n#|<]*)?)")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def assert_alike(shown, printed):
    """Equal words; numbers may differ by a tenth, or by 0.06, since processors round differently."""
    for line, printed_line in zip(shown.splitlines(), printed.splitlines(), strict=True):
        assert NUMBER.sub("#", line).split() == NUMBER.sub("#", printed_line).split()
        numbers = [float(number) for number in NUMBER.findall(line)]
        printed_numbers = [float(number) for number in NUMBER.findall(printed_line)]
        # On the sine, linear regression errs by rounding alone: there, nothing is below 1e-5.
        rounding = 1e-5 if line.startswith("linear regression") else 1e-12
        assert numbers == pytest.approx(printed_numbers, rel=0.1, abs=rounding)


def without_losses(out):
    """The output of a run with all but its first and last losses left out, as the pages show it."""
    return re.sub(r"(Epoch \[10/100.*\n)(?:Epoch .*\n)*(Epoch \[100/)", r"\1...\n\2", out)


def test_the_pages_show_the_default_run(default_run):
    printed = without_losses(default_run[1])
    shown = [output for _, text, output in BLOCK.findall(ENGLISH) if text == "python rnn_sine.py\n"]
    assert_alike(shown[0], printed)
    table = re.search(r"^```text\n(predictor .*?)^```$", CHINESE, re.DOTALL | re.MULTILINE)[1]
    assert_alike(table, printed[printed.index("predictor ") : printed.index("Picture")])


@pytest.mark.parametrize("page", SESSIONS)
def test_snippets_print_what_the_page_shows_in_a_session_of_pasted_lines(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    console = code.InteractiveConsole()
    for language, text, output in BLOCK.findall(SESSIONS[page]):
        if language == "python" and "torch.distributed" not in text:
            for line in text.split("\n"):
                console.push(line)
            printed, errors = capsys.readouterr()
            assert errors == ""
            assert "<" not in printed  # nothing is echoed but what the page prints
            if "main(" in text:
                printed = printed[printed.index("Picture: ") :].split("\n", 1)[1]
            assert_alike(output, printed)


@pytest.mark.parametrize("page", ["English", "Chinese"])
def test_the_sunspots_are_continued_as_the_page_shows(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(TESTS, "tests", ignore=shutil.ignore_patterns("*.py", "*.png", "__pycache__"))
    commands = [(text, output) for _, text, output in BLOCK.findall(SESSIONS[page]) if "--ahead" in text]
    text, output = commands[0]
    rnn_sine.main(COMMAND.search(text)[1].replace("--lang zh", "").split() + ["--no-show", "--device", "cpu"])
    assert_alike(output, without_losses(capsys.readouterr().out))


@pytest.mark.parametrize("page", FOLDERS)
def test_every_command_has_flags_and_files_that_exist(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for flags in COMMAND.findall(TEXTS[page]):
        args = rnn_sine.make_parser().parse_args(flags.split())
        assert args.series in (None, "FILE") or Path(args.series).exists()
    for flags in re.findall(r"python tests/experiments\.py((?: --[a-z-]+(?: \d+)?)*)", TEXTS[page]):
        experiments.make_parser().parse_args(flags.split())


@pytest.mark.parametrize("page", FOLDERS)
def test_every_link_leads_somewhere(page):
    anchors = {}
    for name, text in TEXTS.items():
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
        anchors[(ROOT / name).resolve()] = [heading.replace(" ", "-") for heading in plain]
    for path, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", BLOCK.sub("", TEXTS[page])):
        target = (FOLDERS[page] / path).resolve() if path else (ROOT / page).resolve()
        assert target.is_file(), path
        assert not anchor or anchor in anchors[target], anchor


def table_rows(text):
    return [line for line in text.splitlines() if line.startswith("|") and "---" not in line]


def test_the_tables_are_those_that_the_experiments_print():
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        experiments.print_tables(json.loads((TESTS / "experiments.json").read_text()))
    printed = table_rows(out.getvalue())
    names = {row.split("|")[1] for row in printed} - {" "}
    shown = [row for row in table_rows(TEXTS["tests/README.md"]) if row.split("|")[1] in names]
    assert len(shown) > 40
    for row in shown:
        assert row in printed
