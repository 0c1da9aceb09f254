"""Files as people have them: what is read, what is refused, and with what advice."""

import os
import time
from unittest.mock import Mock

import pytest

import rnn_sine


def write(folder, text, encoding="utf-8", newline="\n"):
    """A file with this text; returns its path."""
    path = folder / "file.csv"
    path.write_text(text, encoding, newline=newline)
    return path


FORMS = {
    "a list with a heading": "passengers, monthly\n1.5\n-2\n1300\n",
    "commas, blanks and quotes": '月份, "PM2.5, t"\n1月, "1.5"\n2月,"-2"\n3月, "1,300.0"\n',
    "semicolons and decimal commas": "1月;1,5\n2月;-2,0\n3月;1300,0\n",
    "tabs": "月份\t产量\n1月\t1.5\n2月\t-2\n3月\t1.3e3\n",
    "blanks below commas": "产量, t\n按月, t\n  1月   +1.5\n  2月  -2\n  3月 1300\n",
    "a title with digits": "Table 5, 2019, monthly\n月份,产量\n1月,1.5\n2月,-2\n3月,1300\n",
    "a year in a comment": "# up to 2019\n# a\n# b\n1.5\n-2\n1300\n",
    "comments, empty lines and notes": "# a\n# b\n月份,产量\n\n1月,1.5\n\n2月,-2\n3月,1300\n,\na, b, c,\n",
    "as many notes as rows": "1月;1.5\n2月;-2\n3月;1300\na b\nc\nd e\n",
    "a line break in a heading": '月份,"产量\nt"\n1月,1.5\n2月,-2\n3月,1300\n',
    "quotes that do not match": '月份”,“产量"\n1月,1.5\n2月,-2\n3月,1300\n',
    "a heading like a workbook's mark": "PKW,产量\n1月,1.5\n2月,-2\n3月,1300\n",
    "gaps before the first number": "月份,产量\n10月,NA\n11月,.\n12月,\n1月,1.5\n2月,-2\n3月,1300\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_read_as_people_have_it(tmp_path, form):
    path = write(tmp_path, FORMS[form])
    assert rnn_sine.load_series(path).tolist() == [1.5, -2, 1300]


@pytest.mark.parametrize("encoding, newline", [("utf-8-sig", "\n"), ("utf-16", "\r\n"), ("gb18030", "\r")])
def test_a_heading_is_found_in_every_encoding(tmp_path, encoding, newline):
    path = write(tmp_path, "月份,产量,备注\n1月,1.5,7\n2月,-2,7\n3月,1300,7\n", encoding, newline)
    assert rnn_sine.load_series(path, "产量").tolist() == [1.5, -2, 1300]


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="needs pipes with a path")
def test_a_pipe_is_read_as_a_file_is():
    end_to_read, end_to_write = os.pipe()
    os.write(end_to_write, b"date,price\n1,1.5\n2,-2\n3,1300\n")
    os.close(end_to_write)
    assert rnn_sine.load_series(f"/dev/fd/{end_to_read}").tolist() == [1.5, -2, 1300]  # there is no second reading
    os.close(end_to_read)


@pytest.mark.parametrize("cell, separator", [
    ("$43.66", ","), ("13.1*", ","), ("*13.1", ","), ("13.1 p", ","), ("5%", ","), ("0,501", ","), ("1234,567", ","),
    ("2019_01", ","), ("1.041,96", ";"), ("1,041.96", ";"), ("33.742,5", ";"), ("10,013", "\t"), ("12.5,", "\t"),
])  # fmt: skip
@pytest.mark.parametrize("row", [0, 1, 4])  # the first, one between, the last
@pytest.mark.parametrize("drop_missing", [False, True])
def test_digits_that_are_no_number_are_refused_wherever_they_stand(tmp_path, cell, separator, row, drop_missing):
    cells = ["985.25", "986.25", "987.25", "988.25", "989.25"]
    cells[row] = cell
    rows = [f'{day}{separator}"{text}"' for day, text in enumerate(cells)]
    path = write(tmp_path, f"day{separator}price\n" + "\n".join(rows))
    with pytest.raises(ValueError, match=f"^line {row + 2}: .* is no number") as refused:
        rnn_sine.load_series(path, drop_missing=drop_missing)
    assert repr(cell) in str(refused.value)
    assert "--drop-missing" not in str(refused.value)


@pytest.mark.parametrize("row", ["6;7,5;provisional", "6", "6 of 7"])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_row_of_another_length_with_digits_is_refused_wherever_it_stands(tmp_path, row, place):
    rows = ["1;2,5", "2;3,5", "3;2,5", "4;3,5"]
    rows.insert(place, row)
    with pytest.raises(ValueError, match=f"^line {place + 1}: {row}"):
        rnn_sine.load_series(write(tmp_path, "\n".join(rows)), drop_missing=True)


@pytest.mark.parametrize("separator, mark", [(",", "."), ("\t", "."), (";", "."), (";", ",")])
def test_marks_that_may_be_of_thousands_are_refused(tmp_path, separator, mark):
    text = f"a{separator}b\n1{separator}985\n2{separator}-1{mark}064\n3{separator}9\n"
    with pytest.raises(ValueError, match="whole numbers stand beside -1.064: if this is more than a thousand"):
        rnn_sine.load_series(write(tmp_path, text))
    thousands = text.replace(f"1{mark}064", "1064")  # the advice, both ways
    assert rnn_sine.load_series(write(tmp_path, thousands)).tolist() == [985, -1064, 9]
    decimals = text.replace("985", f"985{mark}0")
    assert rnn_sine.load_series(write(tmp_path, decimals)).tolist() == [985, -1.064, 9]


