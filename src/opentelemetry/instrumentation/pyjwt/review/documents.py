"""Files in YAML, as far as they are rules by their look."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

Document = Mapping[str, Any]


class RuleError(ValueError):
    """A rule cannot be used.

    Args:
        file: the file it is in.
        field: the field at fault, led by the rule's name where it has one.
        reason: what is wrong with it.
    """

    def __init__(self, file: Path, field: str, reason: str) -> None:
        super().__init__(f"{file}: {field}: {reason}")
        self.file = file
        self.field = field
        self.reason = reason


def documents_of(file: Path) -> list[Document]:
    """The documents in a file, each a rule or a part of one.

    Raises:
        RuleError: if it holds anything else.
        OSError: if it cannot be read.
    """
    yaml = import_module("yaml")

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined,misc]
        """Refuses a name that stands twice in one mapping, of which YAML would keep the last."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [self.construct_object(key, deep=True) for key, _ in node.value]
            if twice := [name for place, name in enumerate(names) if name in names[:place]]:
                raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} stands there twice", node.start_mark)
            return super().construct_mapping(node, deep)

    try:
        documents = list(yaml.load_all(file.read_text(encoding="utf-8"), Loader))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "text"
        raise RuleError(file, where, f"is no YAML: {getattr(error, 'problem', None) or error}") from None
    for place, document in enumerate(documents, 1):
        if not isinstance(document, Mapping) or ("detection" in document) == ("correlation" in document):
            raise RuleError(file, f"rule {place}", "must be a mapping with a detection or a correlation")
    return documents
