"""What both services' refusals have in common: the reason in a body, and how long to wait."""

from __future__ import annotations

import pytest

from airflow_provider_scenario.client.refusals import is_page, number_of, reason_in, retry_after, should_retry

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT
DAY = 24 * 3600.0


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, None),
        ({"x-should-retry": "true"}, True),
        ({"x-should-retry": " TRUE "}, True),
        ({"x-should-retry": "false"}, False),
        ({"x-should-retry": "maybe"}, None),
    ],
)
def test_whether_the_service_says_that_another_try_may_help(headers, says):
    assert should_retry(headers) is says


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, None, None),
        ({"retry-after": " 7 "}, None, 7),
        ({"retry-after": "0"}, None, 0),
        ({"retry-after": "-1"}, None, None),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, None, 30),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, None, 0),
        ({"retry-after": "Fri, 15 Jan 99999 08:00:30 GMT"}, None, None),
        ({"retry-after": f"Fri, 15 Jan 2027 {'9' * 20}:00:30 GMT"}, None, None),
        ({"retry-after": "999999"}, None, DAY),
        ({"retry-after-ms": "1500"}, None, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, None, 2),
        ({"retry-after": "2"}, {"details": {"remainingSeconds": 5}}, 5),
        ({"retry-after": "9"}, {"details": {"remainingSeconds": 5}}, 9),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, {"details": {"remainingSeconds": 5}}, 30),
        ({}, {"details": {"remainingSeconds": "inf"}}, None),
        ({}, {"details": {"remainingSeconds": True}}, None),
        ({}, {"details": "none"}, None),
    ],
)
def test_the_longest_wait_that_the_service_names_counts(headers, body, seconds):
    assert retry_after(headers, body, now=NOW) == seconds


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, 1), ("2.5", 2.5), ("", None), ("x", None), (None, None), (False, None), ("nan", None), (10**400, None)],
)
def test_a_number_is_finite(value, number):
    assert number_of(value) == number


def nested(depth: int) -> object:
    body: object = "no images"
    for _ in range(depth):
        body = {"message": body}
    return body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (nested(8), "no images"),
        (nested(9), ""),
        ([[[[[[[["no images"]]]]]]]], "no images"),
        ([[[[[[[[["no images"]]]]]]]]], ""),
        ({"detail": "no images"}, "no images"),
        ({"code": "no_images"}, "no_images"),
        ({"name": "NoImages", "code": "no_images"}, "NoImages"),
        (["1", "2", "3", "4", "5", "6"], "1; 2; 3; 4; 5"),
    ],
)
def test_a_reason_is_sought_eight_levels_deep_and_in_five_entries(body, reason):
    assert reason_in(body) == reason


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<html><title> </title><p>no images", "no images"),
        ("<html><head><TITLE lang='en'>Bad Gateway</TITLE>", "Bad Gateway"),
        ("<html><body>without one", "without one"),
        ("</title>a<title>b</title>", "b"),
        ("none</title>images", "none images"),
        ("<SCRIPT>if (a < b) {}</SCRIPT>no<script>x</script>images", "no images"),
        ("<style>a{}</style>no<b>images</b>", "no images"),
        ("no > images <b>a > b</b>", "no > images a > b"),
        ("1 < 2", "1 < 2"),
    ],
)
def test_of_a_page_its_title_or_its_text_is_the_reason(page, text):
    assert " ".join(reason_in(page).split()) == text


@pytest.mark.parametrize(
    ("headers", "body", "is_html"),
    [
        ({"content-type": "Text/HTML; charset=utf-8"}, "blocked", True),
        ({"content-type": "text/plain"}, "blocked", False),
        ({}, "<HTML>", True),
        ({}, "<!DOCTYPE html>", True),
        ({"content-type": "text/html"}, {"reason": "no"}, False),
    ],
)
def test_a_page_is_told_from_a_refusal(headers, body, is_html):
    assert is_page(headers, body) is is_html
