"""Known faults of server versions: one check for each entry of `cluster/advisories.toml`.

An advisory speaks when the lowest version of the peers lies in its range and the survey and the answers make it matter.
"""

from __future__ import annotations

from collections.abc import Callable

from changeover.checks import way
from changeover.checks.base import Check, Run
from changeover.checks.model import Finding, Probes
from changeover.cluster.advisories import Advisory, Concern, load
from changeover.decision.answers import Answers
from changeover.routes.job import server_version, vector_settings
from changeover.survey.model import Survey


def _adds_in_place(survey: Survey, answers: Answers) -> bool:
    return way.intended(survey, answers) == "in-place" and way.writes_points(answers)


def _adds_beside_writers(survey: Survey, answers: Answers) -> bool:
    return _adds_in_place(survey, answers) and answers.writers != "none"


def _adds_to_disk(survey: Survey, answers: Answers) -> bool:
    old = way.old(survey, answers)
    wanted = old is not None and bool(vector_settings(old, answers.vector.on_disk).get("on_disk"))
    return _adds_in_place(survey, answers) and wanted and not way.adds_sparse(answers)


def _removes_vector(survey: Survey, answers: Answers) -> bool:
    return _adds_in_place(survey, answers) and answers.cleanup != "keep"


def _makes_collection(survey: Survey, answers: Answers) -> bool:
    return way.intended(survey, answers) == "blue-green"


def _swaps_alias(survey: Survey, answers: Answers) -> bool:
    return _makes_collection(survey, answers) and answers.cutover != "never"


def _dual_writes(survey: Survey, answers: Answers) -> bool:
    return answers.writers == "dual" and way.writes_points(answers)


def _turbo_datatype(survey: Survey, answers: Answers) -> bool:
    return any((vector.datatype or "").startswith("turbo") for vector in survey.vectors)


def _hides_unoptimized(survey: Survey) -> bool:
    return bool((survey.config.get("optimizer_config") or {}).get("prevent_unoptimized"))


def _prevents_unoptimized(survey: Survey, answers: Answers) -> bool:
    return _hides_unoptimized(survey) and way.writes_points(answers)


def _multi_unoptimized(survey: Survey, answers: Answers) -> bool:
    several = way.multi(answers) or any(vector.kind == "multi" for vector in survey.vectors)
    return _prevents_unoptimized(survey, answers) and several


def _custom_shards(survey: Survey, answers: Answers) -> bool:
    return survey.shards.method == "custom"


def _is_red(survey: Survey, answers: Answers) -> bool:
    return survey.state.color == "red"


CONCERNS: dict[Concern, Callable[[Survey, Answers], bool]] = {
    "adds-in-place": _adds_in_place,
    "adds-beside-writers": _adds_beside_writers,
    "adds-to-disk": _adds_to_disk,
    "removes-vector": _removes_vector,
    "makes-collection": _makes_collection,
    "swaps-alias": _swaps_alias,
    "dual-writes": _dual_writes,
    "turbo-datatype": _turbo_datatype,
    "prevents-unoptimized": _prevents_unoptimized,
    "multivectors-unoptimized": _multi_unoptimized,
    "custom-shards": _custom_shards,
    "is-red": _is_red,
}
"""What survey and answers must be like for an advisory to matter."""


def _run(advisory: Advisory) -> Run:
    def run(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
        version = server_version(survey)
        if not advisory.covers(version) or not CONCERNS[advisory.concerns](survey, answers):
            return None
        return Finding(
            code=advisory.code,
            severity=advisory.severity,
            title=advisory.title,
            measured=version,
            limit=f"fixed in {advisory.fixed}" if advisory.fixed else "no version without it is known",
            consequence=advisory.happens,
            remedy=advisory.remedy,
            source=advisory.source,
        )

    return run


def _check(advisory: Advisory) -> Check:
    return Check(
        code=advisory.code,
        looks_at=f"not met here: {advisory.title}",
        run=_run(advisory),
        explain=advisory.explain,
    )


CHECKS = tuple(_check(advisory) for advisory in load())
