"""A run of many trainings, and many who look at it, cost the API server no more than it can spare."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_scenario.plugin import app
from airflow_provider_scenario.plugin.page_cache import MOST_ENTRIES, REST, PageCache

RUN = "run?dag_id=a_dag&run_id=a%2Brun"


class TestARun:
    def test_its_rows_are_on_several_pages_and_its_sums_on_each(self, admin, database, monkeypatch):
        monkeypatch.setattr(app, "RUN_PAGE_SIZE", 3)
        for number in range(7):
            fields = {"name": f"name-{number}-"}
            database.task("a_dag", "a+run", map_index=number, fields=fields, creative_units_cost=10)
        page, seen = RUN, []
        while page:
            shown = admin.get(page)
            assert shown.status_code == 200
            assert "<dt>Trainings</dt><dd>7</dd>" in shown.text
            assert "<dt>Creative units expected</dt><dd>70" in shown.text
            seen.append(re.findall(r"<bdi>name-(\d)-", shown.text))
            following = re.search(r'rel="next" href="([^"]*)"', shown.text)
            page = following[1].replace("&amp;", "&") if following else None
        assert seen == [["0", "1", "2"], ["3", "4", "5"], ["6"]]

    def test_a_page_behind_the_last_is_empty(self, admin, database):
        database.task("a_dag", "a+run")
        assert admin.get(RUN + "&page=1000").status_code == 200


class Time:
    """A clock, and the CPU that making something takes."""

    def __init__(self) -> None:
        self.now = self.spent = 0.0

    def make(self, effort: float) -> object:
        self.spent += effort
        return object()

    def cache(self) -> PageCache:
        return PageCache(clock=lambda: self.now, cpu_clock=lambda: self.spent)


class TestCache:
    def test_what_is_cheap_is_made_anew(self):
        time = Time()
        cache = time.cache()
        assert cache.get("a", lambda: time.make(0.1)) is not cache.get("a", lambda: time.make(0.1))

    def test_what_is_dear_is_kept_in_proportion(self):
        time = Time()
        cache = time.cache()
        first = cache.get("a", lambda: time.make(2.0))
        time.now = REST * 2.0 - 0.1
        assert cache.get("a", lambda: time.make(2.0)) is first
        time.now = REST * 2.0
        assert cache.get("a", lambda: time.make(2.0)) is not first

    def test_runs_are_not_mixed_up_and_few_are_kept(self):
        time = Time()
        cache = time.cache()
        made = [cache.get(number, lambda: time.make(1.0)) for number in range(MOST_ENTRIES + 1)]
        assert cache.get(MOST_ENTRIES, lambda: time.make(1.0)) is made[MOST_ENTRIES]
        assert cache.get(0, lambda: time.make(1.0)) is not made[0]

    def test_who_comes_meanwhile_waits_for_it(self):
        time, begun, go_on = Time(), threading.Event(), threading.Event()
        cache, made = time.cache(), []

        def make() -> object:
            begun.set()
            assert go_on.wait(10)
            made.append(time.make(1.0))
            return made[-1]

        with ThreadPoolExecutor(8) as viewers:
            first = viewers.submit(cache.get, "a", make)
            assert begun.wait(10)
            others = [viewers.submit(cache.get, "a", make) for _ in range(7)]
            go_on.set()
            assert {id(each.result(10)) for each in (first, *others)} == {id(made[0])}
        assert len(made) == 1

    def test_what_fails_is_tried_again(self):
        cache = Time().cache()
        for _ in range(2):
            try:
                cache.get("a", lambda: 1 / 0)
            except ZeroDivisionError:
                continue
        assert cache.get("a", lambda: "made") == "made"
