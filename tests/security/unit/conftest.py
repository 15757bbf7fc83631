"""The fixtures of the unit tests: the emulator, and the page with Airflow's models in a database and its own login."""

from tests.unit.conftest import (  # noqa: F401
    _own_budget,
    another_task,
    context,
    datasets,
    emulator,
    files_folder,
)
from tests.unit.plugin.conftest import (  # noqa: F401
    admin,
    database,
    empty_database,
    engine,
    impatient,
    log_in,
    scenario,
    train,
)
