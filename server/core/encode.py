"""Payloads of a PV, encoded once for all who read or watch it, until the value changes."""

from __future__ import annotations

from canet.server.core.fields import record_type_of
from canet.server.core.pv import PV, Encodings
from canet.server.core.update import Update
from canet.server.protocol.payload import encode, encode_number

_MOST = 32
"""Different (type, count) that are kept of one value; arrays of many counts must not pile up."""


def payload_of(pv: PV, dbr_type: int, count: int) -> bytes:
    """Return the padded payload of the present value.

    Raises:
        ConversionError: if the value has no counterpart in the type.
    """
    cache = pv.cache
    if cache is None:
        cache = pv.cache = Encodings()
    payload = cache.payloads.get((dbr_type, count))
    if payload is None:
        payload = None
        if count == 1 and pv.max_count == 1 and dbr_type % 7 == pv.type:
            payload = encode_number(dbr_type, pv.value, pv.status, pv.severity, pv.stamp)
        if payload is None:
            payload = encode_update(pv, pv.update(0), dbr_type, count)
        if len(cache.payloads) >= _MOST:
            cache.payloads.clear()
        cache.payloads[dbr_type, count] = payload
    return payload


def encode_update(pv: PV, update: Update, dbr_type: int, count: int) -> bytes:
    """Return the padded payload of one update of a PV, which filters may have changed.

    Raises:
        ConversionError: if the value has no counterpart in the type.
    """
    return encode(
        dbr_type,
        count,
        update.value,
        pv.type,
        status=update.status,
        severity=update.severity,
        stamp=update.stamp,
        metadata=pv.metadata,
        acknowledge=(pv.acknowledge_transient, pv.unacknowledged),
        class_name=pv.record_type or record_type_of(pv),
    )
