"""Publish models to Alibaba Cloud's AI Creation Workshop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from airflow_provider_scenario.links import ScenarioModelLink
from airflow_provider_scenario.publishing.hosting import Hosting
from airflow_provider_scenario.publishing.trees import WEEK, check_tree, leaks, model_id_of, plain

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.publishing.syncing import Syncer

_SOURCES = ("model", "models", "from_scenario_model")
_OF_SCENARIO = ("epoch", "storage", "public_url", "name", "description", "trigger_words", "alias_name", "base_model")


class AICreationWorkshopSyncModelOperator(CheckedOperator):
    """
    Sync models to AI Creation Workshop, which fetches and lists their files in the background.

    Give exactly one of ``model``, ``models`` and ``from_scenario_model``. The ids are ours, so the same again changes
    nothing, and a retry never makes a second model. To wait until the file is listed, let
    :class:`~..sensors.model_sync.AICreationWorkshopModelListingSensor` follow.

    The service fetches files later, by their address. An address of a storage (``s3://conn_id@bucket/hero.safetensors``)
    is signed each time it is sent, and kept unsigned everywhere else: give that rather than a signed address, which
    Airflow would keep among the rendered templates.

    A field that the vendor's page does not list is sent as it is, with a warning; one whose name is close to a listed
    name is an error. Each object of a tree, and ``session``, takes ``extra_fields``: a dictionary that is merged into
    the object as it is, without a check. It is for fields with such a name, and for values that only this provider
    refuses. A listed field may stand there instead of its own place, not in both.

    ``from_scenario_model`` re-hosts what Scenario's own expiring links lead to: the file of each epoch is streamed into
    ``storage`` and hashed on the way, and the sample pictures are its covers. What is there already is not fetched
    again. The model's id is Scenario's, a version's id that and the epoch.

    :param model: a tree: model, versions, files, as the vendor's page *Model sync* has it, in its spelling or in snake
        case (templated).
    :param models: many of them, sent side by side at no more than the connection's ``requests_per_minute``; one that
        is wrong stops no other, and fails the task in the end (templated).
    :param from_scenario_model: id of a LoRA that Scenario has trained (templated).
    :param session: ``role_id``, ``session_mode``, ``expired_in_seconds``, ``custom_resource_config_id``: what the
        vendor's page lists beside the token (templated). Default: none.
    :param epoch: publish only this one: ``"000003"``, ``3`` or ``"last"`` (templated). Default: each as a version.
    :param storage: folder for the files: a URL such as ``s3://conn_id@bucket/loras``, an ``ObjectStoragePath``, or a
        local path (templated).
    :param public_url: address under which that folder is served to everybody (templated). Default: addresses are
        signed, which buckets can do and disks cannot.
    :param name: of the model (templated). Default: its name at Scenario.
    :param description: may be HTML (templated). Default: its short description.
    :param trigger_words: a list (templated). Default: the concept prompt it was trained with.
    :param alias_name: what prompts call the LoRA, unique in the workshop (templated); where several epochs are
        published each has its number behind it. Default: made of the name and the epoch.
    :param base_model: in the workshop's words (templated). Default: that of the model's type, or the type itself,
        which warns: the workshop's list ends before what Scenario trains today.
    :param source_type: ``internal``, ``liblib``, ``civitia`` or ``hugging_face`` (templated). Default: ``internal``.
    :param url_expires_in: seconds that signed addresses are good. Default: 604800 (a week, which is S3's limit; and no
        longer than the credentials live that sign).
    :param download_timeout: seconds that Scenario may take to pack one file. Default: 1800.
    :param threads: how many of ``models`` are sent at once. Default: 8.
    :param ai_creation_workshop_conn_id: connection of type ``ai_creation_workshop``. Default:
        ``ai_creation_workshop_default``.
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: ``model_id``, ``model_version_id``, ``model_file_id``, ``status`` (0, 5, 10), ``state`` (``not-listed``,
        ``in-progress``, ``listed``), ``invoke_id``, ``files`` (their addresses, unsigned); a list of these for
        ``models``. For ``from_scenario_model`` also ``model``, the tree, for the sensor; it is in XCom ``model``, too.
    :raises ListingFailedError: the service says that an earlier listing of the same has failed (-10).
    :raises ModelsNotSyncedError: of ``models`` some failed; a table of them is in the log.
    """

    template_fields: Sequence[str] = (
        *_SOURCES,
        *_OF_SCENARIO,
        "source_type",
        "session",
        "ai_creation_workshop_conn_id",
        "scenario_conn_id",
    )
    template_fields_renderers = {"model": "json", "models": "json", "session": "json"}  # noqa: RUF012
    operator_extra_links = (ScenarioModelLink(),)
    ui_color = "#e4f0ff"

    def __init__(
        self,
        *,
        model: Any = None,
        models: Any = None,
        from_scenario_model: str | None = None,
        session: Any = None,
        epoch: str | int | None = None,
        storage: Any = None,
        public_url: str | None = None,
        name: str | None = None,
        description: str | None = None,
        trigger_words: Sequence[str] | None = None,
        alias_name: str | None = None,
        base_model: str | None = None,
        source_type: str = "internal",
        url_expires_in: float = WEEK,
        download_timeout: float = 1800.0,
        threads: int = 8,
        ai_creation_workshop_conn_id: str = AICreationWorkshopHook.default_conn_name,
        scenario_conn_id: str = ScenarioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = plain(model)
        self.models = [plain(tree) for tree in models] if isinstance(models, list | tuple) else models
        self.from_scenario_model = from_scenario_model
        self.session = plain(session)
        self.epoch = epoch
        self.storage = storage
        self.public_url = public_url
        self.name = name
        self.description = description
        self.trigger_words = trigger_words
        self.alias_name = alias_name
        self.base_model = base_model
        self.source_type = source_type
        self.url_expires_in = in_seconds(url_expires_in)
        self.download_timeout = in_seconds(download_timeout)
        self.threads = threads
        self.ai_creation_workshop_conn_id = ai_creation_workshop_conn_id
        self.scenario_conn_id = scenario_conn_id
        self._check_when_parsed()

    @cached_property
    def hook(self) -> AICreationWorkshopHook:
        """One hook, and so one connection look-up and one HTTP session, for the life of the task."""
        return AICreationWorkshopHook(self.ai_creation_workshop_conn_id)

    def execute(self, context: Context) -> Any:
        """Check, re-host where asked to, send."""
        with permanent_errors_do_not_retry():
            self._check()
            self._warn_of_leaks()
            if self.models is not None:
                return self._sync_all(list(self.models))
            tree = self.model if self.model is not None else self._publish(context)
            result = self._syncer.sync(tree)
            self._tell(result)
            if self.model is None:
                context["ti"].xcom_push(key="model", value=tree)
                result["model"] = tree
            return result

    @cached_property
    def _syncer(self) -> Syncer:
        from airflow_provider_scenario.publishing.syncing import Syncer

        return Syncer(
            self.hook.connect(max_tries=1, pool_size=self.threads),
            budget=self.hook.budget,
            seconds=int(self.url_expires_in),
            session=self.session,
            log=self.log.warning,
        )

    def _publish(self, context: Context) -> dict[str, Any]:
        """Have the files of a LoRA re-hosted, and return its tree."""
        from airflow_provider_scenario.publishing.lora import Publisher, Words, chosen_epochs

        model_id = str(self.from_scenario_model)
        _ = self._syncer  # what is wrong with its connection shall not show after a download of gigabytes
        hosting = Hosting(self.storage, self.public_url or None)
        hosting.check_addresses()
        scenario = ScenarioHook(self.scenario_conn_id)
        scenario.show_model(context, model_id)
        with scenario.client as client:
            model = client.get_model(model_id)
            publisher = Publisher(
                client, hosting, app_url=scenario.app_url, log=self.log.info, patience=self.download_timeout
            )
            words = Words(
                name=self.name,
                description=self.description,
                trigger_words=self.trigger_words,
                alias=self.alias_name,
                base_model=self.base_model,
                source_type=self.source_type,
            )
            return publisher.publish(model, chosen_epochs(model, self.epoch), words)

    def _tell(self, result: Mapping[str, Any]) -> None:
        from airflow_provider_scenario.publishing.listing import failure_message

        model_id, state = result["model_id"], result["state"]
        if state == "failed":
            raise ListingFailedError(failure_message(result, model_id))
        self.log.info("Model %s is synced: %s (status %s).", model_id, state, result["status"])

    def _sync_all(self, trees: Sequence[Any]) -> list[dict[str, Any]]:
        from airflow_provider_scenario.publishing.syncing import failure, table

        outcomes = list(self._syncer.sync_all(trees, threads=self.threads))
        failed = [came for came in outcomes if failure(came)]
        self.log.info("%d of %d models are synced.", len(trees) - len(failed), len(trees))
        if failed:
            for line in table(trees, outcomes):
                self.log.error("%s", line)
            text = f"{len(failed)} of {len(trees)} models were not synced; the log has a table of them."
            hopeless = all(came.permanent if isinstance(came, ScenarioError) else True for came in failed)
            raise AirflowFailException(text) if hopeless else ModelsNotSyncedError(text)
        return [came for came in outcomes if not isinstance(came, ScenarioError)]

    def _warn_of_leaks(self) -> None:
        for tree in filter(leaks, [self.model] if self.model is not None else self.models or ()):
            self.log.warning(
                "Model %s: an address in its tree is signed or has a login, and Airflow keeps what a task is given. "
                "Give the address in the storage, such as 's3://conn_id@bucket/…': it is signed when it is sent.",
                model_id_of(tree),
            )

    def _check_sources(self) -> None:
        possible = {name for name in (*_SOURCES, *_OF_SCENARIO) if getattr(self, name) is not None}
        sure = {name for name in possible if getattr(self, name) is not UNKNOWN}
        given = [name for name in _SOURCES if name in sure]
        if len(given) > 1 or not possible.intersection(_SOURCES):
            raise InvalidInputError(
                f"{' and '.join(given) if given else 'None of ' + ', '.join(_SOURCES)} given; give exactly one of "
                f"{', '.join(_SOURCES)}."
            )
        misplaced = [name for name in _OF_SCENARIO if name in sure]
        if misplaced and given and given != ["from_scenario_model"]:
            raise InvalidInputError(f"{', '.join(misplaced)} only goes with from_scenario_model, not with {given[0]}.")
        if given == ["from_scenario_model"] and self.storage is None:
            raise InvalidInputError(
                "storage is missing: Scenario's links expire, so give a folder for the files, such as "
                "'s3://conn_id@bucket/loras'."
            )

    def _check(self, *, only_known: bool = False) -> list[str]:
        now = self._final(only_known)
        self._check_sources()
        for name in ("url_expires_in", "download_timeout"):
            if now(name):
                seconds(name, getattr(self, name))
        if now("threads") and (isinstance(self.threads, bool) or not isinstance(self.threads, int) or self.threads < 1):
            raise InvalidInputError(f"threads is {shown(self.threads)}; give a whole number from 1 on.")
        if now("source_type"):
            self._check_source_type()
        if now("session") and self.session is not None:
            from airflow_provider_scenario.client.workshop.schemas import read_session

            read_session(self.session)
        if now("model") and self.model is not None:
            check_tree(self.model)
        if now("models") and self.models is not None and not _is_list(self.models):
            raise InvalidInputError(f"models is {type(self.models).__name__}; give a list of trees.")
        if now("trigger_words") and self.trigger_words is not None and not _is_list(self.trigger_words):
            raise InvalidInputError(f"trigger_words is {shown(self.trigger_words)}; give a list of texts.")
        self._check_texts(now)
        if self.from_scenario_model is not None:
            if now("from_scenario_model"):
                if not isinstance(self.from_scenario_model, str):
                    raise InvalidInputError(
                        f"from_scenario_model is {shown(self.from_scenario_model)}; give the id of a model."
                    )
                check_id("from_scenario_model", self.from_scenario_model)
            if now("storage", "public_url"):
                Hosting(self.storage, self.public_url or None)
        return super()._check(only_known=only_known)

    def _check_source_type(self) -> None:
        """As for a tree, but before gigabytes are fetched."""
        from airflow_provider_scenario.client.workshop.schemas import check_source_type

        check_source_type(self.source_type)

    def _check_texts(self, now: Callable[..., bool]) -> None:
        """What the tree of a LoRA is made of would otherwise be refused after gigabytes were fetched."""
        for name in ("name", "description", "alias_name", "base_model"):
            value = getattr(self, name)
            if now(name) and value is not None and not isinstance(value, str):
                raise InvalidInputError(f"{name} is {shown(value)}; give a text.")
        if now("trigger_words"):
            for word in self.trigger_words or ():
                if not isinstance(word, str):
                    raise InvalidInputError(f"trigger_words holds {shown(word)}; give a list of texts.")


def _is_list(value: Any) -> bool:
    """Also what Airflow gives in its place: the results of a mapped task."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
