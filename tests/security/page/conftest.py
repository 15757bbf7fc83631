"""The page as tests/unit/plugin has it: Airflow's models in a database, its own login, the emulator behind."""

from tests.unit.conftest import (  # noqa: F401
    _own_budget,
    another_task,
    context,
    datasets,
    emulator,
    one_emulator,
)
from tests.unit.plugin.conftest import (  # noqa: F401
    admin,
    database,
    empty_database,
    engine,
    log_in,
    scenario,
    train,
)
