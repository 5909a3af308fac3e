"""npm `@openai/agents-realtime` in a page of its own origin in Chromium; the page runs the whole conversation."""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import sync_playwright

from tests.sdk.clients.listener import read_job
from tests.support.browser_driver import CHROMIUM

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


class Files(SimpleHTTPRequestHandler):
    """Serves the packages and our clients, without output on standard error."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


def talk(job: dict[str, Any], port: int) -> dict[str, Any]:
    wanted = {name: value for name, value in job.items() if name != "pcm"}
    wanted["sound64"] = base64.b64encode(job["pcm"]).decode()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/agents_page.html")
        page.wait_for_function("() => Boolean(window.talk)")
        report: dict[str, Any] = page.evaluate("job => window.talk(job)", wanted)
        browser.close()
    return report


def main() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=os.environ["PACKAGES"])) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        report = talk(read_job(), server.server_port)
        server.shutdown()
    sys.stdout.write(json.dumps(report) + "\n")


main()
