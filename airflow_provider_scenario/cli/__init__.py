"""
``airflow scenario …``: checks an installation, lists and cancels trainings, estimates costs.

Airflow adds the commands of :mod:`.definition` to its own from 3.2 on. On 3.1, and everywhere else too,
``python -m airflow_provider_scenario …`` has the same commands.
"""
