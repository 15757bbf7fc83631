"""Which arguments of a mapped task are templates: those that the DAG file holds, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context


class RendersOnlyDagFile(BaseOperator):
    """
    Base of operators that render templates of the DAG file, and never what another task has returned.

    Airflow says that the values of a mapped task are not rendered, and keeps to it for ``expand``. For
    ``expand_kwargs`` it does not: ``ListOfDictsExpandInput.resolve`` resolves the XComArg first, and then takes every
    value that is not an XComArg for one of the DAG file (3.1 to 3.4.0b2). Whoever can write into what the other task
    reads, such as a bucket, could so read all connections.

    Relies on ``Templater._do_render_template_fields``, through which ``MappedOperator.render_template_fields`` renders
    the task it has made, and on ``expand_input`` and ``partial_kwargs`` of the mapped operator, which stays the task of
    its DAG (3.1). ``tests/security/test_datasets_templates.py`` shows it on each minor.
    """

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        if parent is self and (mapped := _mapped_over_xcom(self, context)) is not None:
            template_fields = [
                field for field in template_fields if _is_of_dag_file(mapped, field, getattr(self, field))
            ]
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)


def _mapped_over_xcom(task: BaseOperator, context: Context) -> Any | None:
    """The mapped operator that the task was made by, where its arguments are what another task has returned."""
    mapped: Any = task._dag.task_dict.get(task.task_id) if task._dag is not None else None
    kwargs = getattr(getattr(mapped, "expand_input", None), "value", None)
    if kwargs is None or mapped.expand_input.EXPAND_INPUT_TYPE != "list-of-dicts":
        return None
    if isinstance(kwargs, Sized):  # a list in the DAG file; an item of it may still be another task's
        kwargs = kwargs[context["ti"].map_index]  # type: ignore[index]
    return None if isinstance(kwargs, Mapping) else mapped


def _is_of_dag_file(mapped: Any, field: str, value: Any) -> bool:
    """Whether a value stands in the DAG file: in ``partial(…)``, or in ``default_args`` of the DAG or a group."""
    group = getattr(mapped, "task_group", None)
    sources = (mapped.partial_kwargs, getattr(group, "default_args", None), mapped.dag.default_args)
    return any(
        isinstance(source, Mapping) and field in source and (source[field] is value or source[field] == value)
        for source in sources
    )
