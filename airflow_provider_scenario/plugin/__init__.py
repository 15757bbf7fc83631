"""The Trainings page inside the Airflow UI: in the navigation, in each DAG run, in each task."""
