"""The setting `class_names`: readable names for labels that are codes or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from emms.datasets.class_name_files import as_text, read_class_names
from emms.errors import DatasetError, did_you_mean
from emms.paths import UserPath

_SHOWN = 5
_LIST_HINT = ": a list of names is for the labels 0, 1, …; for other labels give a mapping, or a `label,name` per line"


def _as_text(value: Any) -> Any:
    """Convert integers in labels and names, as YAML reads them, to strings. Raises ValueError for other types."""
    if isinstance(value, Mapping):
        return {as_text(label): as_text(name) for label, name in value.items()}
    if isinstance(value, list | tuple):
        return [as_text(name) for name in value]
    if isinstance(value, Path) or (isinstance(value, str) and value.strip()):
        return value
    raise ValueError("must be a mapping from labels to names, a list of names, or the path of a file of either")


ClassNames = Annotated[dict[str, str] | list[str] | UserPath, BeforeValidator(_as_text)]
"""A mapping from labels to names, a list of names, or the path of a file of either."""


def name_folders(folders: Sequence[str], setting: ClassNames | None) -> tuple[list[str], list[str]]:
    """Return the class names of sorted class folders, and warnings.

    If all folders are numbers, they are indices into a list of names, from 0; otherwise a list of names is assigned to
    the folders in sorted order.
    Raises DatasetError if a folder has no name, two have the same, or the numbers of names and folders differ.
    """
    if setting is None:
        return list(folders), []
    names = _load(setting, folders)
    if isinstance(names, dict):
        return _rename(folders, names, setting), _unused(folders, setting)
    if all(folder.isdecimal() for folder in folders):
        numbered = {folder: names[int(folder)] for folder in folders if int(folder) < len(names)}
        return _rename(folders, numbered, setting, _LIST_HINT), []
    if len(names) != len(folders):
        raise DatasetError(
            f"{_source(setting)} has {len(names)} names without labels but there are {len(folders)} class folders; "
            f"such names are assigned to the folders in sorted order, so give as many, or a `folder,name` per line"
        )
    note = (
        f"{_source(setting)} has names without labels, which are assigned to the class folders in sorted order: "
        f"'{folders[0]}' is '{names[0]}', …, '{folders[-1]}' is '{names[-1]}'; to be sure, give a `folder,name` per "
        f"line"
    )
    return _rename(folders, dict(zip(folders, names, strict=True)), setting), [note]


def name_labels(codings: Sequence[Sequence[str]], setting: ClassNames) -> tuple[list[str], list[str]]:
    """Return the class names of labels, and warnings. A list of names is for the labels 0, 1, ….

    `codings` are different ways to write the same labels, such as '0', '1' and 'n01440764', 'n01443537'; the one for
    which the setting has the most names is used.
    Raises DatasetError if a label has no name, or two have the same.
    """
    options = []
    for labels in codings:
        names = _load(setting, labels)
        is_list = isinstance(names, list)
        mapping = {str(i): name for i, name in enumerate(names)} if isinstance(names, list) else names
        options.append((sum(label not in mapping for label in labels), is_list, labels, mapping))
    _, is_list, labels, mapping = min(options, key=lambda option: option[:2])
    return _rename(labels, mapping, setting, _LIST_HINT if is_list else ""), _unused(labels, setting)


def _load(setting: ClassNames, labels: Sequence[str]) -> dict[str, str] | list[str]:
    return read_class_names(setting, set(labels)) if isinstance(setting, Path) else setting


def _rename(labels: Sequence[str], names: Mapping[str, str], setting: ClassNames, hint: str = "") -> list[str]:
    missing = [label for label in labels if not names.get(label, "").strip()]
    if missing:
        unused = sorted(names.keys() - set(labels))
        raise DatasetError(
            f"{_source(setting)} has no name for {len(missing)} of {len(labels)} labels ({_some(missing)}); "
            f"give every label one{hint or did_you_mean(missing[0], unused)}"
            + (f" (it names {_some(unused)}, which the dataset does not have)" if unused and not hint else "")
        )
    by_name: dict[str, str] = {}
    for label in labels:
        name = names[label].strip()
        if name in by_name:
            raise DatasetError(
                f"{_source(setting)} has the name '{name}' for both '{by_name[name]}' and '{label}'; "
                f"give them different names"
            )
        by_name[name] = label
    return list(by_name)


def _unused(labels: Sequence[str], setting: ClassNames) -> list[str]:
    """Return a warning about labels of a mapping in the spec that do not exist; in files, extra labels are expected."""
    unused = sorted(setting.keys() - set(labels)) if isinstance(setting, dict) else []
    return [f"`class_names:` names {_some(unused)}, which the dataset does not have"] if unused else []


def _source(setting: ClassNames) -> str:
    return f"class names '{setting}'" if isinstance(setting, Path) else "`class_names:`"


def _some(labels: Sequence[str]) -> str:
    shown = ", ".join(f"'{label}'" for label in labels[:_SHOWN])
    return shown + (f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else "")
