"""Datasets in folders and buckets: reads them, checks them, and uploads them to a model."""

from airflow_provider_scenario.datasets.folder import Dataset, check_kind, read_dataset
from airflow_provider_scenario.datasets.images import DatasetImage, list_images
from airflow_provider_scenario.datasets.listing import list_datasets
from airflow_provider_scenario.datasets.pairs import check_pairs, resolve_pairs
from airflow_provider_scenario.datasets.review import log_review
from airflow_provider_scenario.datasets.settings import check_preset
from airflow_provider_scenario.datasets.upload import attach, model_after_upload

__all__ = [
    "Dataset",
    "DatasetImage",
    "attach",
    "check_kind",
    "check_pairs",
    "check_preset",
    "list_datasets",
    "list_images",
    "log_review",
    "model_after_upload",
    "read_dataset",
    "resolve_pairs",
]
