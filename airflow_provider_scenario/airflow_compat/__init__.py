"""
Everything that uses parts of Airflow that are not documented as public.

What relies on an undocumented part names it, its first minor version, and what happens if it is missing. The rest of
this package imports from Airflow only ``airflow.sdk``, ``airflow.sdk.log``, ``airflow.triggers.base`` and
``airflow.plugins_manager`` (``make lint`` checks that), and this folder imports nothing of the rest: to support a
new Airflow, change this folder.
"""
