"""Sync models to Alibaba Cloud's AI Creation Workshop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.arguments import UNKNOWN, CheckedOperator, in_seconds, seconds
from airflow_provider_scenario.client.errors import InvalidInputError, ScenarioError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.exceptions import ListingFailedError, ModelsNotSyncedError, permanent_errors_do_not_retry
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.lineage.reporting import ReportsLineage
from airflow_provider_scenario.links import ScenarioModelLink
from airflow_provider_scenario.publishing.hosting import Hosting
from airflow_provider_scenario.publishing.trees import (
    WEEK,
    as_dict,
    check_tree,
    file_addresses,
    has_readable_secret,
    model_id_of,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.airflow_compat.types import Lineage
    from airflow_provider_scenario.lineage.reporting import Moment
    from airflow_provider_scenario.publishing.syncing import Syncer, SyncResult


class _SyncOperator(ReportsLineage, CheckedOperator):
    """Base of the operators that sync models: their common arguments, and how one tree is sent."""

    ui_color = "#e4f0ff"
    threads = 1
    """How many trees are sent at once."""

    def __init__(
        self,
        *,
        session: Any = None,
        url_expires_in: float = WEEK,
        ai_creation_workshop_conn_id: str = AICreationWorkshopHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.session = as_dict(session)
        self.url_expires_in = in_seconds(url_expires_in)
        self.ai_creation_workshop_conn_id = ai_creation_workshop_conn_id

    @cached_property
    def hook(self) -> AICreationWorkshopHook:
        """One hook per task: one connection lookup and one HTTP session."""
        return AICreationWorkshopHook(self.ai_creation_workshop_conn_id)

    @cached_property
    def _synced(self) -> list[SyncResult]:
        """What was sent, for OpenLineage."""
        return []

    @cached_property
    def _syncer(self) -> Syncer:
        from airflow_provider_scenario.publishing.syncing import Syncer

        return Syncer(
            self.hook.connect(max_tries=1, pool_size=self.threads),
            budget=self.hook.budget,
            url_expires_in=int(self.url_expires_in),
            session=self.session,
            log=self.log.warning,
        )

    def _sync_one(self, tree: Any) -> SyncResult:
        result = self._syncer.sync(tree)
        if result["state"] == "failed":
            from airflow_provider_scenario.publishing.listing import failure_message

            raise ListingFailedError(failure_message(result, result["model_id"]))
        self._synced.append(result)
        self.log.info("Model %s is synced: %s (status %s).", result["model_id"], result["state"], result["status"])
        return result

    def _check(self, *, only_known: bool = False) -> list[str]:
        final = self._final(only_known)
        if final("url_expires_in"):
            seconds("url_expires_in", self.url_expires_in)
        if final("session") and self.session is not None:
            from airflow_provider_scenario.client.workshop.schemas import read_session

            read_session(self.session)
        return super()._check(only_known=only_known)


class AICreationWorkshopSyncModelOperator(_SyncOperator):
    """
    Sync one model tree, or many, to AI Creation Workshop, which fetches and lists their files in the background.

    To publish a LoRA that was trained on Scenario, use :class:`AICreationWorkshopPublishModelOperator`.

    The ids in a tree are yours: sending the same tree again changes nothing, so a retry never makes a second model. To
    wait until the file is listed, add :class:`.AICreationWorkshopModelListingSensor`.

    The service fetches each file later, by its address. An address in a storage
    (``s3://conn_id@bucket/hero.safetensors``) is signed each time that it is sent and stays unsigned everywhere else.
    Give such an address rather than a signed one, which Airflow would keep among the rendered templates.

    A field that the vendor's page does not list is sent unchanged, with a warning. A field whose name is close to a
    listed name is an error. Each object of a tree, and ``session``, takes ``extra_fields``: a dictionary that is merged
    into the object without a check. Use it for fields with such a name, and for values that only this provider
    refuses. A listed field may stand there instead of its own place, not in both.

    :param model: a tree of model, versions and files, as on the vendor's page *Model sync*, in its spelling or in snake
        case (templated).
    :param models: a list of trees (templated). They are sent side by side, at no more than the connection's
        ``requests_per_minute``. A wrong tree does not stop the others; the task fails after all were sent.
    :param session: ``role_id``, ``session_mode``, ``expired_in_seconds``, ``custom_resource_config_id``: what the
        vendor's page lists beside the token (templated). Default: none.
    :param url_expires_in: seconds that signed addresses are valid. Default: 604800 (a week, which is S3's limit). An
        address is never valid longer than the credentials that sign it.
    :param threads: how many of ``models`` are sent at once. Default: 8.
    :param ai_creation_workshop_conn_id: connection of type ``ai_creation_workshop``. Default:
        ``ai_creation_workshop_default``.
    :return: ``model_id``, ``model_version_id``, ``model_file_id``, ``status`` (0, 5, 10), ``state`` (``not-listed``,
        ``in-progress``, ``listed``), ``invoke_id``, ``files`` (their addresses, unsigned); a list of these for
        ``models``.
    :raises ListingFailedError: an earlier listing of the same tree has failed (-10).
    :raises ModelsNotSyncedError: some of ``models`` were not synced; the log has a table of them.
    """

    template_fields: Sequence[str] = ("model", "models", "session", "ai_creation_workshop_conn_id")
    template_fields_renderers = {"model": "json", "models": "json", "session": "json"}  # noqa: RUF012

    def __init__(self, *, model: Any = None, models: Any = None, threads: int = 8, **kwargs: Any) -> None:
        self.check_names(kwargs)
        super().__init__(**kwargs)
        self.model = as_dict(model)
        self.models = [as_dict(tree) for tree in models] if isinstance(models, list | tuple) else models
        self.threads = threads
        self._check_when_parsed()

    @classmethod
    def check_names(cls, names: Iterable[str]) -> None:
        """Refuse arguments of :class:`AICreationWorkshopPublishModelOperator`, which this operator took once."""
        if moved := sorted(_OF_PUBLISHING.intersection(names)):
            raise InvalidInputError(
                f"{cls.__name__} syncs model trees and does not take {', '.join(moved)}. To publish a LoRA that was "
                "trained on Scenario, use AICreationWorkshopPublishModelOperator of the same module, with "
                "scenario_model_id in place of from_scenario_model."
            )

    def execute(self, context: Context) -> SyncResult | list[SyncResult]:  # noqa: ARG002
        """Check the arguments, then send the tree or the trees."""
        with permanent_errors_do_not_retry():
            self._check()
            self._warn_of_readable_secrets()
            return self._sync_one(self.model) if self.models is None else self._sync_all(list(self.models))

    def _sync_all(self, trees: Sequence[Any]) -> list[SyncResult]:
        from airflow_provider_scenario.publishing.syncing import failure, failure_table

        answers = list(self._syncer.sync_all(trees, threads=self.threads))
        failed = [answer for answer in answers if failure(answer)]
        self._synced += [answer for answer in answers if not isinstance(answer, ScenarioError) and not failure(answer)]
        self.log.info("%d of %d models are synced.", len(trees) - len(failed), len(trees))
        if failed:
            for line in failure_table(trees, answers):
                self.log.error("%s", line)
            text = f"{len(failed)} of {len(trees)} models were not synced; the log has a table of them."
            permanent = all(answer.permanent if isinstance(answer, ScenarioError) else True for answer in failed)
            raise AirflowFailException(text) if permanent else ModelsNotSyncedError(text)
        return [answer for answer in answers if not isinstance(answer, ScenarioError)]

    def _lineage_at(self, moment: Moment) -> Lineage:  # noqa: ARG002
        from airflow_provider_scenario.lineage.report import of_sync

        trees = [self.model] if self.models is None else self.models
        # Not the results of a mapped task: each of them is a request to Airflow.
        files = [each for tree in trees for each in file_addresses(tree)] if isinstance(trees, list | tuple) else []
        files += [each for result in self._synced for each in result["files"]]
        base_url = self.hook.settings.get("base_url") if self._synced else None
        return of_sync(self._synced, base_url=base_url, files=files)

    def _warn_of_readable_secrets(self) -> None:
        for tree in filter(has_readable_secret, [self.model] if self.models is None else self.models):
            self.log.warning(
                "Model %s: an address in its tree is signed or holds a login, and Airflow stores the arguments of a "
                "task. Give the address in the storage, such as 's3://conn_id@bucket/…': it is signed when it is sent.",
                model_id_of(tree),
            )

    def _check(self, *, only_known: bool = False) -> list[str]:
        found = super()._check(only_known=only_known)
        final = self._final(only_known)
        if self.model is None and self.models is None:
            raise InvalidInputError("Neither model nor models is given; give one of them.")
        if not any(value is None or value is UNKNOWN for value in (self.model, self.models)):
            raise InvalidInputError("Both model and models are given; give one of them.")
        if final("threads") and (
            isinstance(self.threads, bool) or not isinstance(self.threads, int) or self.threads < 1
        ):
            raise InvalidInputError(f"threads is {shown(self.threads)}; give a whole number from 1 on.")
        if final("model") and self.model is not None:
            check_tree(self.model)
        if final("models") and self.models is not None and not _is_list(self.models):
            raise InvalidInputError(f"models is {type(self.models).__name__}; give a list of trees.")
        return found


class AICreationWorkshopPublishModelOperator(_SyncOperator):
    """
    Publish a LoRA that was trained on Scenario: host its files in a storage of yours, and sync it to the workshop.

    Scenario's own links expire. So the file of each epoch is streamed into ``storage`` and hashed on the way, and its
    sample pictures become covers. A file that is there already is not fetched again. The model's id is Scenario's; a
    version's id is the model's id and the epoch. So a retry never makes a second model. To wait until the file is
    listed, add :class:`.AICreationWorkshopModelListingSensor`.

    :param scenario_model_id: id of the LoRA (templated).
    :param storage: folder for the files: a URL such as ``s3://conn_id@bucket/loras``, an ``ObjectStoragePath``, or a
        local path (templated).
    :param public_url: address under which that folder is served to everybody (templated). Default: addresses are
        signed, which buckets can do and disks cannot.
    :param epoch: publish only this one: ``"000003"``, ``3`` or ``"last"`` (templated). Default: all; each is a version.
    :param name: of the model (templated). Default: its name at Scenario.
    :param description: may be HTML (templated). Default: its short description.
    :param trigger_words: a list (templated). Default: the concept prompt it was trained with.
    :param alias_name: what prompts call the LoRA, unique in the workshop (templated). With several epochs, the number
        of the epoch is appended. Default: made of the name and the epoch.
    :param base_model: in the workshop's words (templated). Default: that of the model's type. Where the workshop's list
        has none, the type itself, with a warning.
    :param source_type: ``internal``, ``liblib``, ``civitia`` or ``hugging_face`` (templated). Default: ``internal``.
    :param session: ``role_id``, ``session_mode``, ``expired_in_seconds``, ``custom_resource_config_id``: what the
        vendor's page lists beside the token (templated). Default: none.
    :param url_expires_in: seconds that signed addresses are valid. Default: 604800 (a week, which is S3's limit). An
        address is never valid longer than the credentials that sign it.
    :param download_timeout: seconds that Scenario may take to pack one file. Default: 1800.
    :param ai_creation_workshop_conn_id: connection of type ``ai_creation_workshop``. Default:
        ``ai_creation_workshop_default``.
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: as :class:`AICreationWorkshopSyncModelOperator`, and ``model``: the tree, for the sensor. The tree is also
        in the XCom ``model``.
    :raises ListingFailedError: an earlier listing of the same tree has failed (-10).
    """

    template_fields: Sequence[str] = (
        *("scenario_model_id", "storage", "public_url", "epoch", "name", "description", "trigger_words"),
        *("alias_name", "base_model", "source_type", "session", "ai_creation_workshop_conn_id", "scenario_conn_id"),
    )
    template_fields_renderers = {"session": "json"}  # noqa: RUF012
    operator_extra_links = (ScenarioModelLink(),)

    def __init__(
        self,
        *,
        scenario_model_id: str,
        storage: Any,
        public_url: str | None = None,
        epoch: str | int | None = None,
        name: str | None = None,
        description: str | None = None,
        trigger_words: Sequence[str] | None = None,
        alias_name: str | None = None,
        base_model: str | None = None,
        source_type: str = "internal",
        download_timeout: float = 1800.0,
        scenario_conn_id: str = ScenarioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.scenario_model_id = scenario_model_id
        self.storage = storage
        self.public_url = public_url
        self.epoch = epoch
        self.name = name
        self.description = description
        self.trigger_words = trigger_words
        self.alias_name = alias_name
        self.base_model = base_model
        self.source_type = source_type
        self.download_timeout = in_seconds(download_timeout)
        self.scenario_conn_id = scenario_conn_id
        self._check_when_parsed()

    def execute(self, context: Context) -> SyncResult:
        """Check the arguments, host the files, then send the tree."""
        with permanent_errors_do_not_retry():
            self._check()
            tree = self._host(context)
            result = self._sync_one(tree)
            context["ti"].xcom_push(key="model", value=tree)
            result["model"] = tree
            return result

    def _lineage_at(self, moment: Moment) -> Lineage:  # noqa: ARG002
        from airflow_provider_scenario.lineage.report import of_sync

        base_url = self.hook.settings.get("base_url") if self._synced else None
        return of_sync(self._synced, base_url=base_url, files=(), notes=self.lineage_notes, storage=self.storage)

    def _host(self, context: Context) -> dict[str, Any]:
        """Host the files of the LoRA, and return its tree."""
        from airflow_provider_scenario.publishing.lora import LoraTreeBuilder, Overrides, chosen_epochs

        _ = self._syncer  # a wrong connection must fail the task before gigabytes are fetched
        hosting = Hosting(self.storage, self.public_url or None)
        hosting.check_addresses()
        scenario = ScenarioHook(self.scenario_conn_id)
        context["ti"].xcom_push(key="model_id", value=self.scenario_model_id)
        scenario.show_model(context, self.scenario_model_id)
        self.lineage_notes.model_id = self.scenario_model_id
        self.lineage_notes.note_connection(scenario.settings)
        overrides = Overrides(
            name=self.name,
            description=self.description,
            trigger_words=self.trigger_words,
            alias=self.alias_name,
            base_model=self.base_model,
            source_type=self.source_type,
        )
        with scenario.client as client:
            model = client.get_model(self.scenario_model_id)
            builder = LoraTreeBuilder(
                client, hosting, app_url=scenario.app_url, log=self.log.info, pack_timeout=self.download_timeout
            )
            return builder.build(model, chosen_epochs(model, self.epoch), overrides)

    def _check(self, *, only_known: bool = False) -> list[str]:
        final = self._final(only_known)
        if final("scenario_model_id"):
            if not isinstance(self.scenario_model_id, str):
                raise InvalidInputError(
                    f"scenario_model_id is {shown(self.scenario_model_id)}; give the id of a model."
                )
            check_id("scenario_model_id", self.scenario_model_id)
        if final("storage", "public_url"):
            Hosting(self.storage, self.public_url or None)
        if final("download_timeout"):
            seconds("download_timeout", self.download_timeout)
        self._check_overrides(final)
        return super()._check(only_known=only_known)

    def _check_overrides(self, final: Callable[..., bool]) -> None:
        """The schema would refuse these too, but only after gigabytes were fetched."""
        from airflow_provider_scenario.client.workshop.schemas import check_source_type

        if final("source_type"):
            check_source_type(self.source_type)
        for name in ("name", "description", "alias_name", "base_model"):
            value = getattr(self, name)
            if final(name) and value is not None and not isinstance(value, str):
                raise InvalidInputError(f"{name} is {shown(value)}; give a text.")
        if not final("trigger_words") or self.trigger_words is None:
            return
        if not _is_list(self.trigger_words):
            raise InvalidInputError(f"trigger_words is {shown(self.trigger_words)}; give a list of texts.")
        for word in self.trigger_words:
            if not isinstance(word, str):
                raise InvalidInputError(f"trigger_words holds {shown(word)}; give a list of texts.")


_OF_PUBLISHING = frozenset(
    {
        *("from_scenario_model", "scenario_model_id", "epoch", "storage", "public_url", "name", "description"),
        *("trigger_words", "alias_name", "base_model", "source_type", "download_timeout", "scenario_conn_id"),
    }
)


def _is_list(value: Any) -> bool:
    """Whether it is a list, or what Airflow gives in place of one: the results of a mapped task."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
