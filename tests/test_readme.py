"""The pages: every output, command, listing, table and link on them is what it says."""

import code
import contextlib
import io
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
PAGES = pytest.mark.parametrize("page", [ENGLISH, CHINESE, EVIDENCE], ids=["English", "Chinese", "evidence"])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"python rnn_sine\.py((?: [^`\n#|<]*)?)")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")
FIGURES = json.loads((TESTS / "experiments.json").read_text())
LASER = "--series tests/laser.txt --one-cycle --learning-rate 0.01 --max-grad-norm 0.1"
SUNSPOTS = "--series tests/sunspots_until_1997.csv --ahead 11"


def listings(page):
    """The Python listings of a page, with the output that it shows behind each of them."""
    return [(text, output) for language, text, output in BLOCK.findall(page) if language == "python"]


def output_of(page, command):
    """The output that a page shows behind a command, perhaps after some sentences."""
    _, _, behind = page.partition(f"```sh\n{command}\n```\n")
    return re.search(r"^```text\n(.*?)^```$", behind, re.DOTALL | re.MULTILINE)[1]


def without_middle(printed):
    """What a page shows of a training: its first and its last losses."""
    return re.sub(r"(Epoch \[10/.*\n)(?:Epoch .*\n)*?(Epoch \[(\d+)/\3\])", r"\1...\n\2", printed)


def assert_alike(shown, printed, tolerance=0.1):
    """Equal words; numbers may differ by a tenth, since processors round differently."""
    for line, printed_line in zip(shown.splitlines(), printed.splitlines(), strict=True):
        assert NUMBER.sub("#", line).split() == NUMBER.sub("#", printed_line).split()
        numbers = np.float64(NUMBER.findall(line))
        printed_numbers = np.float64(NUMBER.findall(printed_line))
        # On the sine, linear regression errs by rounding alone, and so does the loop by hand.
        rounding = 1e-5 if line.strip().startswith(("linear regression", "The loop by hand")) else 1e-12
        assert numbers == pytest.approx(printed_numbers, rel=tolerance, abs=rounding)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder with the data that the commands of the page need."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    for name in ("laser.txt", "sunspots_until_1997.csv"):
        shutil.copy(TESTS / name, tmp_path / "tests" / name)


def test_the_page_and_the_script_show_the_default_run(default_run):
    printed = without_middle(default_run[1])
    assert_alike(output_of(ENGLISH, "python rnn_sine.py"), printed)
    table = re.search(r"^predictor .*?(?=\nOne step)", printed, re.DOTALL | re.MULTILINE)[0]
    in_docstring = re.search(r"^ *predictor .*?(?=\n\n)", rnn_sine.__doc__, re.DOTALL | re.MULTILINE)[0]
    assert_alike(in_docstring, table)


@pytest.mark.parametrize("flags, tolerance", [(SUNSPOTS, 0.1), (LASER, 0.6)], ids=["sunspots", "laser"])
def test_the_page_shows_what_its_commands_print(folder, capsys, flags, tolerance):
    # The laser's training is chaotic: rounding alone moves its losses, so only words and sizes are compared.
    rnn_sine.main(flags.split())
    printed = without_middle(capsys.readouterr().out)
    shown = output_of(ENGLISH, f"python rnn_sine.py {flags}")
    assert_alike(shown, printed, tolerance)
    assert shown in CHINESE


def test_what_came_after_1997_lies_in_the_band_that_the_page_shows():
    later = np.loadtxt(TESTS / "sunspots.csv", delimiter=",", skiprows=1)[-11:]
    forecast = np.float64([line.split() for line in output_of(ENGLISH, f"python rnn_sine.py {SUNSPOTS}").splitlines()
                           if re.match(r" +\d+( +-?[\d.]+){3}$", line)])
    for page in (ENGLISH, CHINESE):
        rows = re.findall(r"^\| (\d{4}) \| (.*) \| (.*) \| (.*) \| (.*) \|$", page, re.MULTILINE)
        table = np.float64(rows)
        assert table[:, [0, 4]] == pytest.approx(later)
        assert table[:, 1:4] == pytest.approx(forecast[:, 1:])
        assert np.all((table[:, 2] < table[:, 4]) & (table[:, 4] < table[:, 3]))


@PAGES
def test_the_listings_of_a_page_joined_in_one_file_print_what_the_page_shows(page, folder, monkeypatch):
    monkeypatch.chdir(ROOT if page is EVIDENCE else ".")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec("".join(text for text, _ in listings(page)), {"__name__": "__main__"})
    assert_alike("".join(output for _, output in listings(page)), out.getvalue())


