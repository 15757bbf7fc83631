from __future__ import annotations

from tests.unit.conftest import _own_budget, datasets, emulator, one_emulator  # noqa: F401
from tests.unit.plugin.conftest import (  # noqa: F401
    admin,
    database,
    empty_database,
    engine,
    log_in,
    scenario,
    train,
)
