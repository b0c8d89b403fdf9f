"""What is known of each record type: its fields, their types, menus, initial values and access security levels.

Facts from the ``.dbd`` files of EPICS Base 7 (``dbCommon.dbd``, ``*Record.dbd``, ``menu*.dbd``). A field is written as
``NAME:T``, with ``*`` behind the name if its access security level is 0 (most fields are of level 1), and ``=value`` if
it starts with something else than zero or nothing. T is

====  ===========================================================================================================
s     text (DBF_STRING)
l     a link, served as text
c h   8 and 16 bit integers
i     32 bit integers and DBF_USHORT, which Channel Access serves as DBR_LONG
f d   floating point; also DBF_ULONG, DBF_INT64 and DBF_UINT64, which Channel Access serves as DBR_DOUBLE
e     the states of the record itself (DBF_ENUM)
mX    menu X
D     the menu of the record type's device supports
====  ===========================================================================================================

In a name ``@A-L`` stands for one field with each of these letters, ``@16`` for each of the sixteen states of an mbbi.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MENUS: Mapping[str, tuple[str, ...]] = {
    "Scan": (
        "Passive", "Event", "I/O Intr", "10 second", "5 second", "2 second", "1 second", ".5 second", ".2 second",
        ".1 second",
    ),
    "AlarmStat": (
        "NO_ALARM", "READ", "WRITE", "HIHI", "HIGH", "LOLO", "LOW", "STATE", "COS", "COMM", "TIMEOUT", "HWLIMIT",
        "CALC", "SCAN", "LINK", "SOFT", "BAD_SUB", "UDF", "DISABLE", "SIMM", "READ_ACCESS", "WRITE_ACCESS",
    ),
    "AlarmSevr": ("NO_ALARM", "MINOR", "MAJOR", "INVALID"),
    "Pini": ("NO", "YES", "RUN", "RUNNING", "PAUSE", "PAUSED"),
    "YesNo": ("NO", "YES"),
    "Priority": ("LOW", "MEDIUM", "HIGH"),
    "Omsl": ("supervisory", "closed_loop"),
    "Ivoa": ("Continue normally", "Don't drive outputs", "Set output to IVOV"),
    "Simm": ("NO", "YES", "RAW"),
    "Post": ("On Change", "Always"),
    "ArrayPost": ("Always", "On Change"),
    "Ftype": (
        "STRING", "CHAR", "UCHAR", "SHORT", "USHORT", "LONG", "ULONG", "INT64", "UINT64", "FLOAT", "DOUBLE", "ENUM",
    ),
    "Convert": (
        "NO CONVERSION", "SLOPE", "LINEAR", "typeKdegF", "typeKdegC", "typeJdegF", "typeJdegC", "typeEdegF(ixe only)",
        "typeEdegC(ixe only)", "typeTdegF", "typeTdegC", "typeRdegF", "typeRdegC", "typeSdegF", "typeSdegC",
    ),
    "Oif": ("Full", "Incremental"),
    "Select": ("All", "Specified", "Mask"),
    "SelSelect": ("Specified", "High Signal", "Low Signal", "Median Signal"),
    "When": (
        "Every Time", "On Change", "When Zero", "When Non-zero", "Transition To Zero", "Transition To Non-zero",
    ),
    "UseCalc": ("Use CALC", "Use OCAL"),
    "LinkState": ("Ext PV NC", "Ext PV OK", "Local PV", "Constant"),
    "Compress": (
        "N to 1 Low Value", "N to 1 High Value", "N to 1 Average", "Average", "Circular Buffer", "N to 1 Median",
    ),
    "Buffering": ("FIFO Buffer", "LIFO Buffer"),
    "Histogram": ("Read", "Clear", "Start", "Stop"),
    "SubLflg": ("IGNORE", "READ"),
    "SubEflg": ("NEVER", "ON CHANGE", "ALWAYS"),
}  # fmt: skip
"""Menu name → its choices; a menu field is served as an enumeration with these states."""

STATES = ("ZR", "ON", "TW", "TH", "FR", "FV", "SX", "SV", "EI", "NI", "TE", "EL", "TV", "TT", "FT", "FF")
"""The prefixes of the fields of the sixteen states of mbbi and mbbo: ZRST, ZRVL, ZRSV …"""

_COMMON = """
NAME:s DESC:s ASG:s SCAN:mScan PINI:mPini PHAS:h EVNT:s TSE:h TSEL:l DTYP:D DISV:h=1 DISA:h SDIS:l DISP:c PROC:c
STAT:mAlarmStat=UDF SEVR:mAlarmSevr=INVALID AMSG:s NSTA:mAlarmStat NSEV:mAlarmSevr NAMSG:s ACKS:mAlarmSevr
ACKT:mYesNo=YES DISS:mAlarmSevr LCNT:c PACT:c PUTF:c RPRO:c PRIO:mPriority TPRO:c UDF:c=1 UDFS:mAlarmSevr=INVALID
UTAG:d FLNK:l RTYP:s
"""
_SIMULATION = "SIOL:l SIML:l SIMM:mSimm SIMS:mAlarmSevr OLDSIMM:mSimm SSCN:mScan=65535 SDLY:d=-1.0"
_ALARMS = "HHSV:mAlarmSevr LLSV:mAlarmSevr HSV:mAlarmSevr LSV:mAlarmSevr"
_LIMITS = f"EGU:s PREC:h HOPR:d LOPR:d HIHI:d LOLO:d HIGH:d LOW:d {_ALARMS} HYST:d ADEL:d MDEL:d LALM:d ALST:d MLST:d"
_INTEGER_LIMITS = f"EGU:s HOPR:i LOPR:i HIHI:i LOLO:i HIGH:i LOW:i {_ALARMS} HYST:i ADEL:i MDEL:i LALM:i ALST:i MLST:i"
_INT64_LIMITS = _LIMITS.replace("PREC:h ", "")
_CONVERSION = "LINR:mConvert EGUF:d EGUL:d AOFF:d ESLO:d=1 EOFF:d ROFF:d INIT:h LBRK:h RVAL:i ORAW:i"
_INVALID = "IVOA:mIvoa IVOV:"
_OUTPUT = "OUT:l DOL:l OMSL:mOmsl"
_BINARY = "ZSV:mAlarmSevr OSV:mAlarmSevr COSV:mAlarmSevr ZNAM:s ONAM:s RVAL:d ORAW:d MASK:d LALM:i MLST:i"
_MULTIBIT = (
    "NOBT:i @16VL:d @16ST:s @16SV:mAlarmSevr UNSV:mAlarmSevr COSV:mAlarmSevr RVAL:d ORAW:d MASK:d MLST:i LALM:i SDEF:h"
    " SHFT:i"
)
_DIRECT = "NOBT:h RVAL:d ORAW:d MASK:d MLST:i SHFT:i B@0-9:c B@A-F:c B1@0-9:c B1@A-F:c"
_ARRAY = "PREC:h EGU:s HOPR:d LOPR:d NELM:d=1 FTVL:mFtype NORD:d MPST:mArrayPost APST:mArrayPost HASH:d"
_LONG_STRING = "SIZV:i=41 LEN:d OLEN:d"
_CALC = "CALC:s=0 INP@A-U:l @A-U:d L@A-U:d"

_TYPES = {
    "ai": f"VAL*:d INP:l ASLO:d=1 SMOO:d AFTC:d AFVL:d SVAL:d {_LIMITS} {_CONVERSION} {_SIMULATION}",
    "ao": (
        f"VAL*:d OVAL:d OROC:d OIF:mOif DRVH:d DRVL:d ASLO:d RBV:i ORBV:i PVAL:d OMOD:c {_OUTPUT} {_LIMITS}"
        f" {_CONVERSION} {_SIMULATION} {_INVALID}d"
    ),
    "aSub": (
        "VAL*:i OVAL:i INAM:s LFLG:mSubLflg SUBL:l SNAM:s ONAM:s BRSV:mAlarmSevr PREC:h EFLG:mSubEflg=1 INP@A-U:l"
        " FT@A-U:mFtype=DOUBLE NO@A-U:d=1 NE@A-U:d=1 OUT@A-U:l FTV@A-U:mFtype=DOUBLE NOV@A-U:d=1 NEV@A-U:d=1"
        " ONV@A-U:d=1"
    ),
    "aai": f"INP:l {_ARRAY} {_SIMULATION}",
    "aao": f"{_OUTPUT} {_ARRAY} {_SIMULATION}",
    "bi": f"VAL*:e INP:l SVAL:d {_BINARY} {_SIMULATION}",
    "bo": f"VAL*:e HIGH:d RBV:d ORBV:d {_OUTPUT} {_BINARY} {_SIMULATION} {_INVALID}i",
    "calc": f"VAL*:d AFTC:d AFVL:d {_CALC} {_LIMITS}",
    "calcout": (
        f"VAL*:d PVAL:d CLCV:i OUT:l IN@A-UV:mLinkState=1 OUTV:mLinkState OOPT:mWhen ODLY*:d DLYA*:i DOPT:mUseCalc"
        f" OCAL:s=0 OCLV:i OEVT*:s OVAL*:d POVL*:d {_CALC} {_LIMITS} {_INVALID}d"
    ),
    "compress": (
        "INP:l RES*:h ALG:mCompress PBUF:mYesNo BALG:mBuffering NSAM:d=1 N:d=1 IHIL:d ILIL:d HOPR:d LOPR:d PREC:h"
        " EGU:s OFF:d NUSE:d OUSE:d INPN:i CVB:d INX:d"
    ),
    "dfanout": (f"VAL*:d SELM:mSelect SELN:i=1 SELL:l OUT@A-P:l DOL:l OMSL:mOmsl {_LIMITS} {_INVALID}d"),
    "event": f"VAL*:s INP:l SVAL:s {_SIMULATION}",
    "fanout": "VAL*:i SELM:mSelect SELN:i=1 SELL:l OFFS:h SHFT:h=-1 LNK@0-9:l LNK@A-F:l",
    "histogram": (
        f"NELM:i=1 CSTA:h=1 CMD*:mHistogram ULIM:d LLIM:d WDTH:d SGNL:d PREC:h SVL:l MDEL:h MCNT:h SDEL:d SVAL:d"
        f" HOPR:d LOPR:d {_SIMULATION}"
    ),
    "int64in": f"VAL*:d INP:l AFTC:d AFVL:d SVAL:d {_INT64_LIMITS} {_SIMULATION}",
    "int64out": f"VAL*:d DRVH:d DRVL:d {_OUTPUT} {_INT64_LIMITS} {_SIMULATION} {_INVALID}d",
    "longin": f"VAL*:i INP:l AFTC:d AFVL:d SVAL:i {_INTEGER_LIMITS} {_SIMULATION}",
    "longout": (
        f"VAL*:i DRVH:i DRVL:i PVAL:i OOCH:mYesNo=1 OOPT:mWhen {_OUTPUT} {_INTEGER_LIMITS} {_SIMULATION} {_INVALID}i"
    ),
    "lsi": f"VAL*:s INP:l MPST:mPost APST:mPost {_LONG_STRING} {_SIMULATION}",
    "lso": f"VAL*:s {_OUTPUT} MPST:mPost APST:mPost {_LONG_STRING} {_SIMULATION} {_INVALID}s",
    "mbbi": f"VAL*:e INP:l AFTC:d AFVL:d SVAL:d {_MULTIBIT} {_SIMULATION}",
    "mbbiDirect": f"VAL*:i INP:l SVAL:i {_DIRECT} {_SIMULATION}",
    "mbbo": f"VAL*:e RBV:d ORBV:d {_OUTPUT} {_MULTIBIT} {_SIMULATION} {_INVALID}i",
    "mbboDirect": f"VAL*:i RBV:d ORBV:d OBIT:i {_OUTPUT} {_DIRECT.replace(':c', '*:c')} {_SIMULATION} {_INVALID}i",
    "permissive": "VAL*:i WFLG:i LABL:s OVAL:i OFLG:i",
    "printf": "VAL*:s OUT:l FMT:s IVLS:s=LNK INP@0-9:l SIZV:i=41 LEN:d",
    "sel": f"VAL*:d SELM:mSelSelect SELN:i NVL:l INP@A-L:l @A-L:d L@A-L:d NLST:i {_LIMITS}",
    "seq": (
        "VAL*:i SELM:mSelect SELN:i=1 SELL:l OFFS:h SHFT:h=-1 OLDN:i PREC:h DLY@0-9:d DLY@A-F:d DOL@0-9:l DOL@A-F:l"
        " DO@0-9:d DO@A-F:d LNK@0-9:l LNK@A-F:l"
    ),
    "state": "VAL*:s OVAL:s",
    "stringin": f"VAL*:s OVAL:s INP:l MPST:mPost APST:mPost SVAL:s {_SIMULATION}",
    "stringout": f"VAL*:s OVAL:s MPST:mPost APST:mPost {_OUTPUT} {_SIMULATION} {_INVALID}s",
    "sub": f"VAL*:d INAM:s SNAM:s BRSV:mAlarmSevr INP@A-U:l @A-U:d L@A-U:d {_LIMITS}",
    "subArray": "PREC:h FTVL:mFtype INP:l EGU:s HOPR:d LOPR:d MALM:d=1 NELM:d=1 INDX:d BUSY:h NORD:i",
    "waveform": f"RARM:h INP:l BUSY:h {_ARRAY} {_SIMULATION}",
}
_TYPES["busy"] = _TYPES["bo"]


_READ_ONLY = """
NAME STAT SEVR AMSG NSTA NSEV NAMSG ACKS ACKT LCNT PACT PUTF RPRO UTAG RTYP INAM SUBL FT@A-U NO@A-U NE@A-U FTV@A-U
NOV@A-U NEV@A-U ONV@A-U NORD NELM OLDSIMM LALM AFVL ALST MLST INIT LBRK ORAW OVAL RBV ORBV OMOD MASK L@A-U IN@A-UV
OUTV NSAM OFF NUSE OUSE CVB INX CSTA WDTH MCNT SIZV LEN OLEN NOBT SDEF OBIT OFLG NLST MALM BUSY
"""
"""Fields that may not be written (``SPC_NOMOD``), whatever the record type; but see the next two."""
_WRITABLE = {
    "ao": "OVAL", "calcout": "OVAL", "mbbi": "FTVL ONVL", "mbbo": "FTVL ONVL", "subArray": "NELM",
}  # fmt: skip
_READ_ONLY_IN = {
    "aSub": "ONAM", "ao": "PVAL", "calcout": "DLYA", "compress": "INPN", "mbboDirect": "RVAL", "sel": "VAL",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldType:
    """One field of a record type."""

    kind: str
    """One letter of the table above."""
    menu: tuple[str, ...] = ()
    """The choices of a menu field."""
    initial: str = ""
    level: int = 1
    """Access security level."""
    read_only: bool = False


def _expanded(name: str) -> Iterator[str]:
    """All the names that ``@A-L`` or ``@16`` in a name stands for."""
    before, at, after = name.partition("@")
    if not at:
        yield name
    elif after.startswith("16"):
        yield from (before + state + after[2:] for state in STATES)
    else:
        first, last, rest = after[0], after[2], after[3:]
        yield from (f"{before}{chr(code)}{rest}" for code in range(ord(first), ord(last) + 1))


def _names(text: str) -> set[str]:
    return {name for word in text.split() for name in _expanded(word)}


def _fields(text: str, record_type: str = "") -> dict[str, FieldType]:
    fixed = _names(_READ_ONLY) - _names(_WRITABLE.get(record_type, "")) | _names(_READ_ONLY_IN.get(record_type, ""))
    fields: dict[str, FieldType] = {}
    for word in text.split():
        name, _, rest = word.partition(":")
        kind, _, initial = rest.partition("=")
        level = 0 if name.endswith("*") else 1
        for each in _expanded(name.rstrip("*")):
            menu = MENUS[kind[1:]] if kind[0] == "m" else ()
            fields[each] = FieldType(kind[0], menu, initial, level, each in fixed)
    return fields


COMMON = _fields(_COMMON)
"""The fields of every record."""
RECORD_TYPES: Mapping[str, Mapping[str, FieldType]] = {
    name: COMMON | _fields(text, name) for name, text in _TYPES.items()
}
"""Record type → field name → what is known of it; not the VAL of arrays, whose type depends on the record."""
_SOFT = ("Soft Channel",)
_ASYNC = ("Soft Channel", "Async Soft Channel")
_RAW = ("Soft Channel", "Raw Soft Channel", "Async Soft Channel")
DEVICES: Mapping[str, tuple[str, ...]] = {
    "ai": (*_RAW, "Soft Timestamp", "General Time"),
    "ao": _RAW,
    "bi": (*_RAW, "Db State"),
    "bo": (*_RAW, "General Time", "Db State"),
    "longin": (*_ASYNC, "General Time"),
    "lsi": ("Soft Channel", "getenv"),
    "lso": (*_ASYNC, "stdio"),
    "printf": (*_ASYNC, "stdio"),
    "stringin": (*_ASYNC, "Soft Timestamp", "General Time", "getenv"),
    "stringout": (*_ASYNC, "stdio"),
    **dict.fromkeys(("mbbi", "mbbo", "mbbiDirect", "mbboDirect"), _RAW),
    **dict.fromkeys(("calcout", "int64in", "int64out", "longout"), _ASYNC),
    **dict.fromkeys(("aai", "aao", "event", "histogram", "subArray", "waveform"), _SOFT),
}
"""Record type → the device supports of EPICS Base (``devSoft.dbd``), in the order of the menu DTYP."""
ARRAY_TYPES = frozenset({"aai", "aao", "waveform", "subArray", "compress", "histogram"})
"""Record types whose VAL is an array."""

_INTEGER = re.compile(r"\s*[-+]?(0[xX][0-9a-fA-F]+|\d+)\s*\Z")
_FLOAT = re.compile(r"\s*[-+]?(0[xX][0-9a-fA-F]+|(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|inf(inity)?|nan)\s*\Z", re.IGNORECASE)


def field_problem(record_type: str, name: str, value: str) -> str | None:
    """Say what is wrong with a field of a record, or nothing.

    Fields of record types that are not in the table are never wrong: the type may be a facility's own.

    >>> field_problem("ai", "HIHII", "1")
    'ai has no field HIHII (did you mean HIHI?)'
    >>> field_problem("ai", "HIHI", "hot")
    "field HIHI: expected a number, found 'hot'"
    """
    fields = RECORD_TYPES.get(record_type)
    if fields is None:
        return None
    found = fields.get(name)
    if found is None:
        if name == "VAL" and record_type in ARRAY_TYPES:
            return None
        near = difflib.get_close_matches(name, fields, 1)
        return f"{record_type} has no field {name}" + (f" (did you mean {near[0]}?)" if near else "")
    kind = found.kind
    if kind in "sleD" or not value:
        return None
    if kind in "fd":
        return None if _FLOAT.match(value) else f"field {name}: expected a number, found {value!r}"
    if _INTEGER.match(value):
        number = int(value, 0) if value.strip(" +-").lower().startswith("0x") else int(value)
        if kind == "m" and not 0 <= number < len(found.menu) and number != 65535:
            return f"field {name}: expected 0 to {len(found.menu) - 1}, found {value}"
        return None
    if kind == "m":
        if value in found.menu:
            return None
        near = difflib.get_close_matches(value, found.menu, 1)
        choices = f"{near[0]!r}?" if near else "one of " + ", ".join(map(repr, found.menu))
        return f"field {name}: {value!r} is not a choice; " + (
            f"did you mean {choices}" if near else f"expected {choices}"
        )
    return f"field {name}: expected a whole number, found {value!r}"
