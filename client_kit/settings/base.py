"""What all settings have in common: unknown fields are refused, and paths are meant from the file's own folder."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo


def _from_the_file(path: Path, info: ValidationInfo) -> Path:
    """A path as meant by the settings file: `~` expanded, relative ones from the file's folder."""
    return Path((info.context or {}).get("folder", Path.cwd()), path.expanduser()).absolute()


def _folder_or_name(given: str, info: ValidationInfo) -> str:
    """A folder when written like one (`./`, `../`, `/`, `~`), else a name."""
    return str(_from_the_file(Path(given), info)) if given.startswith((".", "/", "~")) else given


LocalPath = Annotated[Path, AfterValidator(_from_the_file)]
FolderOrName = Annotated[str, AfterValidator(_folder_or_name)]


class Settings(BaseModel):
    """Base of all settings. Unknown fields are refused: a misspelt option must not pass unnoticed.

    Their validators are built when first asked for (`defer_build`), not at import.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=(), defer_build=True
    )
