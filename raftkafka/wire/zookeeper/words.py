"""Four-letter words: what an operator may send in place of a first frame (`FourLetterCommands`). Floor 2.

As the length of a frame each of them would be more than 1.6 GB, so nothing is taken for one that could be something else.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Word(Enum):
    CONF = b"conf"
    CONS = b"cons"
    CRST = b"crst"
    DUMP = b"dump"
    ENVI = b"envi"
    ISRO = b"isro"
    MNTR = b"mntr"
    RUOK = b"ruok"
    SRST = b"srst"
    SRVR = b"srvr"
    STAT = b"stat"
    WCHC = b"wchc"
    WCHP = b"wchp"
    WCHS = b"wchs"


_BY_BYTES: Final = {word.value: word for word in Word}


def word_of(start: bytes) -> Word | None:
    """The word in the first four bytes of a connection; None when they are none."""
    return _BY_BYTES.get(start)
