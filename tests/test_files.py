"""Files as people have them, and the next values of a series."""

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import TESTS

import rnn_sine

VALUES = [f"{500 + 80 * np.sin(n / 3):.2f}" for n in range(40)]
NUMBERS = [float(value) for value in VALUES]


def write(folder, rows, encoding="utf-8", newline="\n"):
    """A file with these rows; returns its path."""
    path = folder / "file.csv"
    path.write_text("\n".join(rows) + "\n", encoding=encoding, newline=newline)
    return path


def dated(cell="{}", separator=","):
    """Rows of a date and a value, the value in the form of `cell`."""
    return [f"2019-{n:02d}{separator}{cell.format(value)}" for n, value in enumerate(VALUES)]


def comma(rows):
    """The same rows with decimal commas."""
    return [row.replace(".", ",") for row in rows]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("rows", [
    VALUES, ["产量"] + VALUES, ["月份,产量"] + dated(), ['月份,"产\n量"'] + dated('"{}"'),
    ["月份\t产量"] + dated(separator="\t"), ["月份;产量"] + comma(dated(separator=";")),
    ["月份; 产量"] + dated('"{}"', separator="; "), ["二〇一九年", "", "月份,产量"] + dated(),
    ["Price,Close", "Ticker,产量", "Date,"] + dated(), ['"Month”,”产量"'] + dated(),
    ["# 说明"] * 30 + dated(), dated() + ["", ",", "合计：单位 a, b, c,"],
    ["名,产量"] + [f'"a; b\tc",{value}' for value in VALUES],
])  # fmt: skip
def test_a_file_is_read_as_people_have_it(tmp_path, rows, encoding, newline):
    path = write(tmp_path, rows, encoding, newline)
    assert rnn_sine.load_series(path).tolist() == NUMBERS


@pytest.mark.parametrize("cell, separator, number", [
    ("1,234.5", ",", 1234.5), ("0,123", ",", None), ("-1,234,567", ",", -1234567), ("+.5", ",", 0.5), ("7.", ",", 7),
    ("2e-3", ",", 0.002),
    ("63,96", ",", None), ("1234,567", ",", None), ("12,34,567", ",", None), (",5", ",", None),
    ("548,76", ";", 548.76), ("1.234,56", ";", 1234.56), ("548.76", ";", 548.76), ("1.234", "\t", 1.234),
    ("1.234.567,8", "\t", 1234567.8), ("1.234.567", ";", None), ("1,234.5", ";", None), ("1,234,567", ";", None),
    ("0.10%", ",", None), ("$5", ",", None), ("2019-01-01", ",", None), ("nan", ",", None), ("inf", ",", None),
    ("2019_01", ",", None), ("", ",", None), ("１", ",", None), ("1 2", ",", None), ("1e", ",", None),
])  # fmt: skip
def test_what_is_a_number(cell, separator, number):
    assert rnn_sine.to_number(cell, separator) == number


@pytest.mark.parametrize("column, place", [
    (None, 2), ("high", 2), ("low", 1), ("day", 0), ("3", 2), ("2", 1), ("03", 2),
])  # fmt: skip
def test_a_column_is_chosen_by_its_heading_or_its_number(tmp_path, column, place):
    rows = [f"{n},{n + 2},{n + 100}" for n in range(20)]
    path = write(tmp_path, ["a title, of two cells", "day,low,high"] + rows)
    assert rnn_sine.load_series(path, column).tolist() == [n + [0, 2, 100][place] for n in range(20)]


def test_a_column_is_counted_from_the_left_also_where_rows_are_longer(tmp_path):
    rows = [f"{n},{n + 50}" + ",note" * (n % 3 == 0) for n in range(20)]
    assert rnn_sine.load_series(write(tmp_path, rows))[:3].tolist() == [50, 51, 52]