@pytest.mark.parametrize("other", [12.5, 0.985, 1234.567])
def test_one_number_that_has_no_mark_of_thousands_decides_for_decimals(tmp_path, other):
    assert rnn_sine.load_series(write(tmp_path, f"12\n1.064\n{other}\n")).tolist() == [12, 1.064, other]


@pytest.mark.parametrize("column, first", [("low", 2), ("3", 100), ("01", 0), ("10Y", 200)])
def test_a_column_is_chosen_by_its_heading_or_its_place(tmp_path, column, first):
    path = write(tmp_path, "a title, of two cells\nday,low,high,10Y\n0,2,100,200\n1,3,101,201\n2,4,102,202\n")
    assert rnn_sine.load_series(path, column).tolist() == [first, first + 1, first + 2]


REFUSED = {
    "1,2\n3,4\n": "1 [(]1 ... 3[)], 2 [(]2 ... 4[)]",
    "503,11\n504,12\n": "if these are decimal commas, write 503.11 for 503,11",
    "1月,1.5\n2月,-2\n3月,300\n": "if neither, choose a column",  # no heading
    "2020-01-01 12,5\n2020-01-02 12,6\n": "write 503.11 for 503,11",
    "$1,234\n$1,235\n": "write 1234.50 for 1,234.50",
    "Jan 1,234\nFeb 1,235\n": "write 1234.50 for 1,234.50",
    "price,day\n1,503.11,a\n1,504.12,b\n": "write 1234.50 for 1,234.50",
    "day,price,volume\n1,$503.11,7\n2,$504.12,8\n": "1 [(]day ... 2[)], 2 [(]price ... [$]504.12[)], 3 [(]volume ... 8",
    "price,Price,Price\n1,2,3\n3,4,5\n": "^choose a column",  # one heading twice
    "day;open;close\n1;2,5;3,5\n2;3,5;4,5\n": "^choose a column of numbers by --column",
}


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("column", [None, "Price", "0", "4"])
def test_a_column_is_not_guessed_but_all_are_listed(tmp_path, text, column):
    with pytest.raises(ValueError, match=REFUSED[text]):
        rnn_sine.load_series(write(tmp_path, text), column)


@pytest.mark.parametrize("text, sentence", [
    ("day,price\na,monday\nb,tuesday\n", "column 2 of 2 has no number"),
    ("a;b\n1;985\n2;1.064\n3;12,5\n", "some numbers have a point, others a comma"),
    ('a,b\n1,2\n3,"4\n5,6\n', "after row 2 a quotation mark is missing or too much"),
    ("# nothing\n\n", "empty"),
    ("PK\x03\x04...", "this is no text.*save a workbook as CSV, unpack an archive"),
    ("1\n2\0\n", "this is no text"),
])  # fmt: skip
def test_a_file_without_a_series_is_refused(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        rnn_sine.load_series(write(tmp_path, text))


@pytest.mark.parametrize("gap", [",2月", "NA,2月", "inf,2月", ".,2月", "#N/A,2月", "#NV,", "#VALUE!,", "a note", ","])
def test_rows_without_a_number_are_left_out_only_where_that_is_asked_for(tmp_path, gap, capsys):
    path = write(tmp_path, f"t,month\n1.5,1月\n{gap}\n-2,3月\n{gap}\n300,5月\n4,6月\nan end\n")
    with pytest.raises(ValueError, match=r"no number in line 3: .* \(rows like this: 2\).*--drop-missing"):
        rnn_sine.load_series(path, "t")
    assert rnn_sine.load_series(path, "t", drop_missing=True).tolist() == [1.5, -2, 300, 4]
    assert ": 1 above the first, 2 left out in between, 1 below the last.\n" in capsys.readouterr().out


def test_what_was_read_is_printed_and_newest_first_turns_it_around(tmp_path, capsys):
    path = write(tmp_path, "time,open,close\n9:00,1,missing\n10:00,1,0.50\n11:00,1,6.50\n12:00,1,2\n\nthe end\n")
    assert rnn_sine.load_series(path, "close", newest_first=True).tolist() == [2, 6.5, 0.5]
    assert capsys.readouterr().out == (
        "Series: column 3 of 3, 3 values, smallest 0.5, largest 6.5.\n"
        "Rows without a number: 2 above the first, 0 left out in between, 1 below the last.\n"
        "First used: line 5: 12:00,1,2\nLast used: line 3: 10:00,1,0.50\n")


def test_a_hundred_thousand_rows_are_read_in_seconds_and_one_column_converted(tmp_path, monkeypatch):
    to_number = Mock(wraps=rnn_sine.to_number)
    monkeypatch.setattr(rnn_sine, "to_number", to_number)
    path = write(tmp_path, "time,value,other\n" + "".join(f"{row},{row / 8},{row}\n" for row in range(100_000)))
    start = time.process_time()
    assert len(rnn_sine.load_series(path, "value")) == 100_000
    assert time.process_time() - start < 10
    assert to_number.call_count == 100_001  # the heading, too