@PAGES
def test_the_listings_print_the_same_when_they_are_pasted_line_by_line(page, folder, monkeypatch, capsys):
    monkeypatch.chdir(ROOT if page is EVIDENCE else ".")
    console = code.InteractiveConsole()
    for text, output in listings(page):
        for line in text.splitlines():
            console.push(line)
        printed, errors = capsys.readouterr()
        assert errors == ""
        # A prompt also shows a value that is not assigned, such as <torch._C.Generator ...>.
        shown = [line for line in printed.splitlines() if not line.startswith("<")]
        assert_alike(output, "\n".join(shown))


def test_the_chinese_page_has_the_listings_outputs_and_numbers_of_the_english_one():
    english_outputs = [output for _, output in listings(ENGLISH) if output]
    for _, output in listings(CHINESE):
        assert output == "" or output in english_outputs

    def numbers_of_tables(page):
        rows = re.findall(r"^\|.*\|$", page, re.MULTILINE)
        return [re.findall(r"\d+\.\d+", row) for row in rows if re.search(r"\| \d+\.\d+", row)]
    assert numbers_of_tables(CHINESE) == numbers_of_tables(ENGLISH)


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
            plain = [re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings]
            assert anchor in plain


def test_every_picture_is_shown_on_a_page():
    shown = set(re.findall(r"\(((?:tests/)?\w+\.(?:png|svg))\)", ENGLISH + CHINESE + EVIDENCE))
    for picture in list(TESTS.glob("*.png")) + list(TESTS.glob("*.svg")):
        assert shown & {picture.name, f"tests/{picture.name}"}


def test_the_evidence_has_the_tables_that_the_experiments_print(capsys):
    experiments.print_tables(FIGURES)
    printed = re.findall(r"^\|.*", capsys.readouterr().out, re.MULTILINE)
    shown = [row for row in re.findall(r"^\|.*\|$", EVIDENCE, re.MULTILINE) if re.search(r"\| -?\d[\d.e+-]* ", row)]
    assert len(shown) > 60
    for row in shown:
        assert row in printed


NOISE = "clean sine: small noise in the window, how far it moves a forecast (1 is the noise)"
LASER_TABLE = "laser: RMSE (1 is the laser's unit; its values are 0 to 255)"
SUNSPOT_TABLE = "sunspots, 172 years: RMSE (1 is linear regression on 20 years)"
UNIT = "pairs: one unit trained on windows of 2, which reads more: RMSE (1 is the best possible)"
STORIES = {  # a row of the first page, as it is shown: table, then row and column of each of its figures
    "| RNN | 24 |": (NOISE, ("RNN", "64 ahead")),
    "| MLP | 0.82 |": (NOISE, ("MLP", "64 ahead")),
    "| MLP that sees only the last 5 values | 20 |": (NOISE, ("MLP on 5 values", "64 ahead")),
    "| exact weighted sum of the last 2 values | 42 |": (NOISE, ("smallest exact sum of 2 values", "64 ahead")),
    "| exact weighted sum of the last 5 values | 11 |": (NOISE, ("smallest exact sum of 5 values", "64 ahead")),
    "| exact weighted sum of all 20 values | 1.2 |": (NOISE, ("smallest exact sum of 20 values", "64 ahead")),
    "| 1.000 | 1.37e-07 | 0.00586 | 0.00848 |": ("logistic map: RMSE (1 is what the mean errs)",
        ("linear regression", "window 2"), ("linear regression with squares", "window 2"), ("MLP", "window 2"),
        ("RNN", "window 2")),
    "| linear regression | 23.4 | 43.4 |": (LASER_TABLE, ("linear regression", "1 ahead"),
        ("linear regression", "16 ahead")),
    "| MLP | 3.62 | 18.8 |": (LASER_TABLE, ("MLP, tuned for 1 step", "1 ahead"),
        ("MLP, tuned for 16 steps", "16 ahead")),
    "| kernel ridge | 3.97 | 9.66 |": (LASER_TABLE, ("kernel ridge, tuned for 1 step", "1 ahead"),
        ("kernel ridge, tuned for 16 steps", "16 ahead")),
    "| kernel ridge, fading | 2.65 | 15.5 |": (LASER_TABLE,
        ("kernel ridge, fading, Matern 3/2, tuned for 1 step", "1 ahead"),
        ("kernel ridge, fading, Matern 3/2, tuned for 16 steps", "16 ahead")),
    "| RNN | 2.82 | 16.9 |": (LASER_TABLE, ("RNN, tuned for 1 step", "1 ahead"),
        ("RNN, tuned for 16 steps", "16 ahead")),
    "| LSTM | 2.21 | 15.8 |": (LASER_TABLE, ("LSTM, as the RNN for 1 step", "1 ahead"),
        ("LSTM, as the RNN for 16 steps", "16 ahead")),
    "| the RNN, trained on two values, reads 20 | 1.004 |": (UNIT, ("evidence", "window 20")),
    "| an MLP of one unit, trained on 20 values | 1.004 |": ("pairs: RMSE (1 is the best possible)",
        ("MLP, 1 unit", "window 20")),
}
for name, row, raw, roots in (
    ("persistence", "persistence", "1.504", "1.504"),
    ("linear regression, 20 years", "linear regression, 20 years", "1", "0.963"),
    ("linear regression, years by AIC", "linear regression, years by AIC", "0.971", "0.907"),
    ("threshold autoregression", "threshold autoregression by AICc", "0.883", "0.851"),
    ("MLP", "MLP", "1.006", "0.980"),
    ("RNN", "RNN", "0.924", "0.942"),
):
    STORIES[f"| {name} | {raw} | {roots} |"] = (SUNSPOT_TABLE, (row, "raw"), (row, "square roots"))


