"""Where every value of a YAML text stands, read off PyYAML's nodes.

Covers one document of maps, lists and scalars in block and flow style. Aliases can be anywhere else in the
file, but a map or list that has an anchor or a tag of its own is not edited: an entry put there would appear
wherever it is repeated. ruamel.yaml keeps comments but writes indentation, quotes and long lines anew, so it
is not what keeps bytes; PyYAML's marks are enough to splice by.
"""

from __future__ import annotations

from typing import Any

import yaml

from harness_compile.install.spans import MAX_DEPTH, Item, Node, SpanFault

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PLAIN = {"str", "int", "float", "bool", "null"}


def locate(text: str) -> Node | None:
    """The root value; None where there is none. Raises SpanFault."""
    shift = 1 if text.startswith("\ufeff") else 0
    body = text[shift:]
    try:
        loader = LOADER(body)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            anchors = _anchored(body)
            return _Reader(text, loader, anchors, shift).node(root, 0)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SpanFault(error.problem or "not YAML", shift + (mark.index if mark else 0)) from None
    except yaml.reader.ReaderError as error:
        raise SpanFault("a character that YAML does not allow", shift + error.position) from None
    except (ValueError, RecursionError):
        raise SpanFault("nested too deep, or a value that is none", 0) from None


def _anchored(body: str) -> set[int]:
    """Offsets of nodes with an anchor or a tag; a text without either is not parsed twice."""
    if not any(mark in body for mark in "&*!"):
        return set()
    return {
        event.start_mark.index
        for event in yaml.parse(body, Loader=LOADER)
        if getattr(event, "anchor", None)
        or (getattr(event, "tag", None) and not isinstance(event, yaml.ScalarEvent))
    }


class _Reader:
    """PyYAML's nodes made ours. A node that comes again is an alias: it is not entered, so that aliases of
    aliases cost nothing.
    """

    def __init__(self, text: str, loader: Any, anchors: set[int], shift: int) -> None:
        self.text, self.loader, self.anchors, self.shift = text, loader, anchors, shift
        self.seen: set[int] = set()

    def node(self, node: yaml.Node, depth: int) -> Node:
        start, end = node.start_mark.index + self.shift, node.end_mark.index + self.shift
        if id(node) in self.seen:
            return Node("scalar", -1, -1, f"*{start}", frozen="is an alias")
        if depth > MAX_DEPTH:
            raise SpanFault(f"nested more than {MAX_DEPTH} deep", start)
        self.seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            value = _scalar(node, self.loader)
            return Node("scalar", start, end, value, style="block" if start == end else "bracket")
        made = Node("map" if isinstance(node, yaml.MappingNode) else "list", start, end)
        made.style = "bracket" if getattr(node, "flow_style", False) else "block"
        if node.start_mark.index in self.anchors:
            made.frozen = "has an anchor or a tag"
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name = str(key.value) if isinstance(key, yaml.ScalarNode) else yaml.serialize(key)
                stop = key.end_mark.index + self.shift
                inner = self.node(value, depth + 1)
                made.items.append(Item(inner, key.start_mark.index + self.shift, max(inner.end, stop), name))
        else:
            for value in node.value:
                inner = self.node(value, depth + 1)
                made.items.append(Item(inner, inner.start, inner.end))
        if any(item.end < 0 or item.node.frozen == "is an alias" for item in made.items) and (
            made.style == "bracket" or made.kind == "list"
        ):
            made.frozen = made.frozen or "holds an alias"
        elif made.style == "bracket":
            _commas(made, self.text)
        elif made.kind == "list":
            _dashes(made, self.text)
        return made


def _commas(node: Node, text: str) -> None:
    """The comma after each item of a flow collection: what lies between is white space and comments."""
    starts = [*(item.start for item in node.items[1:]), node.end - 1]
    for item, following in zip(node.items, starts, strict=False):
        at = item.end
        while at < following and text[at] != ",":
            at = (text.find("\n", at) if text[at] == "#" else at) + 1
        item.comma = at if at < following else None


def _dashes(node: Node, text: str) -> None:
    """Let items of a block list begin at their dash; one whose dash is not on its line is left frozen."""
    for item in node.items:
        at = item.start - 1
        while at >= 0 and text[at] in " \t":
            at -= 1
        if at >= 0 and text[at] == "-":
            item.start = at
        else:
            item.node.frozen = "does not stand on the line of its dash"


def _scalar(node: yaml.ScalarNode, loader: Any) -> Any:
    """Plain JSON values as such; anything else (dates, binary) as its tag and text, so that it compares."""
    kind = node.tag.rsplit(":", 1)[-1]
    if kind == "str":
        return node.value
    if kind in PLAIN:
        return loader.construct_object(node)
    return f"!{node.tag} {node.value}"
