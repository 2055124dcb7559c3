"""Figures are what Plotly accepts, and text of people's never becomes markup in them."""

import plotly.graph_objects as go

from microformer.ui.plots import (
    bars,
    escape_label,
    frequent_tokens,
    frequent_tokens_in_words,
    heat_map,
    lines,
    parameter_shares,
)


def test_frequent_tokens_is_a_figure_that_plotly_accepts():
    figure = frequent_tokens([("␣the", 60), ("<b>", 30), ("⏎", 10)], 200)
    drawn = go.Figure(figure)
    assert list(drawn.data[0].x) == [30.0, 15.0, 5.0]
    assert list(drawn.data[0].text) == ["30.0", "15.0", "5.0"], "as the sentence says it"
    assert list(drawn.layout.yaxis.ticktext) == ["␣the", "&lt;b&gt;", "⏎"]


def test_only_the_most_frequent_are_drawn():
    assert len(frequent_tokens([(str(i), 1) for i in range(50)], 50, most=5)["data"][0]["x"]) == 5


def test_nothing_counted_is_an_empty_picture_and_a_sentence():
    assert frequent_tokens([], 0)["data"][0]["x"] == []
    assert frequent_tokens_in_words([], 0) == "No tokens were counted."


def test_the_words_name_the_three_most_frequent():
    words = frequent_tokens_in_words([("e", 50), ("␣", 30), ("t", 10), ("a", 10)], 100)
    assert words == "The most frequent tokens are “e” (50.0 %), “␣” (30.0 %), “t” (10.0 %)."


def test_labels_from_a_text_are_escaped():
    assert escape_label("<a href='x'>&") == "&lt;a href='x'&gt;&amp;"
    assert "<img" not in str(bars(["<img src=x onerror=alert(1)>"], [1.0], x_title="share"))


def test_parameter_shares_are_largest_first_and_leave_out_empty_parts():
    assert parameter_shares({"a": 1, "b": 3, "none": 0}) == [("b", 3, 0.75), ("a", 1, 0.25)]


def test_a_large_heat_map_names_only_as_many_tokens_as_have_room():
    axis = heat_map(["word"] * 64, [[0.0] * 64] * 64)["layout"]["xaxis"]
    assert axis["tickvals"] == list(range(0, 64, 2)) and len(axis["ticktext"]) == 32


def test_a_heat_map_keeps_equal_tokens_apart_and_escapes_them():
    drawn = go.Figure(heat_map(["<b>", "a", "a"], [[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]]))
    assert len(set(drawn.data[0].x)) == 3 and "<b>" not in str(drawn.data[0].x)
    assert drawn.data[0].z[2][1] == 0.3


def test_lines_are_a_figure_also_when_there_is_nothing_to_draw():
    drawn = go.Figure(lines([1, 2], {"layer 1": [0.1, 0.2], "layer 2": [3, 4]}, x_title="step", y_title="norm"))
    assert [one.name for one in drawn.data] == ["layer 1", "layer 2"]
    assert not go.Figure(lines([], {}, x_title="step", y_title="norm")).data