@pytest.mark.parametrize("heading, column, first", [
    ("city,2,x", "2", 0), ("year,2019,2020", "2020", 30), ("Berlin,99,99", "2", 99), ("2020-01-01,7,9", "2", 7),
])  # fmt: skip
def test_a_heading_that_is_a_number_stands_beside_a_word_in_the_first_row(tmp_path, heading, column, first):
    path = write(tmp_path, [heading] + [f"2020-02-{n:02d},{n},{n + 30}" for n in range(20)])
    assert rnn_sine.load_series(path, column)[0] == first


def test_notes_do_not_decide_which_separator_a_file_has(tmp_path):
    path = write(tmp_path, ["Datum;Wert"] + comma(dated(separator=";")) + ["eine Notiz"] * 30)
    assert rnn_sine.load_series(path).tolist() == NUMBERS


def test_what_was_read_is_printed(tmp_path, capsys):
    rows = ["time,open,close,volume"] + [f"{n}:00,1,{n % 7}.50,9" for n in range(40)] + ["", "the end"]
    rnn_sine.load_series(write(tmp_path, rows), "close")
    expected = ("Series: column 3 of 4 'close', 40 values, from 0.50 (row 2, '0:00') to 4.50 (row 41, '39:00'), "
                "smallest 0.50, largest 6.50.\nRows left out below the last number, as notes: 1.\n")
    assert capsys.readouterr().out == expected


def test_newest_first_turns_the_file_around(tmp_path, capsys):
    path = write(tmp_path, ["day,value"] + [f"{30 - n},{n}" for n in range(30)])
    assert rnn_sine.load_series(path, newest_first=True).tolist() == list(range(29, -1, -1))
    assert "from 29 (row 31, '1') to 0 (row 2, '30')" in capsys.readouterr().out


@pytest.mark.parametrize("mark", ["", ".", "..", "-", "NA", "N/A", "#N/A", "NaN", "null", "?"])
def test_rows_without_a_value_are_left_out_only_where_that_is_asked_for(tmp_path, mark, capsys):
    rows = dated()
    rows[7] = f"2019-07,{mark}"
    rows[9] = "2019-09"  # this row is too short
    path = write(tmp_path, rows)
    with pytest.raises(ValueError, match=f"row 8 has '{re.escape(mark)}'.* rows between numbers: 2; .*--drop-missing"):
        rnn_sine.load_series(path)
    assert rnn_sine.load_series(path, drop_missing=True).tolist() == NUMBERS[:7] + NUMBERS[8:9] + NUMBERS[10:]
    assert "Rows left out between numbers, as if no time passed there: 2.\n" in capsys.readouterr().out


