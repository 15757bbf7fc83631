"""Distinguishes a connection that does not exist from one that cannot be read now."""

from __future__ import annotations


def connection_is_missing(conn_id: str) -> bool:
    """
    Check every place again, after Airflow has raised that the connection is not defined.

    Airflow raises the same when a secrets backend fails, and from 3.2 on when the API server fails: it continues with
    the next place and drops the error. Relies on ``ensure_secrets_backend_loaded``, ``SUPERVISOR_COMMS`` and
    ``GetConnection`` (3.1).

    :return: True only if every place has answered and none has the connection.
    """
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    try:
        if any(backend.get_connection(conn_id=conn_id) for backend in ensure_secrets_backend_loaded()):
            return False
        return _api_server_has_none(conn_id)
    except Exception:
        return False


def _api_server_has_none(conn_id: str) -> bool:
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection

    supervisor = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if supervisor is None:  # outside of a task there is no API server
        return True
    try:
        answer = supervisor.send(GetConnection(conn_id=conn_id))
    except AirflowRuntimeError as error:
        answer = error.error
    return isinstance(answer, ErrorResponse) and answer.error == ErrorType.CONNECTION_NOT_FOUND
