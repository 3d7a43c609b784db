# SPDX-License-Identifier: BSD-3-Clause
"""Read an XML file and hold it against its schema, in words a user can act on.

The schemas carry three attributes of ours (namespace urn:config, see
schema/scenario.xsd): what a value must be, an example of what to write, and
which elements are accepted without effect.
"""

import difflib
import functools
import re
from pathlib import Path
from typing import Any, Optional

import xmlschema
from lxml import etree

from problems import ConfigError, Problem

SCHEMAS = Path(__file__).parent / "schema"
CFG = "{urn:config}"

Element = Any  # lxml has no type annotations


def text_of(element: Optional[Element]) -> str:
    """The text of an element with runs of white space made one space, "" if it is absent."""
    return "" if element is None else " ".join((element.text or "").split())


def number_of(text: str) -> int:
    """A number as the schema admits it: decimal, also with leading zeros, or 0x."""
    return int(text, 16) if text[:2].lower() == "0x" else int(text, 10)


def _parse(path: Path) -> Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(path.read_bytes(), parser)
    except OSError as error:
        there = sorted(p.stem for p in path.parent.glob("*.xml"))
        write = " or ".join(there) if there else "the path of a file"
        what = f"cannot be read ({error.strerror})"
        raise ConfigError([Problem(str(path), 1, what, write)]) from error
    except etree.XMLSyntaxError as error:
        line = error.lineno or 1
        what = "is not well-formed XML: " + " ".join((error.msg or "").split())
        raise ConfigError([Problem(str(path), line, what, "well-formed XML")]) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ConfigError([Problem(str(path), 1, "a DOCTYPE has no place here", "the elements")])
    return root


@functools.lru_cache
def _schema(name: str) -> xmlschema.XMLSchema11:
    return xmlschema.XMLSchema11(str(SCHEMAS / name))


class XmlFile:
    """A file that follows its schema.  Raises ConfigError where it does not."""

    def __init__(self, path: Path, schema_name: str) -> None:
        self.path = path
        self.root = _parse(path)
        self._schema = _schema(schema_name)
        if self.root.tag != "acrn-config":
            what = f"<{self.root.tag}> is not a board or scenario"
            raise ConfigError([self.problem(self.root, what, "<acrn-config>")])
        self._refuse_old_format()
        problems = [self._explain(error) for error in self._schema.iter_errors(self.root)]
        if problems:
            raise ConfigError(sorted(set(problems), key=lambda p: (p.line, p.what)))

    def problem(self, element: Element, what: str, write: str) -> Problem:
        return Problem(str(self.path), element.sourceline, what, write)

    def without_effect(self) -> dict[str, list[int]]:
        """Elements that ask for something the build does not do, and their lines."""
        found: dict[str, list[int]] = {}
        for element in self.root.iter():
            declaration = self._declaration(element)
            ignored = None if declaration is None else declaration.elem.get(CFG + "ignored")
            if ignored is None or (
                text_of(element.getparent().find("load_order")) == declaration.elem.get(CFG + "but")
            ):
                continue
            wanted = "..." if len(element) else text_of(element)
            if wanted != ignored and (wanted or ignored == "always"):
                found.setdefault(element.tag, []).append(element.sourceline)
        return found

    def _refuse_old_format(self) -> None:
        """ACRN 2.x files differ in so much that a list of differences helps nobody."""
        if self.root.get("uos_launcher"):
            what = "this is a launch file of ACRN 2.x, not a scenario"
            raise ConfigError([self.problem(self.root, what, "a scenario file")])
        for vm_type in self.root.iterfind("vm/vm_type"):
            if vm_type.getparent().find("load_order") is None:
                what = f"<vm_type>{text_of(vm_type)}</vm_type> alone is of ACRN 2.x"
                write = "<load_order>SERVICE_VM</load_order> and the other elements of ACRN 3.x"
                raise ConfigError([self.problem(vm_type, what, write)])

    def _declaration(self, element: Element) -> Optional[Any]:
        """The schema's declaration of an element; None below one that may say anything."""
        names = [ancestor.tag for ancestor in element.iterancestors()][::-1] + [element.tag]
        declaration = self._schema.elements.get(names[0])
        for name in names[1:]:
            declaration = _children(declaration).get(name)
            if declaration is None:
                return None
        return declaration

    def _explain(self, error: Any) -> Problem:
        element = self.root if error.elem is None else error.elem
        if isinstance(error, xmlschema.XMLSchemaChildrenValidationError):
            return self._explain_children(element, error)
        attribute = re.search(r"attribute (\w+)=|'(\w+)' attribute|attribute '(\w+)'",
                              error.reason or "")
        if attribute:
            name = next(group for group in attribute.groups() if group)
            return self._explain_attribute(element, name)
        declaration = self._declaration(element)
        if declaration is None:
            return self.problem(element, f"<{element.tag}> is unknown", "a known element")
        if len(element) and not _children(declaration):
            what = f"<{element.tag}> holds other elements"
        elif not declaration.type.is_simple() and text_of(element):
            what = f'<{element.tag}> holds the text "{_brief(text_of(element))}"'
            return self.problem(element, what, "elements only")
        else:
            what = f'<{element.tag}> is "{_brief(text_of(element))}", not {_meaning(declaration)}'
        return self.problem(element, what, _example(declaration))

    def _explain_children(self, element: Element, error: Any) -> Problem:
        known = _children(self._declaration(element))
        if error.index >= len(element):
            missing = [e.name for e in error.expected or [] if e.name] or list(known)
            what = f"<{element.tag}> lacks <{missing[0]}>"
            return self.problem(element, what, f"{_example(known[missing[0]])} in it")
        child = element[error.index]
        if child.tag not in known:
            return self.problem(child, f"<{child.tag}> is unknown in <{element.tag}>",
                                _nearest(child.tag, known))
        if len(element.findall(child.tag)) > 1:
            return self.problem(child, f"<{child.tag}> is there too often in <{element.tag}>",
                                "fewer of them")
        expected = [e.name for e in error.expected or [] if e.name]
        return self.problem(child, f"<{child.tag}> is out of place in <{element.tag}>",
                            f"<{expected[0]}> here" if expected else "it elsewhere")

    def _explain_attribute(self, element: Element, name: str) -> Problem:
        declaration = self._declaration(element)
        known = declaration.attributes if declaration is not None else {}
        if name not in known:
            return self.problem(element, f'attribute "{name}" of <{element.tag}> is unknown',
                                f"<{element.tag}> without it")
        if element.get(name) is None:
            what = f'<{element.tag}> lacks the attribute "{name}"'
        else:
            what = f'attribute {name}="{_brief(element.get(name))}" is not {_meaning(known[name])}'
        return self.problem(element, what, f'<{element.tag} {name}="0">')


def _children(declaration: Optional[Any]) -> dict[str, Any]:
    if declaration is None or not declaration.type.has_complex_content():
        return {}
    return {e.name: e for e in declaration.type.content.iter_elements() if e.name}


def _meaning(declaration: Any) -> str:
    return str(declaration.type.elem.get(CFG + "is", "a valid value"))


def _example(declaration: Any) -> str:
    value = declaration.elem.get(CFG + "write", "...")
    return f"<{declaration.name}>{value}</{declaration.name}>"


def _nearest(name: str, known: dict[str, Any]) -> str:
    by_lower_case = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.6)
    if close:
        return f"<{by_lower_case[close[0]]}>"
    return "one of " + ", ".join(f"<{k}>" for k in known) if known else "nothing"


def _brief(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:37] + "..."
