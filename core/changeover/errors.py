"""Errors that reach a person: one line that says what is wrong, where, and what to do; and the exit codes."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the `changeover` command."""

    DONE = 0
    BUG = 1
    USAGE = 2
    UNREACHABLE = 3
    BLOCKED = 4
    UNVERIFIED = 5
    STOPPED = 6
    INTERRUPTED = 130


EXIT_MEANING: dict[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.BUG: "a bug in Changeover; please report it",
    ExitCode.USAGE: "the command, an answer or a file was not understood",
    ExitCode.UNREACHABLE: "the cluster or model could not be reached, or refused the key",
    ExitCode.BLOCKED: "a finding blocks the plan, or was not acknowledged",
    ExitCode.UNVERIFIED: "verification or the quality gate failed; nothing was cut over",
    ExitCode.STOPPED: "stopped by a person; `changeover resume` goes on",
    ExitCode.INTERRUPTED: "interrupted",
}


class ChangeoverError(Exception):
    """An expected failure: `str(error)` is one clear line for a person, `exit_code` is the command's exit code."""

    exit_code: ExitCode = ExitCode.BUG


class UsageError(ChangeoverError):
    """The command, an answer or a file is not what it should be."""

    exit_code = ExitCode.USAGE


class UnreachableError(ChangeoverError):
    """The cluster or the model endpoint cannot be reached, or refuses the key."""

    exit_code = ExitCode.UNREACHABLE


class AwayError(UnreachableError):
    """The model's endpoint gave no answer, or none that helps, however often it was asked; it may come back."""


class BlockedError(ChangeoverError):
    """A finding, a lock or a changed cluster forbids going on."""

    exit_code = ExitCode.BLOCKED


class UnverifiedError(ChangeoverError):
    """Verification or the quality gate failed."""

    exit_code = ExitCode.UNVERIFIED


class BudgetError(BlockedError):
    """The sum that may be spent on the model is spent; the run can be resumed with a larger one."""


class StoppedError(ChangeoverError):
    """A person asked the engine to stop; the run can be resumed."""

    exit_code = ExitCode.STOPPED
