"""What a model is trained with: datasets in folders and buckets, read, checked, and given to a model."""

from airflow_provider_scenario.datasets.folder import Dataset, check_kind, read_dataset
from airflow_provider_scenario.datasets.images import DatasetImage, list_images
from airflow_provider_scenario.datasets.listing import list_datasets
from airflow_provider_scenario.datasets.pairs import check_pairs, resolve_pairs
from airflow_provider_scenario.datasets.review import review
from airflow_provider_scenario.datasets.settings import check_preset
from airflow_provider_scenario.datasets.upload import as_filled, attach

__all__ = [
    "Dataset",
    "DatasetImage",
    "as_filled",
    "attach",
    "check_kind",
    "check_pairs",
    "check_preset",
    "list_datasets",
    "list_images",
    "read_dataset",
    "resolve_pairs",
    "review",
]
