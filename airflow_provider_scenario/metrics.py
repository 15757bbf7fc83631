"""
What Airflow's own statistics (StatsD, OpenTelemetry) hear of us. The names are documented in the README.

========================================  =========  ================================================================
name                                      kind       meaning
========================================  =========  ================================================================
``scenario.requests``                     counter    requests that were sent to the service
``scenario.throttled``                    counter    of these, how many it answered with 429
``scenario.polls``                        counter    looks at up to 50 trainings each
``scenario.trainings_waiting.<hostname>`` gauge      trainings that the triggerer on this host waits for
``scenario.end_noticed_after``            timer      from the end of a training, by the service's clock, until we saw it
========================================  =========  ================================================================
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


def count(what: str) -> None:
    """Add one to a counter."""
    stats().incr(f"scenario.{what}")


def waiting(trainings: int) -> None:
    """Tell how many trainings this process waits for. Plain StatsD has no tags: the host is in the name."""
    stats().gauge(f"scenario.trainings_waiting.{_host()}", trainings)


def end_noticed(ended: datetime | None) -> None:
    """Tell how long ago a training had ended when its end was seen."""
    if ended is not None:
        stats().timing("scenario.end_noticed_after", max(timedelta(0), datetime.now(UTC) - ended))
