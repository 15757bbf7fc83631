"""The HTTP APIs of Scenario and AI Creation Workshop. Knows nothing of Airflow."""
