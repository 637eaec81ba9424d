"""Makes ReFT known to PEFT, whose own list of methods is closed."""

from typing import Any


class _PeftType(str):
    """A string that stands where PEFT expects a member of its enumeration."""

    __slots__ = ()

    @property
    def value(self) -> str:
        """As an enumeration's member has it."""
        return str(self)

    name = value

    def __str__(self) -> str:
        """The bare text."""
        return str.__str__(self)

    def __reduce__(self) -> tuple[type["_PeftType"], tuple[str]]:
        """Pickled by its text."""
        return _PeftType, (str(self),)


REFT = _PeftType("REFT")
"""The `peft_type` of an adapter folder."""


def register(config: type[Any], model: type[Any]) -> None:
    """Enter config and tuner in PEFT's tables, once.

    PEFT's `register_peft_method` refuses names outside its closed enumeration `PeftType`; the tables behind it do not.
    """
    from peft import mapping  # noqa: PLC0415 - heavy

    mapping.PEFT_TYPE_TO_CONFIG_MAPPING[REFT] = config
    mapping.PEFT_TYPE_TO_TUNER_MAPPING[REFT] = model
    mapping.PEFT_TYPE_TO_PREFIX_MAPPING[REFT] = model.prefix
