"""
The errors of the clients: one class for each case that callers treat differently.

Every error says whether another try can help (``permanent``), whether money was spent (``money``), and which request
it was (``request``, ``status``, ``trace_id``). The text always has the same order: what was requested, what came back,
what that means for the cost, what to do.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Unpack

Money = Literal["none", "unknown", "spent"]


class Origin(TypedDict, total=False):
    """Where an error comes from: the arguments that all errors take, see :class:`ScenarioError`."""

    request: str | None
    status: int | None
    trace_id: str | None
    body: Any


class ScenarioError(Exception):
    """
    Base of everything this package raises about Scenario.

    :param message: for people; must not contain secrets or signed addresses.
    :param request: method and path, such as ``PUT /models/model_8Xk/train``; None when nothing was sent.
    :param status: HTTP status of the answer; None without an answer.
    :param trace_id: the service's own id of the request, to quote to its support.
    :param body: the decoded error body, as it came.
    """

    permanent: bool = False
    """Whether the same request cannot succeed later. ``x-should-retry`` in the answer may overrule it."""

    is_certain: bool = False
    """Whether no further try can change it, whatever the answer's ``x-should-retry`` says."""

    money: Money = "none"
    """``none``: nothing was started or billed; ``unknown``: the answer was lost; ``spent``: a training was billed."""

    resendable: bool = False
    """Whether the same request may be sent again at once: the error may pass, and sending twice does no harm."""

    retry_after: float | None = None
    """The pause in seconds that the service named (Retry-After); None if it named none."""

    def __init__(
        self,
        message: str,
        *,
        request: str | None = None,
        status: int | None = None,
        trace_id: str | None = None,
        body: Any = None,
    ) -> None:
        origin = ", ".join(
            part for part in (request, str(status or ""), f"trace {trace_id}" if trace_id else "") if part
        )
        super().__init__(f"{message} [{origin}]" if origin else message)
        self.request = request
        self.status = status
        self.trace_id = trace_id
        self.body = body


class InvalidInputError(ScenarioError, ValueError):
    """A value that Scenario would refuse or misread; found before anything was sent."""

    permanent = True


class RequestRefusedError(ScenarioError):
    """The service understood the request and refused it (400, 422)."""

    permanent = True


class AlreadyTrainingError(RequestRefusedError):
    """400 'Model is already training': an earlier try or another program has started it."""

    is_certain = True


class AlreadyTrainingImageError(RequestRefusedError):
    """400 'already a training image of this model': the image is in the dataset."""

    is_certain = True


class ConflictError(RequestRefusedError):
    """409: the service works on the same object at the moment. The same request may succeed later."""

    permanent = False


class WorkshopRefusalError(RequestRefusedError):
    """
    AI Creation Workshop refused a request in an answer with the status 200.

    Its error codes are not published, so it is unknown which are permanent. Sending it again is safe.

    :param err_code: the gateway's code; None where it gave none.
    :param sub_err_code: the service's own code; None where it gave none.
    """

    permanent = False

    def __init__(
        self, message: str, *, err_code: str | None, sub_err_code: str | None, **origin: Unpack[Origin]
    ) -> None:
        super().__init__(message, **origin)
        self.err_code = err_code
        self.sub_err_code = sub_err_code


class AuthenticationError(ScenarioError):
    """
    The key, the secret or the project is wrong, or the key may not do this (401, 403).

    The gateway answers 403, not 401, to wrong credentials; a 403 is more often the wrong project than a missing right.
    """

    permanent = True


class NotFoundError(ScenarioError):
    """The project has no such object (404)."""

    permanent = True


class PlanCeilingError(ScenarioError):
    """
    429 ``PlanLimitReachedError``: the team's plan does not allow it now, and waiting does not help.

    Waiting helps only for ``parallel-training`` with a limit above zero: a slot is free when another training ends.

    :param action: what is limited, for example ``train-model``, ``parallel-training``, ``add-training-image``.
    :param limit: what the plan allows.
    :param used: what is in use.
    """

    permanent = True
    is_certain = True

    def __init__(
        self, message: str, *, action: str | None, limit: float | None, used: float | None, **origin: Unpack[Origin]
    ) -> None:
        super().__init__(message, **origin)
        self.action = action
        self.limit = limit
        self.used = used

    @property
    def frees_up(self) -> bool:
        """Whether waiting helps: another training of the team uses the slot."""
        return self.action == "parallel-training" and bool(self.limit)


class ThrottledError(ScenarioError):
    """
    429 that passes: too many requests (documented: 100 a minute a project), or the cool-down between launches.

    :param retry_after: the pause in seconds that the service named (Retry-After); None if it named none.
    """

    def __init__(self, message: str, *, retry_after: float | None, **origin: Unpack[Origin]) -> None:
        super().__init__(message, **origin)
        self.retry_after = retry_after


class ServiceError(ScenarioError):
    """
    The service failed (5xx), gave no answer in time, could not be reached, or answered something unreadable.

    :param maybe_done: whether the request may have been carried out all the same.
    """

    def __init__(self, message: str, *, maybe_done: bool, **origin: Unpack[Origin]) -> None:
        super().__init__(message, **origin)
        self.maybe_done = maybe_done
        if maybe_done:
            self.money = "unknown"
