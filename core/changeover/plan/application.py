"""What the application must change, as a unified diff of its query call."""

from __future__ import annotations

import difflib

from changeover.plan.model import Job
from changeover.survey.model import Survey


def diff(survey: Survey, job: Job) -> str:
    """A unified diff in Python for qdrant-client; for blue-green the build that speaks both models."""
    before = _query(job.name_in_use, _old_model(job), job.source_vector)
    if job.mode == "in-place":
        after = _query(job.name_in_use, job.model.label, job.target_vector)
        note = "deploy this at the cutover; until the sweep has ended, write both vectors"
    else:
        after = _both(job, survey)
        note = "deploy this before the cutover: it goes with whatever the alias serves"
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "application.py", f"application.py  # {note}", lineterm="", n=3
    )
    return "\n".join(lines) + "\n"


def _query(name: str, model: str, using: str) -> str:
    vector = [f'    using="{using}",'] if using else []
    return "\n".join(
        [
            f'MODEL = "{model}"',
            "",
            "points = client.query_points(",
            f'    collection_name="{name}",',
            "    query=embed(MODEL, text),",
            *vector,
            "    limit=10,",
            ").points",
        ]
    )


def _both(job: Job, survey: Survey) -> str:
    name = job.name_in_use if job.name_in_use != job.source else f"{survey.collection}_live"
    old_using = f'"{job.source_vector}"' if job.source_vector else "None"
    new_using = f'"{job.target_vector}"' if job.target_vector else "None"
    return "\n".join(
        [
            f'OLD = ("{_old_model(job)}", {old_using})',
            f'NEW = ("{job.model.label}", {new_using})',
            "",
            "",
            "def search(text, sides=[OLD, NEW]):",
            "    for model, using in list(sides):",
            "        try:",
            "            return client.query_points(",
            f'                collection_name="{name}",',
            "                query=embed(model, text),",
            "                using=using,",
            "                limit=10,",
            "            ).points",
            "        except UnexpectedResponse as error:",
            "            if error.status_code != 400:",
            "                raise",
            "            sides.reverse()  # the alias was swapped: the other side serves now",
            '    raise RuntimeError("neither model fits the collection")',
        ]
    )


def _old_model(job: Job) -> str:
    return job.old_model.label if job.old_model else "the old model"