BAD_FILES = {
    "too few values": ("1\n2\n", "2 values are too few to train"), "nothing": ("", "the file is empty"),
    "blank rows": ("\n\n", "the file is empty"), "words": ("one\n" * 99, "row 2 has 'one'.*--column"),
    "two in a cell": ("1 2\n" * 99, "row 2 has '1 2'"), "constant": ("0.1\n" * 99, "the first 83 values.* no scale"),
    "huge": ("1\n1e200\n" * 99, "no scale"), "nan": ("1\n2\n" * 49 + "nan\n1\n", "row 99 has 'nan'"),
    "infinite": ("1\n-inf\n" * 99, "row 2 has '-inf'.*: 98; correct"),
    "beyond float64": ("1\n1e999\n" * 99, "to inf, .* no scale"),
    "a gap": ("1\n2\n\n4\n" * 99, "row 3 has ''.*: 99; .*--drop-missing"),
    "a marker": ("1,2\n3,NA\n" * 99, "column 2 of 2: row 2 has 'NA'"), "too short": ("1,2\n3\n" * 99, "row 2 has ''"),
    "an odd marker": ("1\n?0.2\n3\n" * 99, "row 2 has '[?]0.2'.*: 99; correct"),
    "a percentage": ("1\n0.10%\n3\n" * 99, "row 2 has '0.10%'"), "a decimal comma": ('1\n"63,96"\n3\n' * 99, "row 2"),
    "an open quote": ('1,2\n3,"4\n' + "5,6\n" * 99, "row 2 cannot be read"),
    "a quote within": ('1,2\n3,"4" 5\n' * 99, "row 2 cannot be read"),
    "eleven headings": ("a heading\n" * 11 + "1\n2\n" * 99, "row 2 has 'a heading'"),
    "a workbook": ("PK\x03\x04" + "1\n2\n" * 99, "workbook"), "two whole numbers": ("503,11\n547,39\n" * 99, "503.11"),
    "under a heading": ("value\n" + "503,11\n547,39\n" * 99, "503.11"),
    "thousands or decimals": ("a;1.000\nb;999\n" * 99, "column 2 of 2: '1.000' may have thousands or"),
    "a long cell": ("1\n" + "x" * 3000 + "\n2\n" * 99, "row 2 has 'x{41}, which"),
    "a longer cell": ("1\n" + "x" * 300_000 + "\n2\n" * 99, "row 2 cannot be read"),
    "test beyond float32": ("1\n2\n" * 49 + "1e60\n", "value 99 is .*, which is no finite 32-bit"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_a_sentence_before_training(name, tmp_path, capsys):
    text, sentence = BAD_FILES[name]
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(SystemExit, match="2"):
        rnn_sine.main(["--no-show", "--series", str(path), "--output", str(tmp_path / "a.png")])
    out, err = capsys.readouterr()
    assert "Training" not in out
    assert len(err) < 2000
    assert re.fullmatch(f"rnn_sine[.]py: error: .*{sentence}.*", err.splitlines()[-1])
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("column, sentence", [
    ("Volume", "there is no column 'Volume'.*: day, low, high"), ("4", "no column '4'"), ("0", "no column '0'"),
    ("-1", "no column '-1'"), ("", "no column ''"),
])  # fmt: skip
def test_an_unknown_column_is_refused_with_the_headings(tmp_path, column, sentence):
    path = write(tmp_path, ["day,low,high"] + ["1,2,3"] * 30)
    with pytest.raises(ValueError, match=sentence):
        rnn_sine.load_series(path, column)


def test_a_heading_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="or more than one"):
        rnn_sine.load_series(write(tmp_path, ["a,b,b"] + ["1,2,3"] * 30), "b")


def test_a_console_that_cannot_print_a_heading_stops_nothing(tmp_path, monkeypatch):
    ascii_console = open(tmp_path / "out.txt", "w", encoding="ascii")
    monkeypatch.setattr("sys.stdout", ascii_console)
    rnn_sine.load_series(write(tmp_path, ["产量"] + VALUES))
    ascii_console.close()
    assert "column 1 of 1 '\\u4ea7\\u91cf', 40 values" in (tmp_path / "out.txt").read_text()


def test_the_scale_is_that_of_the_values_that_train(tmp_path, capsys):
    series = np.arange(100.0)
    train_data, test_data, mean, scale = rnn_sine.scale_series(series, 20)
    assert (mean, scale) == (pytest.approx(41.5), pytest.approx(series[:84].std()))
    windows, targets = test_data.tensors
    assert mean + scale * windows[0].flatten().numpy() == pytest.approx(series[64:84], abs=1e-4)
    assert mean + scale * targets.flatten().numpy() == pytest.approx(series[84:], abs=1e-4)
    out = capsys.readouterr().out
    assert out.startswith("64 samples train, 16 test.\nMore than a third of the test values lie outside ")


def test_a_trend_is_seen_where_more_than_a_third_of_the_test_values_lie_outside(capsys):
    rnn_sine.scale_series(np.array([0.0, 9.0] * 42 + [5.0] * 9 + [10.0] * 6), 20)
    assert "More than a third" in capsys.readouterr().out


def test_no_trend_is_seen_where_a_third_of_the_test_values_lie_in_the_range(capsys):
    series = np.array([0.0, 9.0] * 42 + [5.0] * 10 + [10.0] * 5)
    rnn_sine.scale_series(series, 20)
    assert capsys.readouterr().out == "63 samples train, 16 test.\n"


@pytest.mark.parametrize("flags, sentence", [
    (["--column", "a"], "need --series"), (["--drop-missing"], "need --series"), (["--newest-first"], "need --series"),
    (["--series", "good", "--ahead", "17"], "--ahead 17 is more than the 16 test values"),
    (["--series", "good", "--n-samples", "1000"], "belong to the sine"),
    (["--series", "good", "--noise", "0"], "belong to the sine"), (["--series", ""], "'.*' cannot be read"),
    (["--series", "missing.csv"], "'missing.csv' cannot be read: "), (["--series", "."], "cannot be read"),
    (["--series", "good", "--seq-length", "99"], "100 values are too few"), (["--ahead", "0"], "above 0, not '0'"),
])  # fmt: skip
def test_flags_that_do_not_fit_are_refused(flags, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("good").write_text("1\n2\n" * 50)
    with pytest.raises(SystemExit, match="2"):
        rnn_sine.main(["--no-show"] + flags)
    out, err = capsys.readouterr()
    assert "Training" not in out
    assert re.search(sentence, err.splitlines()[-1])


def test_the_sunspots_are_compared_and_continued_in_their_own_unit(run_tiny):
    flags = ["--series", str(TESTS / "sunspots.csv"), "--column", "SUNACTIVITY", "--ahead", "3"]
    results, out = run_tiny(*flags)
    table = np.loadtxt(TESTS / "sunspots.csv", delimiter=",", skiprows=1)
    actuals = results["mean"] + results["scale"] * results["actuals"][:, 0]
    assert actuals == pytest.approx(table[-61:, 1], abs=1e-4)  # 0.8 of 304 samples train
    assert results["ahead"].shape == (3, 3)
    name = results["ahead_by"]
    assert f" the test part: {name}." in out
    assert results["ahead_share"] == pytest.approx(54 / 60)  # 61 test values have 59 errors 3 steps ahead: r = 3
    for step, row in enumerate(results["ahead"], start=1):
        printed = re.search(rf"^ +{step} +(\S+) +(\S+) +(\S+)$", out, re.MULTILINE)
        assert [float(cell) for cell in printed.groups()] == pytest.approx(row.tolist(), abs=0.01)
        assert re.fullmatch(r"-?\d+\.\d\d", printed[1])  # the scale, some 37, has four digits so
    assert "overlap" not in out
    rmse = results["scale"] * np.sqrt(np.mean(results["errors"]["linear regression"] ** 2, axis=0))
    line = re.search(r"^linear regression +\S+ +(\S+) +(\S+) ", out, re.MULTILINE)
    assert [float(cell) for cell in line.groups()] == pytest.approx([rmse[0], rmse[3]], rel=0.05)


def test_the_table_does_not_change_with_ahead(run_tiny):
    plain, out = run_tiny()
    results, out_ahead = run_tiny("--ahead", "24")
    assert out.split("Picture")[0] == out_ahead[: out_ahead.index("Next values: 24")]
    assert np.array_equal(results["errors"]["RNN"], plain["errors"]["RNN"])
    assert "ahead" not in plain
    assert np.isnan(results["ahead"][:, 1:]).all()
    assert "too short for a band.\n step      prediction\n    1  " in out_ahead
    assert "nan" not in out_ahead


def test_a_sine_goes_on(run_tiny):
    results, out = run_tiny("--ahead", "2")
    assert "too narrow, because errors so many steps ahead overlap" in out  # 24 test values
    assert results["ahead_by"] == "linear regression"
    step = 10 * np.pi / 124
    expected = [np.sin(10 * np.pi + step), np.sin(10 * np.pi + 2 * step)]
    assert results["ahead"][:, 0] == pytest.approx(expected, abs=1e-5)
