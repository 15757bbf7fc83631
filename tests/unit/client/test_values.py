from __future__ import annotations

import pytest

from airflow_provider_scenario.client.values import duration_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (12.4, "12 s"),
        (89, "89 s"),
        (90, "2 min"),
        (2280, "38 min"),
        (5400, "1 h 30 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_a_duration_is_written_in_the_unit_that_people_read(seconds, text):
    assert duration_text(seconds) == text
