"""The application's query call for curl: shell functions whose body is a here-document."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import quote

from changeover.embed.model import SparseSpec
from changeover.plan.body import Code, Language, bm25_options, body, lines, quoted
from changeover.plan.searched import Dense, Searched
from changeover.quality.reduction import normalises

HEADERS = '-H "api-key: $QDRANT_API_KEY" -H "Content-Type: application/json"'


def call(name: str, searched: Searched) -> list[str]:
    """One search through that name; `embed MODEL TEXT` prints a vector as JSON."""
    return [*setup(searched), f"curl -sS {_url(name)} \\", f"  {HEADERS} --data-binary @- <<JSON", *_body(searched)]


def both(name: str, old: Searched, new: Searched) -> list[str]:
    """A search that fits whichever side serves: the other one answers 400 to a wrong dimension or vector name."""
    sides = []
    for label, side in (("by_old", old), ("by_new", new)):
        sides += [f"{label}() {{ cat <<JSON", *_body(side), "}", ""]
    return [
        *setup(old),
        *setup(new),
        *sides,
        "search() {",
        "  text=$1",
        "  for side in by_new by_old; do",
        "    code=$($side | curl -sS -o answer.json -w '%{http_code}' \\",
        f"      {_url(name)} \\",
        f"      {HEADERS} --data-binary @-)",
        '    [ "$code" = 400 ] || break # else: another dimension or vector name, the other side serves',
        "  done",
        "  cat answer.json",
        "}",
    ]


def setup(searched: Searched) -> list[str]:
    """Lines that stand before the call."""
    made = []
    terms = searched.terms
    told = searched.dense.way == "server" or bool(searched.text_field)
    if told or (terms is not None and terms.encoder.encoder == "server-bm25"):
        made.append("json() { jq -n --arg text \"$1\" '$text'; }")
    if terms is not None and terms.encoder.encoder != "server-bm25":
        made.append(
            f'# terms TEXT prints {{"indices": [...], "values": [...]}} of the documents\' encoder: {terms.encoder.label}'
        )
    cut = searched.dense.shorter
    if cut is None:
        return made
    norm = " | (map(. * .) | add | sqrt) as $length | map(. / $length)" if normalises(cut.distance) else ""
    if cut.method == "leading":
        return [*made, f"shorter() {{ jq -c '.[:{cut.dimension}]{norm}'; }}"]
    return [
        *made,
        '# once, in Python: json.dump(np.load("matrix.npz")["matrix"].tolist(), open("matrix.json", "w"))',
        "shorter() { jq -c --slurpfile matrix matrix.json '. as $query | $matrix[0] | transpose"
        f" | map([., $query] | transpose | map(.[0] * .[1]) | add){norm}'; }}",
    ]


def _url(name: str) -> str:
    return f'"$QDRANT_URL/collections/{quote(name, safe="")}/points/query"'


def _body(searched: Searched) -> list[str]:
    return [*lines(body(searched, LANGUAGE), LANGUAGE), "JSON"]


def _text(prefix: str) -> str:
    return f'{shlex.quote(prefix)}"$text"' if prefix else '"$text"'


def _dense(dense: Dense) -> Any:
    if dense.way == "server":
        return {"text": Code(f"$(json {_text(dense.prefix)})"), "model": dense.model}
    embed = "embed_tokens" if dense.way == "tokens" else "embed"
    cut = " | shorter" if dense.shorter is not None else ""
    return Code(f"$({embed} {shlex.quote(dense.model)} {_text(dense.prefix)}{cut})")


def _terms(encoder: SparseSpec) -> Any:
    if encoder.encoder == "server-bm25":
        return {"text": Code('$(json "$text")'), "model": "qdrant/bm25", "options": bm25_options(encoder)}
    return Code('$(terms "$text")')


def _literal(value: Any) -> str:
    """As JSON; what a here-document would expand is escaped."""
    return quoted(value).replace("\\", "\\\\").replace("$", "\\$").replace("`", "\\`")


LANGUAGE = Language(dense=_dense, terms=_terms, text=Code('$(json "$text")'), key=quoted, value=_literal)
