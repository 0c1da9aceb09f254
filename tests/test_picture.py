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
    losses = {
        "RNN": ([3.0, 2.0, 1.0], [2.5, 1.5, 0.5]),
        "MLP": ([4.0, 3.0, 2.0], [3.5, 2.5, 1.5]),
        "no predictor": ([2.0, 1.0, 0.5], [3.0, 2.0, 1.0]),
    }
    actuals = generator.normal(size=300)
    ahead = generator.normal(size=(5, 3))
    return {"actuals": actuals, "errors": errors, "losses": losses, "ahead": ahead, "ahead_by": "mine"}


def line_of(ax, label):
    """The one line with this label."""
    lines = [line for line in ax.lines if line.get_label() == label]
    assert len(lines) == 1
    return lines[0]


def test_the_first_panel_shows_the_newest_200_values_and_the_next_ones_right_behind_them(results):
    one, _, _, _ = rnn_sine.draw_results(results).axes
    actual = line_of(one, "actual")
    assert actual.get_xdata().tolist() == list(range(101, 301))
    assert actual.get_ydata() == pytest.approx(results["actuals"][100:])
    predicted = line_of(one, "RNN")
    predictions = results["actuals"] + results["errors"]["RNN"][:, 0]
    assert predicted.get_xdata().tolist() == list(range(101, 301))
    assert predicted.get_ydata() == pytest.approx(predictions[100:])
    following = line_of(one, "next values: mine")
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
    assert len(forecasts) == 3
    for line, first in zip(forecasts, [100, 164, 228]):
        assert line.get_xdata().tolist() == list(range(first + 1, first + 65))
        expected = results["actuals"][first : first + 64] + results["errors"]["RNN"][first]
        assert line.get_ydata() == pytest.approx(expected)
    assert line_of(many, "RNN") is forecasts[0]  # one entry in the legend


def test_the_third_panel_shows_errors_and_the_fourth_losses_from_1_on_of_the_training_dotted(results):
    _, _, errors, losses = rnn_sine.draw_results(results).axes
    for name in NAMES:
        line = line_of(errors, name)
        assert line.get_xdata().tolist() == list(range(1, 65))
        assert line.get_ydata() == pytest.approx(rnn_sine.rmse(results["errors"][name]))
    for name in ("RNN", "MLP", "no predictor"):
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
        assert line_of(losses, f"{name}: training").get_color() == colors[name]
        assert line_of(losses, f"{name}: test").get_color() == colors[name]
    for ax in (one, many):
        assert line_of(ax, "actual").get_color() == "lightgrey"


def test_every_axis_has_a_name_and_errors_have_log_scales(results):
    figure = rnn_sine.draw_results(results)
    for ax, scale in zip(figure.axes, ["linear", "linear", "log", "log"]):
        assert ax.get_title()
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.get_legend()
        assert ax.get_yscale() == scale
    assert figure.get_figheight() * figure.dpi <= 768 - 100  # a small screen, less the window's and other bars


def test_every_label_is_translated_where_there_is_a_chinese_font(results, monkeypatch):
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: ["/a/DejaVuSans.ttf", "/a/SimHei.ttf"])
    results["errors"]["linear regression"] = results["errors"].pop("mine")
    results["ahead_by"] = "linear regression"
    del results["losses"]["no predictor"]
    figure = rnn_sine.draw_results(results)
    rnn_sine.label_in_chinese(figure)
    fonts = {}
    for text in figure.findobj(plt.Text):
        fonts[text.get_text()] = text.get_fontproperties().get_file()
    for label in ("未来值：线性回归", "RNN：训练", "MLP：测试", "样本", "预测步数", "90% 预测区间"):
        assert label in fonts
    for label, font in fonts.items():
        # SimHei has no minus sign, so numbers, which matplotlib writes as $\mathdefault{7}$, keep their font.
        rest = re.sub(r"RNN|MLP|\((epoch|RMSE|MSE)\)|\$.*\$", "", label)
        assert not re.search("[A-Za-z]", rest)
        is_chinese = re.search("[\u4e00-\u9fff]", label)
        assert font == ("/a/SimHei.ttf" if is_chinese else None)


def test_labels_stay_english_where_there_is_no_chinese_font(run_tiny, monkeypatch):
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: ["/a/DejaVuSans.ttf"])
    results, out = run_tiny("--ahead", "2", "--lang", "zh")
    assert "No Chinese font is installed" in out
    assert results["picture"] == "rnn_sine.png"
