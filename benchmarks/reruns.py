"""Server time of a rerun of each page with nothing changed, on the demo run: the script alone, no browser, no network.

python benchmarks/reruns.py [--runs 9]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PAGES = ("imagery", "clusters", "labels", "agreement", "compare", "story", "runs")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    from streamlit.testing.v1 import AppTest

    from s2dash.workspace import Workspace

    with tempfile.TemporaryDirectory() as folder:
        os.environ["S2DASH_WORKSPACE"] = folder
        Workspace.open(Path(folder)).ensure_demo()
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
        print(f"{'page':12}{'first ms':>10}{'rerun ms':>10}{'worst':>8}{'CPU ms':>8}")
        for page in PAGES:
            start = time.perf_counter()
            app.switch_page(f"pages/{page}.py").run()
            first = time.perf_counter() - start
            app.run()
            seconds, busy = [], []
            for _ in range(options.runs):
                start, spent = time.perf_counter(), time.process_time()
                app.run()
                seconds.append(time.perf_counter() - start)
                busy.append(time.process_time() - spent)
            if app.exception:
                sys.exit(f"The page {page} failed: {app.exception[0].value}")
            cells = [
                f"{1000 * value:.0f}"
                for value in (first, statistics.median(seconds), max(seconds), statistics.median(busy))
            ]
            print(f"{page:12}{cells[0]:>10}{cells[1]:>10}{cells[2]:>8}{cells[3]:>8}")


if __name__ == "__main__":
    main()
