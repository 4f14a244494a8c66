"""The application's query call in TypeScript, for @qdrant/js-client-rest."""

from __future__ import annotations

from typing import Any

from changeover.embed.model import SparseSpec
from changeover.plan.body import Code, Language, bm25_options, body, lines, quoted
from changeover.plan.searched import Dense, Searched
from changeover.quality.reduction import normalises


def call(name: str, searched: Searched) -> list[str]:
    """One search through that name."""
    [first, *rest] = lines(body(searched, LANGUAGE), LANGUAGE)
    return [*setup(searched), f"const {{ points }} = await client.query({quoted(name)}, {first}", *rest[:-1], "});"]


def both(name: str, old: Searched, new: Searched) -> list[str]:
    """A search that fits whichever side serves: the other one answers 400 to a wrong dimension or vector name."""
    sides = []
    for side in (old, new):
        [first, *rest] = lines(body(side, LANGUAGE), LANGUAGE, 1)
        sides += [f"  async (text: string) => ({first}", *rest[:-1], "  }),"]
    return [
        *setup(old),
        *setup(new),
        "const sides = [",
        *sides,
        "]; // the one that fitted last stands first",
        "",
        "const otherSideServes = (error: any) =>",
        '  error?.status === 400 || String(error).includes("Unexpected Response: 400");',
        "",
        "async function search(text: string) {",
        "  for (const side of [...sides]) {",
        "    const asked = await side(text);",
        "    try {",
        f"      const {{ points }} = await client.query({quoted(name)}, asked);",
        "      sides.sort((one, other) => Number(other === side) - Number(one === side));",
        "      return points;",
        "    } catch (error) {",
        "      if (!otherSideServes(error)) throw error; // else: another dimension or vector name",
        "    }",
        "  }",
        '  throw new Error("neither model fits the collection");',
        "}",
    ]


def setup(searched: Searched) -> list[str]:
    """Lines that stand before the call."""
    made = []
    if searched.terms is not None and searched.terms.encoder.encoder != "server-bm25":
        encoder = searched.terms.encoder
        made += [
            f"// terms(text) returns {{ indices, values }} of the encoder that made the documents' terms: {encoder.label},",
            f"// {encoder.language}. It is a Python library: ask a small service of yours for them.",
        ]
    cut = searched.dense.shorter
    if cut is None:
        return made
    if cut.method == "leading":
        made += ["const shorter = (query: number[]) => {", f"  const cut = query.slice(0, {cut.dimension});"]
    else:
        made += [
            '// once, in Python: json.dump(np.load("matrix.npz")["matrix"].tolist(), open("matrix.json", "w"))',
            'import { readFileSync } from "node:fs";',
            "",
            'const MATRIX: number[][] = JSON.parse(readFileSync("matrix.json", "utf8"));',
            "const shorter = (query: number[]) => {",
            "  const cut = MATRIX[0].map((_, to) => query.reduce((sum, x, from) => sum + x * MATRIX[from][to], 0));",
        ]
    if normalises(cut.distance):
        made += ["  const length = Math.hypot(...cut);", "  return cut.map((x) => x / length);", "};", ""]
    else:
        made += ["  return cut;", "};", ""]
    return made


def _dense(dense: Dense) -> Any:
    text = f"{quoted(dense.prefix)} + text" if dense.prefix else "text"
    if dense.way == "server":
        return {"text": Code(text), "model": dense.model}
    embedded = f"await {'embedTokens' if dense.way == 'tokens' else 'embed'}({quoted(dense.model)}, {text})"
    return Code(f"shorter({embedded})" if dense.shorter is not None else embedded)


def _terms(encoder: SparseSpec) -> Any:
    if encoder.encoder == "server-bm25":
        return {"text": Code("text"), "model": "qdrant/bm25", "options": bm25_options(encoder)}
    return Code("await terms(text)")


LANGUAGE = Language(dense=_dense, terms=_terms, text=Code("text"), key=str, value=quoted)
