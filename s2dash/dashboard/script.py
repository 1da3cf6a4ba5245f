"""Values written into the scripts of a map."""

from __future__ import annotations

import json
from typing import Any


def script_text(value: Any) -> str:
    """A JSON value as JavaScript that neither ends a script element nor means anything to a template.

    folium renders the scripts of a map twice, so that braces in somebody's text would be run as a template on the
    server. Objects cannot be written this way, because their braces would be escaped too: use lists.
    """
    text = json.dumps(value, ensure_ascii=True)
    for sign in "<>&'{}":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
