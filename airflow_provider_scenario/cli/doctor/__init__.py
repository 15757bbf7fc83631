"""``airflow scenario doctor``: checks whether trainings can run here. Costs nothing and changes nothing."""
