"""
A local Scenario and AI Creation Workshop: a test double that is never kinder than the services, and a place to try a
DAG for nothing.

Shares no code with the rest of the package, so that a mistake on one side shows against the other.
Start it with ``python -m airflow_provider_scenario.emulator``, or inside a test with
:func:`airflow_provider_scenario.emulator.server.running_emulator`.
"""
