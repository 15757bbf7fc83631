"""
Run facets of this provider; ``schemas/`` describes them.

Imports OpenLineage's client, so import this module only when its listener asks for facets.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attr
from openlineage.client.facet_v2 import RunFacet

from airflow_provider_scenario import __version__

_REPOSITORY = "airflow-provider-scenario/airflow-provider-scenario"

PRODUCER = f"https://github.com/{_REPOSITORY}/tree/v{__version__}"
"""Who made a facet: this version."""

SCHEMAS = f"https://raw.githubusercontent.com/{_REPOSITORY}/v0.1.0/airflow_provider_scenario/lineage/schemas"
"""Where the schemas are. OpenLineage wants an address that never changes: name the release that changes a schema."""


def _schema(name: str) -> str:
    return f"{SCHEMAS}/{name}.json#/$defs/{name}"


@attr.define(kw_only=True)
class ScenarioTrainingRunFacet(RunFacet):
    """
    A training and how it ended.

    :param outcome: such as ``trained`` or ``failed``; ``started`` if the task does not wait for the end. None: the task
        failed before that was known.
    :param startedByThisTask: False if the task only waits for a training that something else has started.
    :param epochs: how many checkpoints the model has.
    :param error: Scenario's message, and ``hint`` its advice.
    """

    KEY: ClassVar[str] = "scenario_training"

    modelId: str | None = None
    modelName: str | None = None
    modelType: str | None = None
    jobId: str | None = None
    projectId: str | None = None
    outcome: str | None = None
    status: str | None = None
    startedByThisTask: bool | None = None
    trainSeconds: float | None = None
    epochs: int | None = None
    error: str | None = None
    hint: str | None = None

    @staticmethod
    def _get_schema() -> str:
        return _schema("ScenarioTrainingRunFacet")


@attr.define(kw_only=True)
class ScenarioCostRunFacet(RunFacet):
    """
    What was billed, in creative units, also for a training that failed.

    :param creativeUnitsCost: of this training. None: nothing was started, or Scenario has not reported it.
    :param creativeUnitsTotal: of all trainings that the attempts of this task have started.
    :param maxCreativeUnits: the author's limit.
    """

    KEY: ClassVar[str] = "scenario_cost"

    creativeUnitsCost: float | None = None
    creativeUnitsTotal: float | None = None
    maxCreativeUnits: float | None = None

    @staticmethod
    def _get_schema() -> str:
        return _schema("ScenarioCostRunFacet")


@attr.define(kw_only=True)
class ScenarioParametersRunFacet(RunFacet):
    """
    The training parameters, in the API's spelling and without secrets.

    :param parameters: those that were sent; at the start of the task, those of the DAG file.
    """

    KEY: ClassVar[str] = "scenario_parameters"

    parameters: dict[str, Any]

    @staticmethod
    def _get_schema() -> str:
        return _schema("ScenarioParametersRunFacet")