@pytest.mark.parametrize("row", STORIES)
def test_the_stories_show_medians_of_the_experiments(row):
    assert row in ENGLISH
    table, *cells = STORIES[row]
    numbers = np.float64(re.findall(r"(?<=\| )[\d.e+-]+(?= \|)", row))
    medians = [np.median(FIGURES[table][name][column]) for name, column in cells]
    assert numbers == pytest.approx(medians, rel=0.04 if table == NOISE else 0.005)


def test_the_sentences_of_the_stories_show_medians_of_the_experiments():
    growth = FIGURES["clean sine: errors many steps ahead, RMSE (1 is the sine's height)"]
    said = FIGURES["sunspots: said for 1958 (190.2 in 1957, 184.8 came)"]
    sizes = FIGURES["sunspots, raw: RMSE (1 is one sunspot)"]
    ahead = FIGURES["sunspots until 1997: RMSE 1 to 11 years ahead in the test part (1 is one sunspot; mean)"]
    without_1958 = [FIGURES[SUNSPOT_TABLE]["RNN"]["raw, without 1958"],
                    FIGURES[SUNSPOT_TABLE]["linear regression, years by AIC"]["square roots, without 1958"]]
    lstm = FIGURES[LASER_TABLE]["LSTM, as the RNN for 1 step"]["1 ahead"]
    rnn = FIGURES[LASER_TABLE]["RNN, tuned for 1 step"]["1 ahead"]
    many_steps = FIGURES[LASER_TABLE]["RNN, tuned for 1 step"]["16 ahead"]
    wide = FIGURES[LASER_TABLE]["MLP of 198 units, tuned for 1 step"]["1 ahead"]
    assert f"with as many weights as the RNN comes to {np.median(wide):.2f} only" in ENGLISH
    answers = ahead["RNN"]["gives the answer, in so many of ten seeds"]
    assert f"the median of its error after 64 steps is {np.median(growth['RNN']['64 ahead']):.2g}" in ENGLISH
    assert f"The median of ten such trainings is {np.median(many_steps):.0f}." in ENGLISH
    assert f"errs by {np.median(lstm):.1f} one step ahead, that of the RNNs by {np.median(rnn):.1f}" in ENGLISH
    assert f"the RNN said {np.median(said['RNN']['raw']):.0f} (the median" in ENGLISH
    roots = said["linear regression, years by AIC"]["square roots"]
    assert f"by AIC on square roots said {np.median(roots):.0f}, and 185 came" in ENGLISH
    assert f"{np.median(without_1958[0]):.3f} to {np.median(without_1958[1]):.3f}" in ENGLISH
    for name, sentence in (("MLP", "typically wrong by {:.1f}, on the test years by {:.1f}"),
                           ("linear regression, 20 years", "wrong by {:.1f} and {:.1f}")):
        training, test = np.median(sizes[name]["training years"]), np.median(sizes[name]["test years"])
        assert sentence.format(training, test) in ENGLISH
    assert np.mean(answers) == 7
    assert "with seven of them the RNN would have answered" in ENGLISH
