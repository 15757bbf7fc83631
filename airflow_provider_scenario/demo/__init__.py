"""A real Airflow on this machine, and the show that ``make demo`` puts on with it."""
