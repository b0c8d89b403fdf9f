"""EPICS database files: text with macros → records → process variables, without any record processing.

``parser`` turns one file's text into statements; ``load`` follows includes and substitution files and joins the
statements into records; ``record_types`` holds what is known of each record type; ``build`` makes process variables of
records, and ``record_fields`` those of their fields.
"""

from __future__ import annotations

from canet.server.core.macros import parse_macros
from canet.server.core.problem import DatabaseError, Problem
from canet.server.database.load import Database, Record, load

__all__ = ["Database", "DatabaseError", "Problem", "Record", "load", "parse_macros"]
