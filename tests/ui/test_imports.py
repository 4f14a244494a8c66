"""What the way to the first frame imports, seen from inside a fresh process: a static graph cannot tell."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "qdrant_client",
    "fastembed",
    "numpy",
    "onnxruntime",
    "questionary",
    "prompt_toolkit",
    "qdrant_edge",
    "httpx",
    "grpc",
)
FIRST_FRAME = """
import asyncio, json, sys
from changeover_tui.app import ChangeoverApp
async def main():
    app = ChangeoverApp(None, {"CHANGEOVER_RUNS": "/nonexistent"}, warm_up=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        assert app.screen.query_one("#ways").option_count == 2
asyncio.run(main())
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_the_first_frame_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_FRAME], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    imported = set(json.loads(done.stdout))
    assert "textual" in imported
    assert not imported & set(HEAVY)
