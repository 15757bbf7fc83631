"""``airflow scenario estimate``."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.cli.output import print_data, print_rows
from airflow_provider_scenario.cli.running import UsageError, command, say, scenario_client
from airflow_provider_scenario.client.consequences import NOTHING_STARTED
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

log = logging.getLogger(__name__)


@command
def estimate(options: Namespace) -> None:
    """Estimate what trainings on these datasets would cost."""
    from airflow_provider_scenario.cost_estimate import CostEstimator

    parameters = _checked_parameters(options.parameters, options.type)
    with scenario_client(options.conn_id) as client:
        estimator = CostEstimator(lambda: client, log)
        trainings = [training for folder in options.folders for training in _trainings(folder)]
        found = estimator.estimate(estimator.read(trainings, type=options.type, parameters=parameters))
    if options.output in ("json", "yaml"):
        print_data(found, options.output)
        return
    images = sum(row["images"] or 0 for row in found["trainings"])
    total = {"name": "sum", "type": None, "images": images, "creative_units": found["creative_units"]}
    print_rows([*found["trainings"], total], options.output, empty="")
    say(NOTHING_STARTED)


def _checked_parameters(text: str | None, model_type: str | None) -> Mapping[str, Any] | None:
    from airflow_provider_scenario.client.scenario.model_types import check_type
    from airflow_provider_scenario.client.scenario.trainers import check_parameters

    try:
        if model_type is not None:
            check_type(model_type)
        if text is None:
            return None
        found = json.loads(text)
        if not isinstance(found, dict):
            raise UsageError(f"--parameters is {shown(found)}; give a JSON object.")
        check_parameters(found, model_type)
    except InvalidInputError as error:
        raise UsageError(str(error)) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--parameters is not JSON: {error}") from None
    else:
        return found


def _trainings(folder: str) -> list[dict[str, Any]]:
    """The datasets in a folder, or the folder itself if it is a dataset."""
    from airflow_provider_scenario.datasets import list_datasets
    from airflow_provider_scenario.datasets.folder import is_media, read_settings
    from airflow_provider_scenario.storage import Location, StorageError

    try:
        return list_datasets(folder)
    except StorageError:
        raise
    except InvalidInputError:
        dataset = Location.of(folder)
        files = dataset.list_folder()[1]
        if not any(map(is_media, files)):
            raise
        return [{"images": folder, "name": read_settings(files).name or dataset.name}]
