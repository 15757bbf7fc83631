"""
A local Scenario and AI Creation Workshop, for tests and to try a DAG without costs. It is at least as strict as the
services.

It shares no code with the rest of the package, so that a mistake in one makes tests of the other fail.
Start it with ``python -m airflow_provider_scenario.emulator``, or inside a test with
:func:`airflow_provider_scenario.emulator.server.running_emulator`.
"""
