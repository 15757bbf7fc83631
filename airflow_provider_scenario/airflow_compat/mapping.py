"""Mapped tasks: which of their arguments are templates, and how the rest is checked when the DAG file is parsed."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import OperatorPartial

from airflow_provider_scenario.airflow_compat.exceptions import AirflowException, AirflowFailException

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import MappedOperator

_PACKAGE = __name__.partition(".")[0]
_MADE_BY_MAPPING = "_airflow_from_mapped"

if TYPE_CHECKING:
    from airflow.sdk.bases.operator import BaseOperatorMeta
else:
    BaseOperatorMeta = type(BaseOperator)


class _FailsWithoutRetry(BaseOperatorMeta):
    """
    Fail a mapped task for good where Airflow cannot make its operator: an argument is missing, unknown or refused.

    Relies on ``_airflow_from_mapped``, which ``MappedOperator.unmap`` passes on a worker (3.1).
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except (TypeError, ValueError, AirflowException) as error:
            if _MADE_BY_MAPPING not in kwargs or not takes_our_arguments(self):  # type: ignore[arg-type]
                raise
            raise AirflowFailException(f"The arguments of this mapped task are wrong: {error}") from error


class RendersOnlyDagFile(BaseOperator, metaclass=_FailsWithoutRetry):
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


def takes_our_arguments(operator: type[BaseOperator]) -> bool:
    """Whether an operator has an ``__init__`` of this package, and not one of somebody else's subclass."""
    return str(operator.__init__.__module__).startswith(f"{_PACKAGE}.")


def is_made_by_mapping(task: BaseOperator) -> bool:
    """
    Whether a worker has made this operator from a mapped one.

    Relies on ``BaseOperator.__from_mapped`` (3.1).
    """
    return bool(getattr(task, "_BaseOperator__from_mapped", False))


class CheckedPartial(OperatorPartial):
    """
    What ``partial`` returns: checks the arguments that stand in the DAG file, also those given to ``expand``.

    Airflow has no hook for that. Relies on ``OperatorPartial`` with ``operator_class``, ``_expand_called`` and
    ``kwargs``, which include ``dag`` and ``task_group`` (3.1). The operator's class has a method ``check_mapped``.
    """

    __slots__ = ()

    @classmethod
    def of(cls, partial: OperatorPartial) -> CheckedPartial:
        """Turn what ``BaseOperator.partial`` has returned into one that checks."""
        partial.__class__ = cls
        return partial  # type: ignore[return-value]

    def expand(self, **mapped_kwargs: Any) -> MappedOperator:
        """Map over lists, of which those in the DAG file are checked."""
        rows = [{name: value} for name, values in mapped_kwargs.items() if _is_list(values) for value in values]
        self._check_rows(rows, mapped=mapped_kwargs)
        return super().expand(**mapped_kwargs)

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> MappedOperator:
        """Map over dictionaries, of which those in the DAG file are checked."""
        rows = [item for item in kwargs if isinstance(item, Mapping)] if _is_list(kwargs) else None
        self._check_rows(rows, mapped=() if rows else None)
        return super().expand_kwargs(kwargs, strict=strict)

    def check(self, rows: Iterable[Mapping[str, Any]], names: Iterable[str] = ()) -> list[str]:
        """
        Check the arguments of one task each.

        :param names: what it is mapped over.
        :return: warnings.
        """
        try:
            found: list[str] = self.operator_class.check_mapped(rows, names)  # type: ignore[attr-defined]
        except Exception:
            self._expand_called = True  # else Airflow warns, beside the import error, that it was never mapped
            raise
        return found

    def _check_rows(self, rows: Sequence[Mapping[str, Any]] | None, mapped: Iterable[str] | None) -> None:
        """
        Check what is known of each task.

        Airflow fills in ``default_args`` on the worker only, under what is given and what is mapped over.

        :param mapped: what is mapped over. None: not known, so that it may be any of ``default_args``.
        """
        sources = () if mapped is None else (self.kwargs["dag"], self.kwargs["task_group"])
        defaults = {
            name: value
            for source in sources
            for name, value in (getattr(source, "default_args", None) or {}).items()
            if name not in (mapped or ())
        }
        given = {**defaults, **self.kwargs}
        names = {*(mapped or ()), *(name for row in rows or () for name in row)}
        for text in self.check([{**given, **row} for row in rows or [{}]], names):
            warnings.warn(text, stacklevel=3)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
