"""Sentences about a training and its cost, which errors and log lines share."""

from __future__ import annotations

NOTHING_SENT = "Nothing was sent."
NOTHING_CHANGED = "The request changed nothing."
NOTHING_STARTED = "Nothing was started or billed."
TRAINING_CONTINUES = "The training continues and is billed."
TRAINING_MAY_CONTINUE = "The training may continue and be billed."
RUNNING_TRAINING_CONTINUES = "A running training continues and is billed."
NO_REFUND = "Scenario does not promise a refund."
A_RETRY_WAITS = "A retry finds it and waits for it."
NOTHING_NEW = "Nothing new was created, started or billed."
MAY_HAVE_STARTED = "The last request may have started the training, which is then billed; a retry finds it."
NOT_RETRIED = (
    "Airflow does not retry the task, because a retry would pay again. To train again, clear the task or set "
    "on_retry='retrain'."
)
