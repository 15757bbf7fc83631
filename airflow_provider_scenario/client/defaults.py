"""The defaults of the clients: addresses, timeouts, rates, pauses. Standard library only."""

from __future__ import annotations

SCENARIO_URL = "https://api.cloud.scenario.com/v1"
"""Base URL of the public service."""

SCENARIO_APP_URL = "https://app.scenario.com"
"""Address of the web app."""

SCENARIO_KEYS_URL = f"{SCENARIO_APP_URL}/settings/api"
"""Where a user makes an API key."""

WORKSHOP_URL = "https://openai.edu-aliyun.com"
"""Base URL of the public service."""

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a connection; the vendor's client uses the same."""

TIMEOUT = 60.0
"""Seconds to wait for an answer."""

TEST_TIMEOUT = 10.0
"""Seconds to wait for an answer when a person tests a connection."""

TRIES = 4
"""How often a request is sent at most."""

SCENARIO_REQUESTS_PER_MINUTE = 80.0
"""Below the documented 100 of a project: the web app and other programs use the same allowance."""

WORKSHOP_REQUESTS_PER_MINUTE = 60.0
"""The vendor documents no limit."""

FIRST_PAUSE = 0.5
"""Seconds of the first pause before a request is sent again; it doubles with each failure (the vendor's number)."""

LONGEST_PAUSE = 8.0
"""Seconds at which the pauses stop growing (the vendor's number)."""

LONGEST_RETRY_AFTER = 60.0
"""Seconds of a ``Retry-After`` that are waited for; a longer one fails the request, as in the vendor's client."""

LONGEST_POLL_PAUSE = 300.0
"""Seconds between two polls at most, however far away the end is and however often polls have failed."""
