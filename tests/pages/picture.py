"""The picture of a report in the documents, of the sample market as it is now: `make pictures`."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.conftest import CANDLEMILL

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "report.png"
ADDRESS = "#interval=1h&sort=-changes"


def main() -> None:
    """Draw it, in as few colours as it needs."""
    with TemporaryDirectory(prefix="candlemill-picture-") as folder:
        # Of a second moment there is something to say about what changed.
        for moment in (datetime.now(UTC) - timedelta(minutes=70), datetime.now(UTC)):
            words = ["demo", "--as-of", moment.isoformat(), "--quiet"]
            subprocess.run([str(CANDLEMILL), *words], cwd=folder, check=True)
        subprocess.run([str(CANDLEMILL), "report", "--demo", "--bars", "5"], cwd=folder, check=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), chromium_sandbox=False)
            page = browser.new_page(viewport={"width": 1280, "height": 560})
            page.goto(f"{(Path(folder) / 'data' / 'report.html').as_uri()}{ADDRESS}")
            page.screenshot(path=PICTURE)
            browser.close()
    with Image.open(PICTURE) as picture:
        picture.convert("RGB").quantize(64).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
