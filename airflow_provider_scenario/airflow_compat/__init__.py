"""
The one place that uses what Airflow does not document as public.

Every function here says what it relies on, since which minor version, and what happens where it is missing. Everything
else in this package imports from Airflow only ``airflow.sdk``, ``airflow.sdk.log``, ``airflow.triggers.base`` and
``airflow.plugins_manager`` (``make lint`` checks that), and this folder imports nothing of the rest of the package: a
new Airflow is supported by changing this folder.
"""
