"""Every error the program raises on purpose, sorted by what the caller does next.

RegimedError
├── ConfigInvalid                stop at boot, exit 2: the operator mends the configuration
├── DataInvalid                  refuse this input by name, keep what is in force
│   └── ValueOutOfRange          a number that does not fit the format's 64 bits
├── MetricUndefined              note it with its reason, go on while 4 of 6 are there
├── ExchangeError
│   ├── ExchangeUnavailable      retry, count for the circuit breaker
│   │   ├── AnswerMalformed      the same, and the body's first characters are in the log
│   │   └── CircuitOpen          do not ask at all until the breaker's time is over
│   ├── RateLimited              wait as told; never counts for the breaker
│   ├── RequestRefused           this request is wrong: back off this market alone
│   └── ExchangeRefused          the key is unusable or dangerous: stop, wake someone
│       └── ClockRefused         the exchange finds our timestamp wrong: no signed calls
├── StoreError
│   ├── RepositoryUnusable       stop at boot, exit 2: not a repository, wrong folder
│   ├── RepositoryLocked         stop at boot, exit 2: another daemon writes it
│   ├── CommitFailed             tell the operator anyway, marked unrecorded
│   ├── PushFailed               keep, try later, say so on /health
│   ├── HistoryRefused           a change would break immutability: refuse it by name
│   └── IndexUnavailable         go on without the index, compute, fill the gap later
│       └── IndexChanged         ask for the series' state again and begin anew from it
├── NotifyFailed                 stays in the outbox, falls back to the log
└── NotifyRefused                is not sent again, falls back to the log
"""

from __future__ import annotations


class RegimedError(Exception):
    """Raised when something expected went wrong; every subclass says what the caller does next."""


class ConfigInvalid(RegimedError):
    """Raised when the configuration cannot be used; carries every problem at once.

    Args:
        problems: One line a problem: path, value's origin, what was found, a suggestion.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class DataInvalid(RegimedError):
    """Raised when an input breaks its format.

    Args:
        where: File or source that held it.
        field: The field in it, or `""` for the whole.
        problem: What was found and what was expected.
    """

    def __init__(self, where: str, field: str, problem: str) -> None:
        self.where, self.field, self.problem = where, field, problem
        super().__init__(f"{where}: {field}: {problem}" if field else f"{where}: {problem}")


class ValueOutOfRange(DataInvalid):
    """Raised when a scaled number does not fit 64 bits."""


class MetricUndefined(RegimedError):
    """Raised when a metric has no value for this series.

    Args:
        metric: The metric's name.
        reason: Why, in a few words that an operator understands.
    """

    def __init__(self, metric: str, reason: str) -> None:
        self.metric, self.reason = metric, reason
        super().__init__(f"{metric}: {reason}")


class ExchangeError(RegimedError):
    """Raised when an exchange did not give what was asked.

    Args:
        exchange: Its configured name.
        request: Method and path, never with credentials.
        problem: What came back.
        code: The exchange's own code, where it gave one.
    """

    def __init__(self, exchange: str, request: str, problem: str, code: str | None = None) -> None:
        self.exchange, self.request, self.problem, self.code = exchange, request, problem, code
        shown = f" (code {code})" if code else ""
        super().__init__(f"{exchange}: {request}: {problem}{shown}")


class ExchangeUnavailable(ExchangeError):
    """Raised when the exchange is down, slow or broken: transport errors, timeouts, 5xx."""


class AnswerMalformed(ExchangeUnavailable):
    """Raised when an answer is not what the exchange documents."""


class CircuitOpen(ExchangeUnavailable):
    """Raised when the breaker of this host is open and no request was made.

    Args:
        exchange: Its configured name.
        request: What was not asked.
        retry_in_s: Seconds until the breaker lets one probe through.
        cause: What the last request that was made ended with.
    """

    def __init__(self, exchange: str, request: str, retry_in_s: float, cause: str) -> None:
        self.retry_in_s = retry_in_s
        problem = f"not asked (circuit open, next probe in {retry_in_s:.0f} s): {cause}"
        super().__init__(exchange, request, problem)


class RateLimited(ExchangeError):
    """Raised when the exchange asks us to slow down.

    Args:
        exchange: Its configured name.
        request: Method and path.
        retry_after_s: Seconds to wait.
        own_quota: True where our quota is used up, False where the server is overloaded.
        code: The exchange's own code.
    """

    def __init__(
        self,
        exchange: str,
        request: str,
        retry_after_s: float,
        *,
        own_quota: bool,
        code: str | None = None,
    ) -> None:
        self.retry_after_s, self.own_quota = retry_after_s, own_quota
        cause = "our quota is used up" if own_quota else "the server is overloaded"
        super().__init__(exchange, request, f"{cause}, retry in {retry_after_s:.1f} s", code)


class RequestRefused(ExchangeError):
    """Raised when the exchange understood the request and will not serve it (unknown symbol, ...)."""


class ExchangeRefused(ExchangeError):
    """Raised when the account or key is refused, or has rights that are too dangerous to hold."""


class ClockRefused(ExchangeRefused):
    """Raised when the exchange refuses our timestamp, or our clock is too far off to sign."""


class StoreError(RegimedError):
    """Raised when the data repository could not do what was asked."""


class RepositoryUnusable(StoreError):
    """Raised when a folder cannot serve as data repository; says what was found and what to do."""


class RepositoryLocked(StoreError):
    """Raised when another process writes the repository.

    Args:
        path: The repository.
        holder: Process id of the holder, where known.
    """

    def __init__(self, path: str, holder: int | None) -> None:
        self.path, self.holder = path, holder
        who = f"process {holder}" if holder else "another process"
        super().__init__(f"{path}: {who} already writes this repository; stop it first")


class CommitFailed(StoreError):
    """Raised when a change-set is not (yet) in the history."""


class PushFailed(StoreError):
    """Raised when commits could not be brought to the remote."""


class HistoryRefused(StoreError):
    """Raised when a change would alter what is immutable, or comes from a foreign history.

    Args:
        path: The path concerned, or the remote.
        problem: What was about to happen and what is allowed.
    """

    def __init__(self, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path}: {problem}")


class IndexUnavailable(StoreError):
    """Raised when the index of regimes cannot answer or take rows now; it is derived, nothing is lost.

    Args:
        where: The file, or the server's URL without its password.
        problem: What happened and what to do.
    """

    def __init__(self, where: str, problem: str) -> None:
        self.where, self.problem = where, problem
        super().__init__(f"index {where}: {problem}")


class IndexChanged(IndexUnavailable):
    """Raised when a series is not what the caller goes by any more; ask for its state again."""


class NotifyFailed(RegimedError):
    """Raised when a channel did not take a notice now.

    Args:
        problem: What happened, without any secret.
        wait_s: Seconds before the channel may be tried again; None leaves it to the outbox.
    """

    def __init__(self, problem: str, wait_s: float | None = None) -> None:
        self.wait_s = wait_s
        super().__init__(problem)


class NotifyRefused(RegimedError):
    """Raised when a channel will never take a notice as it is: it must not be sent again."""
