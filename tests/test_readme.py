"""The pages: every output, command, snippet, table and link on them is what it says."""

import code
import json
import re
import shutil

import experiments
import numpy as np
import pytest
from conftest import ROOT, TESTS

import rnn_sine

TEXTS = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", TESTS / "README.md")}
ENGLISH, CHINESE = TEXTS[ROOT / "README.md"].split("\n## 中文\n")
EVIDENCE = TEXTS[TESTS / "README.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"python rnn_sine\.py((?: [^`\n#|<]*)?)")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")
STORY_NUMBER = r" (\d\.\d{3,}|\de-\d+|\d\.\d+e-\d+) \|"  # of a table of ratios
FIGURES = json.loads((TESTS / "experiments.json").read_text())


def assert_alike(shown, printed):
    """Equal words but for losses left out; numbers may differ by a tenth, since processors round differently."""
    printed = re.sub(r"(Epoch \[10/100.*\n)(?:Epoch .*\n)*(Epoch \[100/)", r"\1...\n\2", printed)
    for line, printed_line in zip(shown.splitlines(), printed.splitlines(), strict=True):
        assert NUMBER.sub("#", line).split() == NUMBER.sub("#", printed_line).split()
        numbers = np.float64(NUMBER.findall(line))
        printed_numbers = np.float64(NUMBER.findall(printed_line))
        # On the sine, linear regression errs by rounding alone: there, nothing is below 1e-5.
        rounding = 1e-5 if line.startswith("linear regression") else 1e-12
        assert numbers == pytest.approx(printed_numbers, rel=0.1, abs=rounding)


def test_the_page_shows_the_default_run_and_the_sunspots(default_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(TESTS, "tests", ignore=shutil.ignore_patterns("*.py", "*.png", "__pycache__"))
    shown = {text: output for _, text, output in BLOCK.findall(ENGLISH)}
    assert_alike(shown["python rnn_sine.py\n"], default_run[1])
    flags = "--series tests/sunspots_until_1997.csv --column SUNACTIVITY --ahead 11"
    rnn_sine.main(flags.split())
    assert_alike(shown[f"python rnn_sine.py {flags}\n"], capsys.readouterr().out)


def test_the_chinese_page_shows_the_same_outputs_and_numbers():
    for _, text, output in BLOCK.findall(CHINESE):
        assert output in ENGLISH
        assert text in ENGLISH or "RMSE" not in text
    assert re.findall(STORY_NUMBER, CHINESE) == re.findall(STORY_NUMBER, ENGLISH)


@pytest.mark.parametrize("page", [ENGLISH, CHINESE, EVIDENCE], ids=["English", "Chinese", "evidence"])
def test_snippets_print_what_the_page_shows_in_a_session_of_pasted_lines(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    console = code.InteractiveConsole()
    for language, text, output in BLOCK.findall(page):
        if language == "python":
            for line in text.split("\n"):
                console.push(line)
            printed, errors = capsys.readouterr()
            assert errors == ""
            assert "<" not in printed  # nothing is echoed
            _, _, after_a_run = printed.rpartition("Picture: rnn_sine.png\n")
            assert_alike(output, after_a_run)


@pytest.mark.parametrize("path", TEXTS)
def test_every_command_and_link_leads_somewhere(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    for flags in COMMAND.findall(TEXTS[path]):
        rnn_sine.make_parser().parse_args(flags.split())
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", BLOCK.sub("", TEXTS[path])):
        page = (path.parent / target).resolve() if target else path
        assert page.is_file()
        if anchor:
            headings = re.findall(r"^#+ (.*)$", TEXTS[page].lower(), re.MULTILINE)
            plain = [re.sub(r"[^\w\- ]", "", heading) for heading in headings]
            assert anchor.replace("-", " ") in [heading.replace("-", " ") for heading in plain]


def test_the_evidence_has_the_tables_that_the_experiments_print(capsys):
    experiments.print_tables(FIGURES)
    printed = set(re.findall(r"^\|.*", capsys.readouterr().out, re.MULTILINE))
    names = {row.split("|")[1] for row in printed} - {" ", "---"}
    shown = [row for row in re.findall(r"^\|.*", EVIDENCE, re.MULTILINE) if row.split("|")[1] in names]
    assert len(shown) > 40
    assert set(shown) <= printed


def test_the_stories_have_the_roots_of_the_medians():
    rows = [row for table in FIGURES.values() for row in table.values()]
    roots = [abs(np.median(cell)) ** 0.5 for row in rows for cell in row.values()]
    stories, _, _ = ENGLISH.partition("## Your own numbers")
    numbers = np.float64(re.findall(STORY_NUMBER, stories))
    assert len(numbers) == 24
    for number in numbers:
        assert np.isclose(roots, number, rtol=0.006).any()
