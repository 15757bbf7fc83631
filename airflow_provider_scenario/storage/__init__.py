"""
Files and folders on this machine, or in any storage that Airflow's ``ObjectStoragePath`` reaches.

Making a :class:`Location` reads nothing and imports nothing heavy, so DAG files may do it.
"""

from airflow_provider_scenario.storage.errors import MissingError, OutsideError, StorageError, UnusableStorageError
from airflow_provider_scenario.storage.location import AnyPath, Location, is_path, map_in_threads
from airflow_provider_scenario.storage.remote import PART_SIZE

__all__ = [
    "PART_SIZE",
    "AnyPath",
    "Location",
    "MissingError",
    "OutsideError",
    "StorageError",
    "UnusableStorageError",
    "is_path",
    "map_in_threads",
]
