"""What a picture file holds: its size, its text, and whether it is what its name says."""

from __future__ import annotations

import base64
import re
import struct
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from pathlib import Path


def size_of_png(file: Path) -> tuple[int, int]:
    content = file.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def texts_of_svg(content: bytes) -> list[str]:
    root = ElementTree.fromstring(content)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return ["".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")]


def svgs_of_page(file: Path) -> list[bytes]:
    page = file.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    return [base64.b64decode(found) for found in re.findall(r'="data:image/svg\+xml;base64,([^"]+)"', page)]
