"""Wait for a training in the triggerer, without holding a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.watch.decision import TrainingWatch
from airflow_provider_scenario.watch.polling import cancel_training, ending, poll, sighting

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_scenario.client.scenario import ScenarioClient
    from airflow_provider_scenario.watch.ending import Ending


class ScenarioTrainingTrigger(BaseTrigger):
    """
    Look at a training until it has ended, then fire one event: an :class:`~..watch.ending.Ending` as a dict.

    :param model_id: the model that is trained; its status decides. None: only the job is known.
    :param job_id: the training's job; where ``model_id`` is trained by another job in the end, this one's end counts.
    :param poke_interval: seconds between two looks. Default: 30.
    :param deadline: when to give up, as a Unix time in seconds: absolute, so that a triggerer's restart does not
        extend it. None: never.
    :param cancel_on_kill: cancel the training when a person kills, marks or clears the deferred task. Default: False.
    :param scenario_conn_id: connection of type ``scenario``.
    """

    def __init__(
        self,
        *,
        model_id: str | None = None,
        job_id: str | None = None,
        poke_interval: float = 30.0,
        deadline: float | None = None,
        cancel_on_kill: bool = False,
        scenario_conn_id: str = ScenarioHook.default_conn_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model_id = model_id
        self.job_id = job_id
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.scenario_conn_id = scenario_conn_id
        self._client: ScenarioClient | None = None
        self._ended = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """All that is needed to go on in another triggerer."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "model_id": self.model_id,
                "job_id": self.job_id,
                "poke_interval": self.poke_interval,
                "deadline": self.deadline,
                "cancel_on_kill": self.cancel_on_kill,
                "scenario_conn_id": self.scenario_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One request a poll, in a thread; one log line when something has changed."""
        try:
            end = await self._end()
        except asyncio.CancelledError:
            if not hasattr(BaseTrigger, "on_kill"):  # Airflow 3.1 and 3.2 leave it to the trigger to find out why
                await self.on_kill()
            raise
        self._ended = True
        yield TriggerEvent(end.to_event())  # type: ignore[no-untyped-call]

    async def _end(self) -> Ending:
        # One try a poll: the watch itself goes on asking, ever more slowly.
        client = self._client = await ScenarioHook(self.scenario_conn_id).aconnect(max_tries=1)
        watch = TrainingWatch(
            what=self.model_id or self.job_id or "",
            deadline=float("inf") if self.deadline is None else self.deadline,
            poke_interval=self.poke_interval,
        )
        while True:
            seen = await asyncio.to_thread(poll, client, self.model_id, self.job_id)
            outcome = watch.see(sighting(seen), time.time())
            if watch.news:
                self.log.info("%s", watch.news)
            if outcome:
                return await asyncio.to_thread(ending, client, outcome, seen, self.model_id, self.job_id)
            await asyncio.sleep(watch.pause)

    async def on_kill(self) -> None:
        """
        Cancel the training, if it was a person who ended the deferral.

        Airflow 3.3.0 to 3.3.2 calls this also when the trigger has only moved to another triggerer
        (apache/airflow#73454), so the task's state is asked for first: still ``deferred`` means that somebody else
        goes on waiting. Where the state cannot be had the training goes on.
        """
        if not self.cancel_on_kill or self._ended or not self.model_id:
            return
        try:
            state = await sync_to_async(self._task_state, thread_sensitive=False)()
        except Exception as error:
            self.log.warning(
                "Cannot tell whether the task was killed (%s): the training of %s goes on, and its cost.",
                type(error).__name__,
                self.model_id,
            )
            return
        if state == "deferred":
            self.log.info(
                "The task is still deferred: another triggerer waits for %s. Nothing cancelled.", self.model_id
            )
            return
        try:
            client = self._client or await ScenarioHook(self.scenario_conn_id).aconnect(max_tries=1)
            fate = await asyncio.to_thread(cancel_training, client, self.model_id, self.job_id)
        except ScenarioError as error:
            fate = f"The training of {self.model_id} could not be cancelled and may go on, and its cost: {error}"
        self.log.info("Task killed while deferred (it is now %s). %s", state or "cleared", fate)

    async def cleanup(self) -> None:
        """Close the connections. Cancels nothing: this runs at every restart of a triggerer."""
        if self._client:
            await asyncio.to_thread(self._client.close)

    def _task_state(self) -> str | None:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        ti = self.task_instance
        if ti is None:
            raise LookupError("the trigger knows no task instance")
        map_index = getattr(ti, "map_index", -1)
        states = RuntimeTaskInstance.get_task_states(
            dag_id=ti.dag_id,
            run_ids=[ti.run_id],
            task_ids=[ti.task_id],
            map_index=map_index if map_index >= 0 else None,
        )
        # One task instance was asked for; mapped ones are named task_id_mapindex.
        return next((str(state) if state else None for state in states.get(ti.run_id, {}).values()), None)


def warn_without_triggerer(log: Logger) -> None:
    """Say so in the task's log where nobody would ever wake it up. Silent where Airflow's health is out of reach."""
    import requests
    from airflow.configuration import conf

    execution_api = conf.get("core", "execution_api_server_url", fallback="")
    address = execution_api.split("/execution")[0] or conf.get("api", "base_url", fallback="")
    if not address.startswith("http"):
        return
    try:
        health = requests.get(f"{address.rstrip('/')}/api/v2/monitor/health", timeout=2).json()
        status = health["triggerer"]["status"]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return
    if status != "healthy":
        log.warning(
            "No triggerer is alive (%s): this task stays deferred until one is. Start `airflow triggerer`, or set "
            "deferrable=False. The training itself goes on.",
            status or "never seen",
        )
