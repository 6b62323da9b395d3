"""``{gallery}``: a card for each page that matches, with the page's first picture and its title."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

__all__ = ["register"]


class Cards(nodes.General, nodes.Element):
    """Where cards will stand, once every page has been read."""


class Gallery(SphinxDirective):
    """Patterns of pages beside this one, one a line."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        here = PurePosixPath(self.env.docname).parent
        return [Cards("", patterns=[str(here / line) for line in self.content if line.strip()])]


def card(app: Sphinx, here: str, there: str) -> nodes.Node:
    """Return one card: picture and title, both one link."""
    picture = next(iter(app.env.get_doctree(there).findall(nodes.image)), None)
    if picture is None:
        raise ExtensionError(f"gallery: the page {there} has no picture")
    title = app.env.titles[there].astext()
    # the title is the link's text; the picture adds nothing to it for those who cannot see it
    image = nodes.image("", uri=picture["uri"], candidates={"*": picture["uri"]}, alt="")
    link = nodes.reference("", "", internal=True, refuri=app.builder.get_relative_uri(here, there))
    link += [image, nodes.inline("", title)]
    return nodes.container("", nodes.paragraph("", "", link), classes=["card"])


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the cards in."""
    for place in list(doctree.findall(Cards)):
        pages = [p for p in sorted(app.env.found_docs) if any(fnmatch(p, q) for q in place["patterns"])]
        if not pages:
            raise ExtensionError(f"gallery: no page matches {place['patterns']}")
        cards: list[Any] = [card(app, docname, page) for page in pages]
        place.replace_self(nodes.container("", *cards, classes=["cards"]))


def register(app: Sphinx) -> None:
    """Tell Sphinx of the directive."""
    app.add_node(Cards)
    app.add_directive("gallery", Gallery)
    app.connect("doctree-resolved", fill)
