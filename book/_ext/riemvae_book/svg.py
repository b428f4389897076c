"""Matplotlib's SVG as part of a page: the page's colors and font, and no id that another figure has."""

import base64
import io
import re
import xml.etree.ElementTree as ET

from PIL import Image

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
METADATA = f"{{{SVG}}}metadata"
STYLE = f"{{{SVG}}}style"
PAINTED = ("style", "fill", "stroke", "color", "stop-color")
HEX = re.compile(r"#[0-9a-fA-F]{6}\b")
FONT_FAMILY = re.compile(r"font-family:[^;]*;?\s*")
FONT_SHORTHAND = re.compile(r"(?<![\w-])font:\s*([^;]*?)(\d[\d.]*px)[^;]*;?\s*")
LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}(?![\d.]*e)")
PIXELS_PER_POINT = 96 / 72
TEXT, TSPAN, IMAGE = (f"{{{SVG}}}{name}" for name in ("text", "tspan", "image"))
IN_A_WORD = re.compile(r"[\w'’-]")

ET.register_namespace("", SVG)


def color_variables(palette: dict) -> dict[str, str]:
    """From each light color of the palette, in lower case, to CSS that follows the theme; black is ink."""
    found = {"#000000": "currentColor"}
    for name, entry in palette.items():
        if isinstance(entry, dict) and {"light", "dark"} <= entry.keys():
            light = entry["light"].lower()
            found.setdefault(light, "currentColor" if name == "ink" else f"var(--rv-{name}, {light})")
        elif isinstance(entry, dict):
            found = {**color_variables(entry), **found}
    return found


def follow_page(value: str, colors: dict[str, str]) -> str:
    """A style with the palette's colors as CSS variables and the page's own font."""
    value = FONT_FAMILY.sub("", value)
    value = FONT_SHORTHAND.sub(lambda found: f"{found[1]}font-size: {found[2]}; ", value)
    value = re.sub(r"^(italic|oblique) font-size", r"font-style: \1; font-size", value)
    return HEX.sub(lambda found: colors.get(found[0].lower(), found[0]), value)


def short_path(path: str) -> str:
    """Coordinates to a hundredth of a point, finer than any screen: half the bytes of a page of balls."""
    return LONG_NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), path)


def join_letters(text: ET.Element) -> None:
    """Beside a formula matplotlib sets each letter by itself, in its own font's widths: words become whole.

    A word begins where it did, and its letters follow in the page's font. Italics, which are symbols, stay.
    """
    last = None
    for span in list(text):
        style = span.get("style", "")
        slanted = "italic" in style or "oblique" in style
        plain = span.tag == TSPAN and not slanted and IN_A_WORD.fullmatch(span.text or "")
        if not plain:
            last = None
            continue
        place = {key: value for key, value in span.attrib.items() if key != "x"}
        x, size = float(span.get("x", "0")), re.search(r"font-size: ([\d.]+)px", style)
        near = last and place == last[1] and size and 0 < x - last[2] <= 1.05 * float(size[1])
        if near:
            last[0].text += span.text
            text.remove(span)
        last = (last[0] if near else span, place, x)


def is_photo(image: ET.Element) -> bool:
    """Whether an embedded picture is in grays, as images are and fields of color are not."""
    _, _, data = (image.get("href") or image.get(f"{{{XLINK}}}href") or "").partition("base64,")
    if not data:
        return False
    red, green, blue = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB").split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


def inline_svg(source: str, label: str, prefix: str, palette: dict) -> str:
    """An <svg> element to stand in a page.

    `label` is its accessible name, `prefix` begins each of its ids, `palette` is book/_static/palette.json.
    Text stays text; the width is the page's, up to the natural one.
    """
    colors = color_variables(palette)
    root = ET.fromstring(source)
    if root.tag != f"{{{SVG}}}svg":
        raise ValueError(f"source must be an SVG document, got one of {root.tag}")
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (METADATA, STYLE):  # its style is for every element of the page it stands in
                parent.remove(child)
    for text in root.iter(TEXT):
        join_letters(text)
    for element in root.iter():
        if element.tag == IMAGE and is_photo(element):
            element.set("class", "rv-photo")
        for name, value in list(element.attrib.items()):
            if name == "id":
                element.set("id", prefix + value)
            elif name == f"{{{XLINK}}}href" or name == "href":
                del element.attrib[name]
                element.set("href", f"#{prefix}{value[1:]}" if value.startswith("#") else value)
            elif "url(#" in value:
                value = value.replace("url(#", f"url(#{prefix}")
                element.set(name, value)
            if name in PAINTED:
                element.set(name, follow_page(value, colors))
            elif name == "d":
                element.set(name, short_path(value))
    width = root.attrib.pop("width", "")
    root.attrib.pop("height", None)
    pixels = f"{float(width.removesuffix('pt')) * PIXELS_PER_POINT:.0f}px" if width else ""
    natural = f"--rv-natural: {pixels}; max-width: {pixels}; " if width else ""
    if view := root.get("viewBox"):  # the page draws what comes near its window, and needs all heights before
        natural += "aspect-ratio: {2} / {3}; ".format(*view.split())
    root.set("style", f"width: 100%; {natural}height: auto; stroke-linejoin: round; stroke-linecap: butt")
    root.set("class", "rv-plot")
    root.set("fill", "currentColor")
    root.set("role", "img")
    root.set("aria-label", label)
    return ET.tostring(root, encoding="unicode")
