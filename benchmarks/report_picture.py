"""The picture of a run's report for the README: `python benchmarks/report_picture.py RUN docs/images/report.png`.

Writes the run's report anew and photographs its first view in headless Chromium. Needs playwright and Pillow.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tritonrl_core.report.page import write_report

WIDTH, HEIGHT = 1240, 782
COLOURS = 128
"""Of the palette: what keeps the file small. Text stays smooth with as many."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = write_report(arguments.run, Path(folder) / "report.html")
        photograph(page, arguments.picture, arguments.scheme)
    print(f"{arguments.picture}: {arguments.picture.stat().st_size / 1e3:.0f} kB")


def photograph(page: Path, picture: Path, scheme: str) -> None:
    """The first view of a page, as a small PNG."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        view = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
        view.goto(page.as_uri())
        view.wait_for_selector(".row")
        view.wait_for_timeout(300)
        view.screenshot(path=picture)
        browser.close()
    Image.open(picture).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    main()
