"""A scratch index on this machine: points of the sample in Qdrant's own core, in a process and a folder that go again.

The core holds Python's lock while it builds, so it must not run in the process that draws the screen. It is one version
of the core (that of the qdrant-edge-py installed here), whichever the servers have.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from changeover.embed.bm25 import edge
from changeover.errors import ChangeoverError, UsageError
from changeover.quality.trials import SearchSetting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.float32] | NDArray[np.int64]]

TOP = 10
NICE = 10
AT_ONCE = 200
"""Points handed to the core in one operation."""
FULL_SCAN_KB = 10
"""The least that the core takes: a sample is to be searched by the graph, as the whole collection is."""
INDEX_FROM_KB = 1
"""Scalar and product quantization exist only in indexed segments."""
KILL_WITH_PARENT = 1
"""PR_SET_PDEATHSIG."""
INPUT, TASK = "input.npz", "task.json"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What is built and asked. The arrays beside it: `dense` (n, size), `asked` (queries, size), both float32; with
    `multi_size` also `tokens` (all tokens, multi_size) and `counts` int64 (n,), tokens per point."""

    size: int
    distance: str
    datatype: str | None = None
    hnsw: dict[str, int] = {}
    """`m` and `ef_construct`; the core's own where they are missing."""
    quantization: dict[str, Any] | None = None
    settings: tuple[tuple[bool, float | None], ...] = ()
    """(rescore, oversampling) to measure recall@10 with."""
    rounds: int = 0
    """How often every query is timed."""
    multi_size: int | None = None
    multi_distance: str = "Cosine"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What the scratch index gave."""

    indexed: int
    """Points in the graph or, without one, in the quantized segment."""
    default: float = 0.0
    """Recall@10 against exact search with default search parameters."""
    settings: tuple[SearchSetting, ...] = ()
    median_ms: float | None = None


async def measure(task: Task, arrays: Arrays, seconds: float) -> Measured:
    """Build the index in a child process, ask it, remove everything.

    Raises UsageError where qdrant-edge-py is not installed, ChangeoverError in one line when the core refuses, or when
    it takes longer than `seconds`. A cancelled caller ends the child too.
    """
    edge("A trial on a sample")
    with tempfile.TemporaryDirectory(prefix="changeover-trial-") as name:
        folder = Path(name)
        await _to_the_end(asyncio.to_thread(_write, folder, task, arrays))
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "changeover.survey.trials.scratch",
            str(folder),
            str(os.getpid()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            said, complaint = await asyncio.wait_for(child.communicate(), seconds)
        except TimeoutError:
            raise ScratchError(
                f"the scratch index was not ready after {seconds:.0f} s on this machine; another kind builds faster"
            ) from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
    if child.returncode != 0:
        lines = complaint.decode(errors="replace").strip().splitlines()
        raise ScratchError(f"the scratch index failed: {lines[-1] if lines else f'it ended with {child.returncode}'}")
    return msgspec.json.decode(said, type=Measured)


async def _to_the_end(work: Awaitable[None]) -> None:
    """Wait also when the caller is cancelled: a thread goes on writing into a folder that is about to be removed."""
    under_way = asyncio.ensure_future(work)
    try:
        await asyncio.shield(under_way)
    except asyncio.CancelledError:
        await asyncio.wait([under_way])
        raise


class ScratchError(ChangeoverError):
    """The scratch index could not be built or asked."""

    exit_code = UsageError.exit_code


def _write(folder: Path, task: Task, arrays: Arrays) -> None:
    import numpy as np

    np.savez(folder / INPUT, **cast("dict[str, Any]", dict(arrays)))
    (folder / TASK).write_bytes(msgspec.json.encode(task))


def _built(module: Any, folder: Path, task: Task, arrays: Arrays) -> Any:
    """The shard with all points, optimised into one indexed segment."""
    shard = module.EdgeShard.create(str(folder / "shard"), _config(module, task))
    dense = arrays["dense"]
    ends = arrays["counts"].cumsum() if task.multi_size else None
    for begin in range(0, len(dense), AT_ONCE):
        points = []
        for row in range(begin, min(begin + AT_ONCE, len(dense))):
            vectors: dict[str, Any] = {"dense": dense[row].tolist()}
            if ends is not None:
                start = int(ends[row - 1]) if row else 0
                vectors["multi"] = arrays["tokens"][start : int(ends[row])].tolist()
            points.append(module.Point(row, vectors, {}))
        shard.update(module.UpdateOperation.upsert_points(points))
    shard.optimize()
    return shard


def _config(module: Any, task: Task) -> Any:
    distances = {name: getattr(module.Distance, name) for name in ("Cosine", "Dot", "Euclid", "Manhattan")}
    datatypes = {"float16": module.VectorStorageDatatype.Float16, "uint8": module.VectorStorageDatatype.Uint8}
    vectors = {
        "dense": module.EdgeVectorParams(
            size=task.size,
            distance=distances[task.distance],
            datatype=datatypes.get(task.datatype or ""),
            quantization_config=quantization(module, task.quantization),
        )
    }
    if task.multi_size:
        # Without a graph of its own, as late-interaction vectors are kept for rescoring.
        vectors["multi"] = module.EdgeVectorParams(
            size=task.multi_size,
            distance=distances[task.multi_distance],
            multivector_config=module.MultiVectorConfig(module.MultiVectorComparator.MaxSim),
            hnsw_config=module.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=FULL_SCAN_KB),
        )
    return module.EdgeConfig(
        vectors=vectors,
        hnsw_config=module.HnswIndexConfig(
            m=task.hnsw.get("m", 16),
            ef_construct=task.hnsw.get("ef_construct", 100),
            full_scan_threshold=FULL_SCAN_KB,
        ),
        optimizers=module.EdgeOptimizersConfig(indexing_threshold=INDEX_FROM_KB, default_segment_number=1),
    )


def quantization(module: Any, config: Mapping[str, Any] | None) -> Any:
    """A REST `quantization_config` as the core takes it, kept in memory; None for none."""
    if not config:
        return None
    family, options = next(iter(config.items()))
    options = options or {}
    if family == "scalar":
        return module.ScalarQuantizationConfig(module.ScalarType.Int8, options.get("quantile"), True)
    if family == "product":
        return module.ProductQuantizationConfig(
            getattr(module.CompressionRatio, options["compression"].capitalize()), True
        )
    if family == "binary":
        encodings = module.BinaryQuantizationEncoding
        encoding = {"two_bits": encodings.TwoBits, "one_and_half_bits": encodings.OneAndHalfBits}
        asking = module.BinaryQuantizationQueryEncoding
        queries = {"binary": asking.Binary, "scalar4bits": asking.Scalar4Bits, "scalar8bits": asking.Scalar8Bits}
        return module.BinaryQuantizationConfig(
            True, encoding.get(str(options.get("encoding"))), queries.get(str(options.get("query_encoding")))
        )
    bits = getattr(module.TurboQuantBitSize, str(options.get("bits") or "bits4").capitalize())
    return module.TurboQuantQuantizationConfig(True, bits)


def _asked(module: Any, shard: Any, task: Task, asked: Any) -> Measured:
    def search(query: Any, **parameters: Any) -> list[int]:
        request = module.QueryRequest(
            limit=TOP,
            query=module.Query.Nearest(query, using="dense"),
            params=module.SearchParams(**parameters) if parameters else None,
        )
        return [hit.id for hit in shard.query(request)]

    def recall(**quantized: Any) -> float:
        given = {"quantization": module.QuantizationSearchParams(**quantized)} if quantized else {}
        shares = [
            len(set(search(query, **given)) & right) / len(right)
            for query, right in zip(queries, exact, strict=True)
            if right
        ]
        return round(statistics.fmean(shares), 4) if shares else 0.0

    queries = asked.tolist()
    settings: list[SearchSetting] = []
    default = 0.0
    if task.settings:
        exact = [set(search(query, exact=True)) for query in queries]
        default = recall()
        for rescore, oversampling in task.settings:
            given = {"rescore": rescore} | ({"oversampling": oversampling} if oversampling else {})
            settings.append(SearchSetting(rescore=rescore, oversampling=oversampling, recall=recall(**given)))
    times = []
    for _ in range(task.rounds):
        for query in queries:
            begun = time.perf_counter()
            search(query)
            times.append((time.perf_counter() - begun) * 1000)
    return Measured(
        indexed=shard.info().indexed_vectors_count,
        default=default,
        settings=tuple(settings),
        median_ms=round(statistics.median(times), 4) if times else None,
    )


def main(folder: Path, parent: int) -> int:
    """Do the task in `folder` and print `Measured` as JSON; 1 with the core's words on stderr when it cannot."""
    import numpy as np

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(KILL_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        return 1
    os.nice(NICE)
    try:
        module = edge("A trial on a sample")
        task = msgspec.json.decode((folder / TASK).read_bytes(), type=Task)
        with np.load(folder / INPUT) as arrays:
            given = {name: arrays[name] for name in arrays.files}
        shard = _built(module, folder, task, given)
        measured = _asked(module, shard, task, given["asked"])
        shard.close()
    except Exception as error:
        # The core has one class for all its failures; the parent shows the text.
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
