"""Printed pages bound into one PDF: inner links, bookmarks, numbers of sheets, tags for screen readers."""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DictionaryObject,
    Fit,
    FloatObject,
    NameObject,
    NumberObject,
)
from pypdf.generic import TextStringObject as Text

DATE = "D:19800101000000Z"  # fixed, as in the wheel: the same pages give the same bytes


class Printed(NamedTuple):
    """A page of the book on paper, the number of its first sheet, and its headings' words."""

    page: str
    title: str
    path: Path
    first: int
    sheets: int
    headings: tuple[str, ...] = ()


class Place(NamedTuple):
    """Where a link leads to: a page of the book and a named place in it, '' being its beginning."""

    page: str
    name: str


def dictionary(**entries) -> DictionaryObject:
    return DictionaryObject({NameObject(f"/{key}"): value for key, value in entries.items()})


def links(sheet: DictionaryObject) -> list[DictionaryObject]:
    notes = [note.get_object() for note in sheet.get("/Annots", [])]
    return [note for note in notes if note["/Subtype"] == "/Link"]


def leads_to(link: DictionaryObject, page: str, site: Path) -> Place | None:
    """The place that a link of `page` leads to; None if that is out in the world."""
    if "/Dest" in link:
        return Place(page, str(link["/Dest"])[1:])
    address = urlsplit(link["/A"]["/URI"])
    if address.scheme != "file":
        return None
    target = Path(unquote(address.path)).relative_to(site).with_suffix("")
    return Place(target.as_posix(), unquote(address.fragment))


def read_places(printed: Printed) -> dict[Place, tuple[int, float]]:
    """The named places of a printed page: the sheet in the book, counted from 0, and the height on it."""
    reader = PdfReader(printed.path)
    places = {Place(printed.page, ""): (printed.first - 1, 842.0)}
    for name, place in reader.named_destinations.items():
        sheet = printed.first - 1 + reader.get_destination_page_number(place)
        places[Place(printed.page, name[1:])] = (sheet, float(place["/Top"]))
    return places


def finish(writer: PdfWriter, title: str, author: str, path: Path) -> Path:
    writer.metadata = {"/Title": title, "/Author": author, "/CreationDate": DATE, "/ModDate": DATE}
    writer.root_object.update(
        dictionary(
            Lang=Text("en"),
            MarkInfo=dictionary(Marked=BooleanObject(True)),
            ViewerPreferences=dictionary(DisplayDocTitle=BooleanObject(True)),
            PageMode=NameObject("/UseOutlines"),
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    writer.write(path)
    return path


def add_tags(writer: PdfWriter, reader: PdfReader, sheets: list, tree: DictionaryObject) -> None:
    """Hang a printed page's tags into the book's; its sheets' and links' keys count on from those before."""
    held = reader.root_object["/StructTreeRoot"].clone(writer)
    start = tree["/ParentTreeNextKey"]
    for sheet, printed in zip(sheets, reader.pages, strict=True):  # pypdf leaves a sheet's key behind
        sheet[NameObject("/StructParents")] = NumberObject(start + printed["/StructParents"])
        for link in links(sheet):
            link[NameObject("/StructParent")] = NumberObject(start + link["/StructParent"])
    numbers = held["/ParentTree"]["/Nums"]
    for key, value in zip(numbers[::2], numbers[1::2], strict=True):
        tree["/ParentTree"]["/Nums"].extend([NumberObject(key + start), value])
    tree[NameObject("/ParentTreeNextKey")] = NumberObject(start + held["/ParentTreeNextKey"])
    document = held["/K"]
    document[NameObject("/P")] = tree.indirect_reference
    tree["/K"].append(document.indirect_reference)


def add_bookmarks(
    writer: PdfWriter, reader: PdfReader, entries: list, start: int, parent, words: dict[str, str]
) -> None:
    """The bookmarks that Chromium made out of a page's headings; a list follows what it belongs to.

    Where a heading breaks, Chromium loses the space: ``words`` has each heading by its text without spaces.
    """
    last = parent
    for entry in entries:
        if isinstance(entry, list):
            add_bookmarks(writer, reader, entry, start, last, words)
        else:
            sheet = start + reader.get_destination_page_number(entry)
            fit = Fit.xyz(left=0, top=float(entry["/Top"]))
            title = words.get("".join(entry.title.split()), entry.title)
            last = writer.add_outline_item(title=title, page_number=sheet, parent=parent, fit=fit)


def bind(
    front: Printed, parts: dict[str, list[Printed]], title: str, author: str, site: Path, path: Path
) -> Path:
    """The whole book in one file. A link to a place that no printed page has is an error."""
    writer = PdfWriter()
    tree = dictionary(Type=NameObject("/StructTreeRoot"), K=ArrayObject(), ParentTreeNextKey=NumberObject(0))
    tree[NameObject("/ParentTree")] = dictionary(Nums=ArrayObject())
    writer.root_object[NameObject("/StructTreeRoot")] = writer._add_object(tree)
    places: dict[Place, tuple[int, float]] = {}
    todo: list[tuple[DictionaryObject, Place]] = []
    for part, pages in {"Contents": [front], **parts}.items():
        shelf = None
        for printed in pages:
            reader, start = PdfReader(printed.path), len(writer.pages)
            sheets = [writer.add_page(sheet) for sheet in reader.pages]
            add_tags(writer, reader, sheets, tree)
            if printed is not front:
                places |= read_places(printed)
            if part and shelf is None:
                shelf = writer.add_outline_item(title=part, page_number=start)
            if printed is not front:
                words = {"".join(heading.split()): heading for heading in printed.headings}
                add_bookmarks(writer, reader, reader.outline, start, shelf, words)
            found = [(link, leads_to(link, printed.page, site)) for sheet in sheets for link in links(sheet)]
            todo += [(link, place) for link, place in found if place]
    lost = sorted({f"{place.page}#{place.name}" for _, place in todo if place not in places})
    if lost:
        raise ValueError(f"links of the book must lead to places that are printed, got {', '.join(lost)}")
    for link, place in todo:
        sheet, top = places[place]
        link.pop("/A", None)
        target = writer.pages[front.sheets + sheet].indirect_reference
        where = [NameObject("/XYZ"), NumberObject(0), FloatObject(top), NumberObject(0)]
        link[NameObject("/Dest")] = ArrayObject([target, *where])
    writer.set_page_label(0, front.sheets - 1, style="/r")
    writer.set_page_label(front.sheets, len(writer.pages) - 1, style="/D", start=1)
    return finish(writer, title, author, path)


def publish(printed: Printed, author: str, site: Path, out: Path) -> Path:
    """A page's own file, numbered as in the book; its links to other pages open their files beside it."""
    writer = PdfWriter(clone_from=printed.path)
    for link in (link for sheet in writer.pages for link in links(sheet)):
        place = leads_to(link, printed.page, site)
        if place is None or place.page == printed.page:
            continue
        file = quote(os.path.relpath(f"{place.page}.pdf", Path(printed.page).parent))
        where = (
            NameObject(f"/{place.name}") if place.name else ArrayObject([NumberObject(0), NameObject("/Fit")])
        )
        link[NameObject("/A")] = dictionary(S=NameObject("/GoToR"), F=Text(file), D=where)
    writer.set_page_label(0, printed.sheets - 1, style="/D", start=printed.first)
    return finish(writer, printed.title, author, out / f"{printed.page}.pdf")
