"""``make demo``: run the example DAGs with a real Airflow on this machine, against the emulator."""
