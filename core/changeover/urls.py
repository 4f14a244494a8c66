"""Where a person may put a key without meaning to: a URL, or the place of its variable's name. Pure."""

from __future__ import annotations

import re

_PLAIN_HOST = re.compile(r"(\[[^\]@]*\]|[^\[\]:@]*)(:\d*)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def may_hold_secret(url: str) -> bool:
    """Whether it has a user name, a password, a query string or a fragment: places that hold keys."""
    rest = url.partition("://")[2] or url
    host = rest.partition("/")[0]
    # A password may hold a slash: then the host seems to end within it, in what is no port.
    return "?" in url or "#" in url or "@" in host or ("@" in rest and not _PLAIN_HOST.fullmatch(host))


def is_variable(name: str) -> bool:
    """Whether an environment variable can have this name, as shells have them; most keys cannot be one."""
    return _VARIABLE.fullmatch(name) is not None
