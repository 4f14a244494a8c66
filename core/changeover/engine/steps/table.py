"""Step kind -> the function that runs it: `(context, step) -> one line of what was done`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from changeover.engine import shards
from changeover.engine.context import Context
from changeover.engine.steps import (
    converge,
    cutover,
    evaluate,
    load,
    matrix,
    offline,
    removal,
    schema,
    snapshot,
    storage,
    verify,
    wait_green,
    way_back,
)
from changeover.plan import model as plan

StepFunction = Callable[[Context, Any], Awaitable[str]]

STEPS: dict[type, StepFunction] = {
    plan.CreateCollection: schema.create_collection,
    plan.CreateShardKeys: shards.create_shard_keys,
    plan.CreateIndexes: schema.create_indexes,
    plan.AddVector: schema.add_vector,
    plan.PatchVector: schema.patch,
    plan.PauseIndexing: schema.patch,
    plan.RestoreIndexing: schema.patch,
    plan.WriteMetadata: schema.write_metadata,
    plan.FitMatrix: matrix.fit_matrix,
    plan.Load: load.load,
    plan.CatchUp: converge.catch_up,
    plan.WaitGreen: wait_green.wait_green,
    plan.Verify: verify.verify,
    plan.Evaluate: evaluate.evaluate,
    plan.AwaitCutover: cutover.await_cutover,
    plan.SwapAlias: cutover.swap_alias,
    plan.SwitchApplication: cutover.switch_application,
    plan.Sweep: converge.sweep,
    plan.ChangeStorage: storage.change,
    plan.MeasureStorage: storage.measure,
    plan.CreateTextIndex: schema.create_text_index,
    plan.TakeSnapshot: snapshot.take_snapshot,
    plan.ReplaceByAlias: offline.replace_by_alias,
    plan.CountLacking: way_back.count_lacking,
    plan.OpenWayBack: way_back.open_way_back,
    plan.DropCollection: removal.drop_collection,
    plan.DropVector: removal.drop_vector,
}
