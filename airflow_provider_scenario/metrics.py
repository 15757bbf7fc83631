"""
The metrics that this package reports through Airflow (StatsD, OpenTelemetry). ``docs/how_it_scales.md`` lists them.

=================================================  =======  ===========================================================
name                                               kind     meaning
=================================================  =======  ===========================================================
``scenario.requests``                              counter  requests sent to Scenario
``scenario.throttled``                             counter  of these, how many Scenario answered with 429
``scenario.polls``                                 counter  polls, of up to 50 trainings each
``scenario.trainings_waiting.<hostname>``          gauge    trainings that the triggerer on this host waits for
``scenario.end_noticed_after``                     timer    from a training's end, by Scenario's clock, to our poll
``ai_creation_workshop.requests``, ``.throttled``  counter  the same of AI Creation Workshop
=================================================  =======  ===========================================================
"""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime, timedelta
from functools import cache

from airflow_provider_scenario.airflow_compat.stats import stats


@cache
def _host() -> str:
    return re.sub(r"[^a-zA-Z0-9_.-]", "_", socket.gethostname())


def count(what: str, *, service: str = "scenario") -> None:
    """Add one to a counter of a service."""
    stats().incr(f"{service}.{what}")


def waiting(trainings: int) -> None:
    """Report how many trainings this process waits for. Plain StatsD has no tags: the host is in the name."""
    stats().gauge(f"scenario.trainings_waiting.{_host()}", trainings)


def end_noticed(ended: datetime | None) -> None:
    """Report how long ago a training had ended when a poll returned its end."""
    if ended is not None:
        stats().timing("scenario.end_noticed_after", max(timedelta(0), datetime.now(UTC) - ended))
