from __future__ import annotations

from airflow_provider_scenario.client.text_table import text_table


def test_columns_have_equal_width_and_numbers_are_aligned_right():
    rows = [("training", "units", "what is wrong"), ("hero", "4", "nothing"), ("a long name", "1200", "")]

    assert list(text_table(rows, right_aligned=[1])) == [
        "training     units  what is wrong",
        "hero             4  nothing",
        "a long name   1200",
    ]
