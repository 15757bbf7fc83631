"""The base of the operators that use Scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_provider_scenario.airflow_compat.mapping import is_made_by_mapping
from airflow_provider_scenario.arguments import CheckedOperator, known
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.scenario.model_fields import check_field
from airflow_provider_scenario.client.scenario.secret_parameters import is_secret, with_hidden_secrets
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.lineage.reporting import ReportsLineage
from airflow_provider_scenario.links import ScenarioModelLink

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk import BaseOperatorLink, Context

_MAY_HOLD_SECRETS = ("parameters", "trainings")
_OPTIONAL_TEXTS = ("short_description", "class_slug", "base_model_id")


class ScenarioOperator(ReportsLineage, CheckedOperator):
    """
    Base of the operators that act on one model.

    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (ScenarioModelLink(),)

    def __init__(self, *, scenario_conn_id: str = ScenarioHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario_conn_id = scenario_conn_id

    @classmethod
    def _check_given(cls, given: Mapping[str, Any]) -> list[str]:
        """Refuse secrets first: a subclass outside this package may change the arguments before they are checked."""
        refuse_secrets_in_dag_file([given.get(name) for name in _MAY_HOLD_SECRETS])
        return super()._check_given(given)

    def _check(self, *, only_known: bool = False) -> list[str]:
        if only_known:
            self._refuse_secrets()
        return super()._check(only_known=only_known)

    def _check_when_parsed(self) -> None:
        if is_made_by_mapping(self):  # Airflow stores the arguments in clear text before `execute` checks them
            self._refuse_secrets()
        super()._check_when_parsed()

    def _refuse_secrets(self) -> None:
        refuse_secrets_in_dag_file([getattr(self, name, None) for name in _MAY_HOLD_SECRETS])

    @cached_property
    def hook(self) -> ScenarioHook:
        """One hook per task: one connection lookup and one HTTP session."""
        return ScenarioHook(self.scenario_conn_id)

    def render_template(self, content: Any, *arguments: Any, **options: Any) -> Any:
        """
        Render a field, and hide the secrets in it from readers of the task.

        Right after this call Airflow stores the rendered value in clear text: it masks a Variable only if its name is
        one of a secret, never an XCom, and on 3.1 not even a connection's password. It calls this for each field of a
        task, mapped or not.
        """
        return with_hidden_secrets(super().render_template(content, *arguments, **options), on_secret=mask_secret)

    def show_model(self, context: Context, model_id: str, *, is_ours: bool = False) -> None:
        """
        Show the model before anything else can fail: in the XCom ``model_id``, the link button and the page.

        :param is_ours: whether this task has created the model.
        """
        context["ti"].xcom_push(key="model_id", value=model_id)
        self.lineage_notes.model_id = model_id
        self.lineage_notes.note_connection(self.hook.settings)
        self.hook.show_model(context, model_id, is_ours=is_ours)
        # Without this Airflow reads the stored link and stores it again: two requests for nothing.
        self.operator_extra_links = tuple(
            link for link in self.operator_extra_links if not isinstance(link, ScenarioModelLink)
        )


def check_model_fields(task: ScenarioOperator, fields: Iterable[str], final: Callable[..., bool]) -> list[str]:
    """
    Check the arguments from which a model is created.

    :param fields: their names.
    :param final: see :meth:`CheckedOperator._final`.
    :return: warnings.
    :raises InvalidInputError: names the argument and says what to change.
    """
    warnings: list[str] = []
    for field in filter(final, fields):
        value = getattr(task, field)
        # An empty text, as some templates give, counts as None.
        given = value is not None and (value != "" or field not in _OPTIONAL_TEXTS)
        if given or field in ("name", "type"):
            warnings += check_field(field, value)
    return warnings


def refuse_secrets_in_dag_file(parameters: Any) -> None:
    """
    Keep a Weights & Biases key out of the serialised DAG, which Airflow stores in clear text.

    :param parameters: training parameters, or a value among them.
    :raises InvalidInputError: ``wandbKey`` is in the DAG file.
    """
    if isinstance(parameters, list | tuple):
        for item in parameters:
            refuse_secrets_in_dag_file(item)
    if not isinstance(parameters, Mapping):
        return
    for name, value in parameters.items():
        refuse_secrets_in_dag_file(value)
        if is_secret(name) and isinstance(value, str) and known(value):
            raise InvalidInputError(
                f"parameters[{name!r:.100}] is a secret and must not be in a DAG file (Airflow stores DAGs in its "
                "database); give a template such as '{{ conn.wandb.password }}'."
            )
