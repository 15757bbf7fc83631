"""
Inputs, outputs and facets of the operators.

Imports OpenLineage's client, so import this module only when its listener asks for facets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    dataset_type_dataset,
    dataset_version_dataset,
    datasource_dataset,
    documentation_dataset,
    external_query_run,
    input_statistics_input_dataset,
    output_statistics_output_dataset,
    symlinks_dataset,
)

from airflow_provider_scenario.airflow_compat.open_lineage import operator_lineage
from airflow_provider_scenario.assets import SCHEME, is_model, open_lineage_name
from airflow_provider_scenario.client.defaults import SCENARIO_URL, WORKSHOP_URL
from airflow_provider_scenario.client.scenario.secret_parameters import without_secrets
from airflow_provider_scenario.client.texts import plain
from airflow_provider_scenario.client.values import camel_case, is_number, number_in
from airflow_provider_scenario.lineage.facets import (
    PRODUCER,
    ScenarioCostRunFacet,
    ScenarioParametersRunFacet,
    ScenarioTrainingRunFacet,
)
from airflow_provider_scenario.lineage.naming import (
    DatasetName,
    clean,
    folder_of,
    name_of_path,
    names_of_images,
    namespace_of,
    without_query,
)
from airflow_provider_scenario.lineage.notes import LineageNotes, training_images_of

if TYPE_CHECKING:
    from airflow_provider_scenario.airflow_compat.types import Lineage
    from airflow_provider_scenario.lineage.reporting import Moment
    from airflow_provider_scenario.publishing.syncing import SyncResult


WORKSHOP_SCHEME = "ai-creation-workshop"

_NOTHING_STARTED = ("not-started", "secret-changed")
"""Outcomes after which nothing is billed."""


def of_training(
    notes: LineageNotes,
    moment: Moment,
    *,
    images: Any = None,
    parameters: Any = None,
    max_creative_units: Any = None,
    outlets: Iterable[Any] = (),
) -> Lineage:
    """
    Report a task that trains a model: images in, model out, parameters and cost.

    :param images: of the operator, rendered. None: the training reads what the model holds.
    :param parameters: of the operator, rendered.
    :param outlets: of the operator; an asset that stands for the model becomes another name of it.
    """
    scenario = _scenario(notes)
    names = names_of_images(images, scenario)
    if scenario:
        names += [DatasetName(scenario, name) for name in notes.inputs]
    if moment == "start":
        given = without_secrets(parameters) if isinstance(parameters, Mapping) else {}
        facets = _parameters({camel_case(str(name)): value for name, value in given.items()})
        return operator_lineage(_inputs(names, None), run_facets=facets)
    facets = {
        **_training(notes, moment, started_by_task=notes.is_ours),
        **_cost(notes, max_creative_units),
        **_parameters(notes.parameters or {}),
    }
    return operator_lineage(_inputs(names, notes), _models(notes, outlets) if moment == "complete" else [], facets)


def of_waiting(notes: LineageNotes, moment: Moment) -> Lineage:
    """Report a sensor: it reads a model, makes none and pays nothing."""
    if moment == "start":
        return operator_lineage()
    scenario, model_id = _scenario(notes), _model_id(notes)
    names = [DatasetName(scenario, model_id)] if scenario and model_id else []
    return operator_lineage(_inputs(names, None), run_facets=_training(notes, moment, started_by_task=False))


def of_upload(notes: LineageNotes, moment: Moment, images: Any) -> Lineage:
    """Report a task that adds training images to a model."""
    scenario = _scenario(notes)
    outputs = []
    if moment == "complete" and scenario and notes.model_id:
        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            size=notes.image_bytes, fileCount=notes.images, producer=PRODUCER
        )
        outputs = [
            OutputDataset(
                scenario,
                training_images_of(notes.model_id),
                facets=_described(notes.base_url or SCENARIO_URL, scenario, f"Training images of {notes.model_id}."),
                outputFacets={"outputStatistics": statistics},
            )
        ]
    return operator_lineage(_inputs(names_of_images(images, scenario), notes), outputs)


def of_creation(notes: LineageNotes, moment: Moment, concepts: Any) -> Lineage:
    """Report a task that creates a model, perhaps of LoRAs."""
    scenario = _scenario(notes)
    if moment != "complete" or not scenario:
        return operator_lineage()
    parts = [part for part in concepts if isinstance(part, Mapping)] if isinstance(concepts, list | tuple) else []
    ids = [part.get("model_id") or part.get("modelId") for part in parts]
    return operator_lineage(
        _inputs([DatasetName(scenario, str(each)) for each in ids if each], None), _models(notes, ())
    )


def of_sync(
    results: Sequence[SyncResult],
    *,
    base_url: str | None,
    files: Iterable[str],
    notes: LineageNotes | None = None,
    storage: Any = None,
) -> Lineage:
    """
    Report a task that sends models to AI Creation Workshop.

    :param results: of the models that were sent.
    :param base_url: of the workshop, from the connection. None: the public service.
    :param files: addresses of the files that the workshop fetches.
    :param notes: of the LoRA that was published, and ``storage``, where its files were written.
    """
    url = base_url or WORKSHOP_URL
    namespace = namespace_of(WORKSHOP_SCHEME, url)
    outputs = [
        OutputDataset(
            namespace,
            result["model_id"],
            facets={
                **_described(url, namespace, f"Listing: {result['state']}."),
                **_type_and_version(None, result["model_version_id"]),
            },
        )
        for result in results
    ]
    scenario = _scenario(notes) if notes else None
    if notes is None or not scenario or not notes.model_id:
        return operator_lineage(_inputs(dict.fromkeys(map(folder_of, files)), None), outputs)
    if results:
        outputs.append(OutputDataset(*name_of_path(storage)))
    return operator_lineage([InputDataset(scenario, notes.model_id)], outputs)


def _scenario(notes: LineageNotes) -> str | None:
    return namespace_of(SCHEME, notes.base_url or SCENARIO_URL) if notes.is_connected else None


def _model_id(notes: LineageNotes) -> str | None:
    return (notes.result.model_id if notes.result else None) or notes.model_id


def _inputs(names: Iterable[DatasetName], notes: LineageNotes | None) -> list[InputDataset]:
    """:param notes: how much was read; only where it was read from one place."""
    inputs = [InputDataset(namespace, name) for namespace, name in names]
    if notes and notes.images and len(inputs) == 1:
        read = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            size=notes.image_bytes, fileCount=notes.images, producer=PRODUCER
        )
        inputs[0].inputFacets = {"inputStatistics": read}
    return inputs


def _models(notes: LineageNotes, outlets: Iterable[Any]) -> list[OutputDataset]:
    scenario, model_id, result = _scenario(notes), _model_id(notes), notes.result
    if not scenario or not model_id:
        return []
    name, model_type = (result.model_name, result.model_type) if result else (None, None)
    about = f"Model {plain(name)!r} at Scenario." if name else f"Model {model_id} at Scenario."
    facets: dict[str, Any] = {
        **_described(notes.base_url or SCENARIO_URL, scenario, about),
        **_type_and_version(model_type, (result.job_id if result else None) or notes.job_id),
    }
    assets = [open_lineage_name(outlet.uri) for outlet in filter(is_model, outlets)]
    others = [symlinks_dataset.Identifier(namespace, other, type="ASSET") for namespace, other in assets]
    if others:
        facets["symlinks"] = symlinks_dataset.SymlinksDatasetFacet(identifiers=others, producer=PRODUCER)
    return [OutputDataset(scenario, model_id, facets=facets)]


def _described(base_url: str, namespace: str, text: str) -> dict[str, Any]:
    return {
        "dataSource": datasource_dataset.DatasourceDatasetFacet(
            name=urlsplit(namespace).netloc, uri=without_query(base_url), producer=PRODUCER
        ),
        "documentation": documentation_dataset.DocumentationDatasetFacet(description=text, producer=PRODUCER),
    }


def _type_and_version(model_type: str | None, version: str | None) -> dict[str, Any]:
    kind = dataset_type_dataset.DatasetTypeDatasetFacet(datasetType="MODEL", subType=model_type, producer=PRODUCER)
    if not version:
        return {"datasetType": kind}
    trained_by = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version, producer=PRODUCER)
    return {"datasetType": kind, "version": trained_by}


def _training(notes: LineageNotes, moment: Moment, *, started_by_task: bool) -> dict[str, Any]:
    result, job_id = notes.result, notes.job_id
    facet = ScenarioTrainingRunFacet(modelId=_model_id(notes), projectId=notes.project_id, producer=PRODUCER)
    if result:
        job_id = result.job_id or job_id
        facet.modelName, facet.modelType = clean(result.model_name), result.model_type
        facet.outcome, facet.status, facet.trainSeconds = result.outcome, result.status, result.train_seconds
        facet.epochs = None if result.epochs is None else len(result.epochs)
        facet.error, facet.hint = clean(result.error), clean(result.hint)
    elif job_id and moment == "complete":
        facet.outcome = "started"
    if not job_id:
        return {facet.KEY: facet}
    facet.jobId, facet.startedByThisTask = job_id, started_by_task
    job = external_query_run.ExternalQueryRunFacet(externalQueryId=job_id, source="scenario", producer=PRODUCER)
    return {facet.KEY: facet, "externalQuery": job}


def _cost(notes: LineageNotes, max_creative_units: Any) -> dict[str, Any]:
    result = notes.result
    cost = (
        notes.creative_units_cost
        if result is None or result.creative_units_cost is None
        else (result.creative_units_cost)
    )
    if not notes.is_ours or (result and result.outcome in _NOTHING_STARTED):
        cost = 0.0
    limit = number_in(max_creative_units)
    facet = ScenarioCostRunFacet(
        creativeUnitsCost=cost,
        creativeUnitsTotal=notes.creative_units_total,
        maxCreativeUnits=limit if is_number(limit) else None,
        producer=PRODUCER,
    )
    return {facet.KEY: facet}


def _parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    if not parameters:
        return {}
    facet = ScenarioParametersRunFacet(parameters=clean(parameters), producer=PRODUCER)
    return {facet.KEY: facet}
