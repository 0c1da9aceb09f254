"""Files as people have them: what is read, what is refused, and with what advice."""

import numpy as np
import pytest

import rnn_sine


def write(folder, text, encoding="utf-8", newline="\n"):
    """A file with this text; returns its path."""
    path = folder / "file.csv"
    path.write_text(text, encoding, newline=newline)
    return path


FORMS = {
    "a list": "1.5\n-2\n300\n",
    "a list with a heading": "passengers, monthly\n1.5\n-2\n300\n",
    "commas": "月份,产量\n1月,1.5\n2月,-2\n3月,300\n",
    "commas, blanks and quotes": '月份, "产量, t"\n1月, "1.5"\n2月,"-2"\n3月, 300\n',
    "semicolons and decimal commas": "1月;1,5\n2月;-2,0\n3月;300,0\n",
    "tabs": "月份\t产量\n1月\t1.5\n2月\t-2\n3月\t300\n",
    "blanks below commas": "产量, t\n按月, t\n  1月   1.5\n  2月  -2\n  3月 300\n",
    "a title with the heading's word": "产量\n\n月份,产量\n1月,1.5\n2月,-2\n3月,300\n",
    "comments and notes": "# a\n# b\n# c\n月份,产量\n1月,1.5\n2月,-2\n3月,300\n\n,\na, b, c,\n",
    "as many notes as rows": "1月,1.5\n2月,-2\n3月,300\na b\nc\nd e\n",
    "an empty line after each row": "月份,产量\n\n1月,1.5\n\n2月,-2\n\n3月,300\n\n",
    "quotes that do not match": '"Month”,”产量"\n1月,1.5\n2月,-2\n3月,300\n',
    "a heading like a workbook's mark": "PKW,产量\n1月,1.5\n2月,-2\n3月,300\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_read_as_people_have_it(tmp_path, form):
    path = write(tmp_path, FORMS[form])
    assert rnn_sine.load_series(path).tolist() == [1.5, -2, 300]


@pytest.mark.parametrize("encoding, newline", [("utf-8-sig", "\n"), ("utf-16", "\r\n"), ("gb18030", "\r")])
def test_a_heading_is_found_in_every_encoding(tmp_path, encoding, newline):
    path = write(tmp_path, "月份,产量,备注\n1月,1.5,7\n2月,-2,7\n3月,300,7\n", encoding, newline)
    assert rnn_sine.load_series(path, "产量").tolist() == [1.5, -2, 300]


@pytest.mark.parametrize("cell, mark, number", [
    ("1,234.5", ",", 1234.5), ("-1,234,567", ",", -1234567), ("0,501", ",", np.nan), ("1234,567", ",", np.nan),
    ("2019_01", ",", np.nan), ("548,76", ";", 548.76), ("1.234,56", ";", np.nan), ("10,013", "\t", np.nan),
])  # fmt: skip
def test_what_is_a_number_depends_on_the_mark_between_cells(cell, mark, number):
    assert rnn_sine.to_number(cell, mark) == pytest.approx(number, nan_ok=True)


@pytest.mark.parametrize("column, first", [("high", 100), ("low", 2), ("3", 100), ("01", 0)])
def test_a_column_is_chosen_by_its_heading_or_its_place(tmp_path, column, first):
    path = write(tmp_path, "a title, of two cells\nday,low,high\n0,2,100\n1,3,101\n2,4,102\n")
    assert rnn_sine.load_series(path, column).tolist() == [first, first + 1, first + 2]


REFUSED = {
    "1,2\n3,4\n": "1 [(]1 ... 3[)], 2 [(]2 ... 4[)]",
    "503,11\n504,12\n": "semicolons between cells with decimal commas",
    "price,day\n1,503.11,a\n1,504.12,b\n": "quotation marks around 1,234.50",
    "a,1\nb,x\n": "choose a column of numbers",
    "price,price\n1,2\n3,4\n": "choose a column of numbers",
    "day,price\n1,monday\n2,tuesday\n": "choose a column of numbers",
    '1,2\n3,"4\n5,6\n': "after row 1 a quotation mark is missing or too much",
    "\n\n": "this is no text, or empty",
}


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("column", [None, "price", "0", "4"])
def test_what_a_plain_rule_does_not_decide_is_refused_with_advice_and_no_column_guessed(tmp_path, text, column):
    with pytest.raises(ValueError, match=REFUSED[text]):
        rnn_sine.load_series(write(tmp_path, text), column)


@pytest.mark.parametrize("gap", ["2月,", "2月,NA", "2月,inf", "2月", "2月,1,2", ","])
def test_rows_without_a_number_are_left_out_only_where_that_is_asked_for(tmp_path, gap, capsys):
    path = write(tmp_path, f"1月,1.5\n{gap}\n3月,-2\n{gap}\n5月,300\n6月,4\n")
    sentence = rf"no number in line 2: {gap} \(rows like this: 2\).*--drop-missing"
    with pytest.raises(ValueError, match=sentence):
        rnn_sine.load_series(path)
    assert rnn_sine.load_series(path, drop_missing=True).tolist() == [1.5, -2, 300, 4]
    assert ": 0 above the first, 2 left out in between, 0 below the last.\n" in capsys.readouterr().out


def test_what_was_read_is_printed_and_newest_first_turns_it_around(tmp_path, capsys):
    path = write(tmp_path, "time,open,close\n9:00,1,7.50*\n10:00,1,0.50\n11:00,1,6.50\n12:00,1,2\n\nthe end\n")
    assert rnn_sine.load_series(path, "close", newest_first=True).tolist() == [2, 6.5, 0.5]
    assert capsys.readouterr().out == (
        "Series: column 3 of 3, 3 values, smallest 0.5, largest 6.5.\n"
        "Rows without a number: 2 above the first, 0 left out in between, 1 below the last.\n"
        "First used: line 5: 12:00,1,2\nLast used: line 3: 10:00,1,0.50\n")


def test_a_workbook_an_archive_and_bytes_are_no_text(tmp_path):
    np.savez(tmp_path / "a.npz", np.arange(100))  # an archive, as a workbook is
    with pytest.raises(ValueError, match="a workbook or an archive: save it as CSV, or unpack it"):
        rnn_sine.load_series(tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", np.arange(100))
    with pytest.raises(ValueError, match="this is no text, or empty"):
        rnn_sine.load_series(tmp_path / "a.npy")


def test_the_scale_is_that_of_the_values_that_train(capsys):
    series = np.arange(66.0)
    scaled, mean, scale = rnn_sine.scale_series(series, 20)
    assert capsys.readouterr().out == "36 samples train, 10 test.\n"
    past = series[:56]
    assert (mean, scale) == (past.mean(), past.std())
    assert mean + scale * scaled == pytest.approx(series)


@pytest.mark.parametrize("series, sentence", [
    (np.full(100, 0.3), "must differ"),
    (1e-40 * np.arange(100), "must differ"),
    (np.append(np.arange(99), -2e30), "none may be beyond 1e30"),
    (np.arange(65), "65 values are too few"),
])  # fmt: skip
def test_a_series_without_scale_or_length_is_refused(series, sentence):
    with pytest.raises(ValueError, match=sentence):
        rnn_sine.scale_series(series, 20)
