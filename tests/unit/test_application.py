"""What the application must change, in TypeScript and for curl: run against a server that answers as Qdrant does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changeover.embed.model import SparseSpec
from changeover.plan import model as pm
from changeover.plan.application import LANGUAGES, diff, undone
from changeover.quality.trials import SearchSetting
from tests.unit.surveys import NEW, answers, survey
from tests.unit.test_plan import after, plan_of

NODE, JQ, BASH = shutil.which("node"), shutil.which("jq"), shutil.which("bash")
needs_node = pytest.mark.skipif(NODE is None, reason="there is no node on this machine")
needs_shell = pytest.mark.skipif(BASH is None or JQ is None, reason="there is no bash or no jq on this machine")
BOTH = plan_of(survey(version="1.17.1"), answers(model=msgspec.structs.replace(NEW, query_prefix="query: ")))
ENDS = {"with_payload": True, "limit": 10}
SERVER = """
const asked = [];
const embed = async (model, text) => [model, text];
const embedTokens = async (model, text) => [[model, text]];
const terms = async (text) => ({ indices: [1], values: [text.length] });
const client = { query: async (name, body) => {
  asked.push([name, body]);
  if (FITS && body.query[0] !== FITS) throw Object.assign(new Error("Bad Request"), { status: STATUS });
  return { points: body.query };
} };
"""
SHELL = """
export QDRANT_URL=http://q QDRANT_API_KEY=k
embed() { jq -nc --arg a "$1" --arg b "$2" '[$a, $b]'; }
embed_tokens() { jq -nc --arg a "$1" --arg b "$2" '[[$a, $b]]'; }
terms() { echo '{"indices": [1], "values": [1.0]}'; }
curl() {
  local file=/dev/stdout; local url=
  while [ $# -gt 0 ]; do case $1 in -o) file=$2; shift;; http*) url=$1;; esac; shift; done
  body=$(cat); echo "$url $(jq -c . <<<"$body")" >> asked
  jq -c .query <<<"$body" > "$file"
  [ -z "$FITS" ] || { [ "$(jq -r '.query[0]' <<<"$body")" = "$FITS" ] && echo -n 200 || echo -n 400; }
}
"""


def types_gone(text: str) -> str:
    """TypeScript as JavaScript: the few annotations that these lines have."""
    return re.sub(r": (string|any|number\[\]\[\]|number\[\])(?=[,)= ])", "", text)


def by_node(text: str, more: str, tmp_path: Path, *, fits: str = "", status: int = 400, vector: str = "") -> list[Any]:
    file = tmp_path / "application.mjs"
    head = f"const FITS = {json.dumps(fits)}, STATUS = {status};"
    end = "console.log(JSON.stringify([typeof found === 'undefined' ? null : found, asked]));"
    server = SERVER.replace("[model, text];", f"{vector or '[model, text]'};", 1)
    file.write_text("\n".join([head, server, types_gone(text), more, end]))
    assert NODE is not None
    done = subprocess.run([NODE, str(file)], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def by_shell(text: str, more: str, tmp_path: Path, *, fits: str = "") -> tuple[str, list[tuple[str, Any]]]:
    assert BASH is not None
    script = "\n".join([f"FITS={fits}", SHELL, text, more])
    done = subprocess.run([BASH, "-euc", script], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    asked = [line.split(" ", 1) for line in (tmp_path / "asked").read_text().splitlines()]
    return done.stdout, [(url, json.loads(body)) for url, body in asked]


@needs_node
@pytest.mark.parametrize(("fits", "found"), [("wordllama", ["wordllama", "x"]), ("minilm", ["minilm", "query: x"])])
def test_in_typescript_one_build_serves_before_and_after_the_swap(fits: str, found: list[str], tmp_path: Path) -> None:
    text = after(BOTH.application_in["typescript"])
    got, asked = by_node(text, "await search('x'); const found = await search('x');", tmp_path, fits=fits)
    assert got == found
    assert len(asked) == (2 if fits == "wordllama" else 3), "the side that fitted last is asked first"
    assert {name for name, _ in asked} == {"docs"}


@needs_node
def test_in_typescript_another_error_is_not_taken_for_the_other_side(tmp_path: Path) -> None:
    text = after(BOTH.application_in["typescript"])
    more = "let found = ''; try { await search('x'); } catch (error) { found = error.message; }"
    got, asked = by_node(text, more, tmp_path, fits="neither", status=503)
    assert (got, len(asked)) == ("Bad Request", 1)


@needs_shell
@pytest.mark.parametrize(("fits", "found"), [("wordllama", ["wordllama", "x"]), ("minilm", ["minilm", "query: x"])])
def test_with_curl_one_script_serves_before_and_after_the_swap(fits: str, found: list[str], tmp_path: Path) -> None:
    said, asked = by_shell(after(BOTH.application_in["curl"]), "search x", tmp_path, fits=fits)
    assert json.loads(said) == found
    assert {url for url, _ in asked} == {"http://q/collections/docs/points/query"}


def job(make: pm.Make, **changes: Any) -> pm.Job:
    model = msgspec.structs.replace(NEW, query_prefix="q: ")
    base = msgspec.structs.replace(plan_of(survey()).job, target_vector=make.vector, makes=(make,), model=model)
    return msgspec.structs.replace(base, **changes)


CUT = pm.FromVector(vector="short", source="text", dimension=1, distance="Dot", method="leading")
BM25 = pm.FromTerms(vector="words", encoder=SparseSpec(encoder="server-bm25", average_length=31.5))
LOCAL = pm.FromTerms(vector="words", encoder=SparseSpec(encoder="local-bm25"))
NEW_MAKE = pm.FromText(vector="new", dimension=2)
DENSE = {"query": ["minilm", "q: x"], "using": "new"}
DOCUMENT = {"text": "x", "model": "qdrant/bm25", "options": {"language": "english", "avg_len": 31.5}}
CASES: dict[str, tuple[pm.Job, SearchSetting | None, dict[str, Any]]] = {
    "dense": (job(NEW_MAKE), None, DENSE | ENDS),
    "tokens": (
        job(pm.FromText(vector="new", dimension=2, multi=True)),
        None,
        {"query": [["minilm", "q: x"]], "using": "new"} | ENDS,
    ),
    "server": (
        job(NEW_MAKE, model=msgspec.structs.replace(NEW, provider="qdrant", query_prefix="q: ")),
        None,
        {"query": {"text": "q: x", "model": "minilm"}, "using": "new"} | ENDS,
    ),
    "cut": (job(CUT), None, {"query": ["wordllama"], "using": "short"} | ENDS),
    "bm25": (
        job(NEW_MAKE, makes=(NEW_MAKE, BM25)),
        None,
        {
            "prefetch": [DENSE | {"limit": 50}, {"query": DOCUMENT, "using": "words", "limit": 50}],
            "query": {"fusion": "rrf"},
        }
        | ENDS,
    ),
    "local-bm25": (
        job(NEW_MAKE, makes=(NEW_MAKE, LOCAL)),
        None,
        {
            "prefetch": [
                DENSE | {"limit": 50},
                {"query": {"indices": [1], "values": [1]}, "using": "words", "limit": 50},
            ],
            "query": {"fusion": "rrf"},
        }
        | ENDS,
    ),
    "storage": (
        job(NEW_MAKE),
        SearchSetting(rescore=True, oversampling=2.0, recall=1.0),
        DENSE | {"params": {"quantization": {"rescore": True, "oversampling": 2.0}}} | ENDS,
    ),
}


@needs_node
@needs_shell
@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_search_sends_the_same_body_in_both(case: str, tmp_path: Path) -> None:
    made, setting, body = CASES[case]
    text = after(diff(made, setting=setting, language="typescript"))
    _, [[name, sent]] = by_node(f"const text = 'x';\n{text}", "", tmp_path)
    assert (name, sent) == ("docs", body)
    _, [(url, sent)] = by_shell(f"text=x\n{after(diff(made, setting=setting, language='curl'))}", "", tmp_path)
    assert (url, sent) == ("http://q/collections/docs/points/query", body)


@needs_node
@needs_shell
def test_a_query_is_turned_by_the_same_matrix_in_both(tmp_path: Path) -> None:
    (tmp_path / "matrix.json").write_text("[[1, 0], [0, 0.75], [5, 0]]")
    made = job(msgspec.structs.replace(CUT, dimension=2, distance="Cosine", method="pca"))
    text = after(diff(made, language="typescript"))
    _, [[_, sent]] = by_node(f"const text = 'x';\n{text}", "", tmp_path, vector="[4, 4, 0]")
    assert sent["query"] == pytest.approx([0.8, 0.6])
    own = "embed() { echo '[4, 4, 0]'; }\ntext=x"
    _, [(_, sent)] = by_shell(f"{own}\n{after(diff(made, language='curl'))}", "", tmp_path)
    assert sent["query"] == pytest.approx([0.8, 0.6])


@needs_shell
@settings(max_examples=10, deadline=None)
@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12))
def test_foreign_names_are_neither_code_of_the_shell_nor_of_a_here_document(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    folder = tmp_path_factory.mktemp("shell")
    made = job(pm.FromText(vector=name, dimension=2), model=msgspec.structs.replace(NEW, name=name, query_prefix=name))
    _, [(_, sent)] = by_shell(f"text=x\n{after(diff(made, language='curl'))}", "", folder)
    assert sent == {"query": [made.model.label, f"{name}x"], "using": name} | ENDS  # type: ignore[union-attr]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_diff_taken_back_is_the_other_way_round(language: str) -> None:
    _, file, comment = LANGUAGES[language]
    text = diff(BOTH.job, "docs", language=language)
    back = undone(text)
    assert f"+++ {file}  {comment} deploy this when the run has ended" in back
    removed = [line[1:] for line in text.splitlines()[2:] if line.startswith("-")]
    assert [line[1:] for line in back.splitlines()[2:] if line.startswith("+")] == removed
