"""What the sandbox refuses, with the status and text of the real servers."""

from __future__ import annotations

import re

NOT_A_VECTOR = "data did not match any variant of untagged enum VectorStruct"
NO_QUERY = "Expected some form of vector, id, or a type of query"
"""What 1.17.1 to 1.19.0 answer to a query by words (measured)."""


class Refused(Exception):
    """An answer other than 200: `status`, `text`, and whether it is plain text; an empty plain text is an empty body.

    `late` marks what a server notices only while it applies the update: with wait=false its sender never hears of it.
    """

    def __init__(
        self, status: int, text: str, *, plain: bool = False, retry_after: int | None = None, late: bool = False
    ) -> None:
        self.status = status
        self.text = text
        self.plain = plain
        self.retry_after = retry_after
        self.late = late
        super().__init__(f"{status} {text}")


def no_route() -> Refused:
    """What a path answers that the generation does not have (measured: 404 with an empty body)."""
    return Refused(404, "", plain=True)


def no_collection(name: str) -> Refused:
    """The collection is missing."""
    return Refused(404, f"Not found: Collection `{name}` doesn't exist!")


def no_point(point: int | str) -> Refused:
    """A point to update is missing."""
    return Refused(404, f"Not found: No point with id {point} found", late=True)


def no_vector(name: str) -> Refused:
    """The vector name is missing."""
    return Refused(400, f"Wrong input: Not existing vector name error: {name}", late=True)


def wrong_size(expected: int, got: int, suffix: str = "", *, late: bool = True) -> Refused:
    """The vector has another size than the collection's."""
    text = f"Wrong input: Vector dimension error: expected dim: {expected}, got {got}{suffix}"
    return Refused(400, text, late=late)


def malformed(detail: str) -> Refused:
    """The JSON body is not what the call takes."""
    return Refused(400, f"Format error in JSON body: {detail}")


def invalid(where: str, detail: str) -> Refused:
    """The body parses and breaks a rule (422)."""
    return Refused(422, f"Validation error in {where}: [{detail}]")


CORE_TEXTS: tuple[tuple[str, int, str], ...] = (
    (r"^No point with id (\S+)", 404, "Not found: No point with id {0} found"),
    (r"^((?:Not existing vector name|Vector dimension) error.*)", 400, "Wrong input: {0}"),
    (r"^(Wrong usage of (?:sparse|multi) vectors.*)", 400, "Wrong input: {0}"),
    (r"^(No (?:range index|appropriate index).*)", 400, "Wrong input: {0}"),
    (r"^Validation failed: (.*)", 400, "Bad request: {0}"),
    (r"^((?:.|\n)*)", 500, "Service internal error: {0}"),
)
"""Pattern of a core exception's text -> status and text of the server's answer; the first that matches counts."""


def from_core(error: Exception) -> Refused:
    """The server's answer to an exception of the core."""
    text = str(error)
    for pattern, status, answer in CORE_TEXTS:
        found = re.match(pattern, text)
        if found:
            return Refused(status, answer.format(*found.groups()), late=True)
    raise AssertionError("the last pattern matches everything")
