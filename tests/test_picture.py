"""The picture: what its four panels show, in which colours, and its Chinese labels."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

import rnn_sine

NAMES = ["persistence", "mine", "MLP", "RNN"]  # one of them is a student's


@pytest.fixture
def results():
    """Results as main returns them, of 300 test values, 64 steps ahead and three epochs."""
    generator = np.random.default_rng(0)
    errors = {name: generator.normal(size=(300, 64)) for name in NAMES}
    losses = {"RNN": ([3.0, 2.0, 1.0], [2.5, 1.5, 0.5]), "MLP": ([4.0, 3.0, 2.0], [3.5, 2.5, 1.5])}
    return {"actuals": generator.normal(size=300), "errors": errors, "losses": losses,
            "ahead": generator.normal(size=(5, 3)), "ahead_by": "mine"}


def line_of(ax, label):
    """The one line with this label."""
    lines = [line for line in ax.lines if line.get_label() == label]
    assert len(lines) == 1
    return lines[0]


def test_the_first_panel_shows_the_newest_200_values_and_the_next_ones_right_behind_them(results):
    one, _, _, _ = rnn_sine.draw_results(results).axes
    actual, predicted, following = line_of(one, "actual"), line_of(one, "RNN"), line_of(one, "next values: mine")
    newest = np.arange(101, 301)
    assert actual.get_xdata().tolist() == predicted.get_xdata().tolist() == newest.tolist()
    assert actual.get_ydata() == pytest.approx(results["actuals"][100:])
    assert predicted.get_ydata() == pytest.approx((results["actuals"] + results["errors"]["RNN"][:, 0])[100:])
    assert following.get_xdata().tolist() == [301, 302, 303, 304, 305]
    assert following.get_ydata() == pytest.approx(results["ahead"][:, 0])
    assert one.collections[0].get_label() == "90 % band"
    for step, segment in enumerate(one.collections[0].get_segments()):
        _, low, high = results["ahead"][step]
        assert segment.tolist() == [[301 + step, low], [301 + step, high]]


def test_the_second_panel_shows_forecasts_that_begin_where_the_one_before_ends(results):
    _, many, _, _ = rnn_sine.draw_results(results).axes
    assert line_of(many, "actual").get_xdata().tolist() == list(range(101, 301))
    forecasts = many.lines[1:]
    assert [line.get_xdata()[0] for line in forecasts] == [101, 165, 229]
    for line in forecasts:
        first = int(line.get_xdata()[0]) - 1
        assert line.get_xdata().tolist() == list(range(first + 1, first + 65))
        expected = results["actuals"][first : first + 64] + results["errors"]["RNN"][first]
        assert line.get_ydata() == pytest.approx(expected)
    assert line_of(many, "RNN") is forecasts[0]  # one entry in the legend


def test_the_third_panel_shows_how_the_error_of_every_predictor_grows(results):
    _, _, errors, _ = rnn_sine.draw_results(results).axes
    for name in NAMES:
        line = line_of(errors, name)
        assert line.get_xdata().tolist() == list(range(1, 65))
        assert line.get_ydata() == pytest.approx(rnn_sine.rmse(results["errors"][name]))


def test_the_fourth_panel_shows_losses_from_epoch_1_on_of_the_training_dotted(results):
    _, _, _, losses = rnn_sine.draw_results(results).axes
    for name in ("RNN", "MLP"):
        for place, (what, style) in enumerate([("training", ":"), ("test", "-")]):
            line = line_of(losses, f"{name}: {what}")
            assert line.get_xdata().tolist() == [1, 2, 3]
            assert line.get_ydata().tolist() == results["losses"][name][place]
            assert line.get_linestyle() == style


def test_a_predictor_has_one_colour_in_all_panels_and_no_other_has_it(results):
    one, many, errors, losses = rnn_sine.draw_results(results).axes
    colors = {name: line_of(errors, name).get_color() for name in NAMES}
    assert len(set(colors.values())) == 4
    assert line_of(one, "RNN").get_color() == colors["RNN"]
    assert {line.get_color() for line in many.lines[1:]} == {colors["RNN"]}
    assert line_of(one, "next values: mine").get_color() == colors["mine"]
    for name in ("RNN", "MLP"):
        for what in ("training", "test"):
            assert line_of(losses, f"{name}: {what}").get_color() == colors[name]
    assert line_of(one, "actual").get_color() == line_of(many, "actual").get_color() == "lightgrey"


def test_the_losses_of_a_network_that_is_no_predictor_are_drawn_too(results):
    results["losses"]["wide"] = ([2.0, 1.0], [3.0, 2.0])
    _, _, _, losses = rnn_sine.draw_results(results).axes
    assert line_of(losses, "wide: test").get_ydata().tolist() == [3, 2]


def test_every_axis_has_a_name_and_errors_have_log_scales(results):
    figure = rnn_sine.draw_results(results)
    for ax, scale in zip(figure.axes, ["linear", "linear", "log", "log"]):
        assert ax.get_title()
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.get_legend()
        assert ax.get_yscale() == scale
    assert figure.get_figheight() * figure.dpi <= 768 - 100  # a small screen, less the window's and other bars


def test_errors_that_are_infinite_are_printed_and_drawn(results, tmp_path, capsys):
    results["errors"]["mine"][7:50] = np.inf
    del results["ahead"]
    rnn_sine.print_report(results)
    assert re.search(r"^mine +inf +inf +inf +inf$", capsys.readouterr().out, re.MULTILINE)
    rnn_sine.draw_results(results).savefig(tmp_path / "a.png")


def texts_of(figure):
    """All texts of a figure that are no numbers on an axis: text -> file of its font."""
    texts = {}
    for text in figure.findobj(plt.Text):
        if re.search(r"\w", text.get_text()) and "$" not in text.get_text():
            texts[text.get_text()] = text.get_fontproperties().get_file()
    return texts


def test_every_label_is_translated_where_there_is_a_chinese_font(results, monkeypatch):
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: ["/a/DejaVuSans.ttf", "/a/SimHei.ttf"])
    results["errors"]["linear regression"] = results["errors"].pop("mine")
    results["ahead_by"] = "linear regression"
    figure = rnn_sine.draw_results(results)
    rnn_sine.label_in_chinese(figure)
    texts = texts_of(figure)
    for text in ("未来值：线性回归", "RNN：训练", "MLP：测试", "样本", "预测步数", "90% 预测区间"):
        assert text in texts
    for text, font in texts.items():
        rest = re.sub(r"RNN|MLP|\((epoch|RMSE|MSE)\)", "", text)
        assert not re.search("[A-Za-z]", rest)
        # SimHei has no minus sign, so numbers keep their font.
        assert font == ("/a/SimHei.ttf" if re.search("[\u4e00-\u9fff]", text) else None)


def test_labels_stay_english_where_there_is_no_chinese_font(results, monkeypatch, capsys):
    figure = rnn_sine.draw_results(results)
    before = texts_of(figure)
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: ["/a/DejaVuSans.ttf"])
    rnn_sine.label_in_chinese(figure)
    assert texts_of(figure) == before
    assert "No Chinese font is installed" in capsys.readouterr().out


def test_a_run_in_chinese_saves_its_picture_with_or_without_a_font(run_tiny, tmp_path):
    run_tiny("--ahead", "2", "--lang", "zh")
    assert (tmp_path / "rnn_sine.png").exists()
