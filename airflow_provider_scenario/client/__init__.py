"""Scenario's HTTP API. Knows nothing of Airflow."""
