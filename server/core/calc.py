"""CALC expressions as EPICS evaluates them: numbers and the inputs A to U in, one number out.

Operators, their precedence and the functions are those of EPICS Base (``postfix.c``, ``calcPerform.c``): all binary
operators group from the left, ``^`` and ``**`` too, and a minus sign binds more closely than a power. Assignments
(``:=``) are refused, as access security refuses them.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence

Values = Sequence[float]
Node = Callable[[Values], float]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<word>[A-Za-z][A-Za-z0-9]*)"
    r"|(?P<operator>>>>|\*\*|&&|\|\||==|!=|<=|>=|<<|>>|:=|[-+*/%^&|=#<>!~?:(),;]))"
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTU"
"""Names of the inputs (``CALCPERFORM_NARGS``)."""


class CalcError(ValueError):
    """An expression that cannot be understood."""


def _whole(value: float) -> int:
    """Convert as C does to a 32 bit integer: wrapped; what is no number is 0."""
    if not math.isfinite(value):
        return 0
    number = int(value) & 0xFFFFFFFF
    return number - 0x100000000 if number & 0x80000000 else number


def _signed(value: int) -> float:
    return float(_whole(float(value & 0xFFFFFFFF)))


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if not a or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


def _modulo(a: float, b: float) -> float:
    divisor = _whole(b)
    return math.fmod(_whole(a), divisor) if divisor else math.nan


def _power(a: float, b: float) -> float:
    try:
        result = a**b
    except (OverflowError, ZeroDivisionError):
        return math.inf
    return math.nan if isinstance(result, complex) else result


def _safe(function: Callable[[float], float]) -> Callable[[float], float]:
    """Make a function of :mod:`math` answer as C does: NaN or infinity instead of an exception."""

    def call(value: float) -> float:
        try:
            return float(function(value))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return call


_BINARY: dict[str, tuple[int, Callable[[float, float], float]]] = {
    "||": (1, lambda a, b: float(bool(a) or bool(b))),
    "|": (1, lambda a, b: _signed(_whole(a) | _whole(b))),
    "OR": (1, lambda a, b: _signed(_whole(a) | _whole(b))),
    "XOR": (1, lambda a, b: _signed(_whole(a) ^ _whole(b))),
    "&&": (2, lambda a, b: float(bool(a) and bool(b))),
    "&": (2, lambda a, b: _signed(_whole(a) & _whole(b))),
    "AND": (2, lambda a, b: _signed(_whole(a) & _whole(b))),
    "<<": (2, lambda a, b: _signed(_whole(a) << (_whole(b) & 31))),
    ">>": (2, lambda a, b: float(_whole(a) >> (_whole(b) & 31))),
    ">>>": (2, lambda a, b: _signed((_whole(a) & 0xFFFFFFFF) >> (_whole(b) & 31))),
    "=": (3, lambda a, b: float(a == b)),
    "==": (3, lambda a, b: float(a == b)),
    "#": (3, lambda a, b: float(a != b)),
    "!=": (3, lambda a, b: float(a != b)),
    "<": (3, lambda a, b: float(a < b)),
    "<=": (3, lambda a, b: float(a <= b)),
    ">": (3, lambda a, b: float(a > b)),
    ">=": (3, lambda a, b: float(a >= b)),
    "+": (4, lambda a, b: a + b),
    "-": (4, lambda a, b: a - b),
    "*": (5, lambda a, b: a * b),
    "/": (5, _divide),
    "%": (5, _modulo),
    "^": (6, _power),
    "**": (6, _power),
}
"""Operator → precedence (``operators[]`` in ``postfix.c``) and meaning."""
_UNARY: dict[str, Callable[[float], float]] = {
    "-": lambda a: -a,
    "+": lambda a: a,
    "!": lambda a: float(not a),
    "~": lambda a: float(~_whole(a)),
    "NOT": lambda a: float(~_whole(a)),
}
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "ABS": abs,
    "SQR": _safe(math.sqrt),
    "SQRT": _safe(math.sqrt),
    "EXP": _safe(math.exp),
    "LOG": _safe(lambda a: math.log10(a) if a else -math.inf),
    "LN": _safe(lambda a: math.log(a) if a else -math.inf),
    "LOGE": _safe(lambda a: math.log(a) if a else -math.inf),
    "CEIL": _safe(math.ceil),
    "FLOOR": _safe(math.floor),
    "NINT": lambda a: float(_whole(a + 0.5 if a >= 0 else a - 0.5)),
    "INT": lambda a: float(_whole(a + 0.5 if a >= 0 else a - 0.5)),
    "SIN": _safe(math.sin),
    "COS": _safe(math.cos),
    "TAN": _safe(math.tan),
    "ASIN": _safe(math.asin),
    "ACOS": _safe(math.acos),
    "ATAN": _safe(math.atan),
    "SINH": _safe(math.sinh),
    "COSH": _safe(math.cosh),
    "TANH": _safe(math.tanh),
    "ISINF": lambda a: float(math.isinf(a)),
}
_SEVERAL: dict[str, Callable[[Sequence[float]], float]] = {
    "MIN": lambda all_: math.nan if any(map(math.isnan, all_)) else min(all_),
    "MAX": lambda all_: math.nan if any(map(math.isnan, all_)) else max(all_),
    "ISNAN": lambda all_: float(any(map(math.isnan, all_))),
    "FINITE": lambda all_: float(all(map(math.isfinite, all_))),
}
_CONSTANTS: dict[str, float] = {"PI": math.pi, "D2R": math.pi / 180, "R2D": 180 / math.pi}


class Calc:
    """An expression, ready to be evaluated.

    >>> Calc("A>3 && (B=1)")([5.0, 1.0])
    1.0

    Args:
        text: The expression.

    Raises:
        CalcError: It cannot be understood; says what was expected, and where.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        parser = _Parser(text)
        self._node = parser.whole()
        self.used = frozenset(parser.used)
        """Indices of the inputs that occur."""

    def __call__(self, values: Values) -> float:
        """Return the value of the expression; inputs beyond ``values`` are 0."""
        return self._node(values)


class _Parser:
    """Precedence climbing over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.used: set[int] = set()
        self.tokens: list[tuple[str, str, int]] = []
        at = 0
        while (found := _TOKEN.match(text, at)) is not None:
            self.tokens.append((found.lastgroup or "", found[0].strip().upper(), found.end()))
            at = found.end()
        if text[at:].strip():
            raise CalcError(f"{text!r}: unexpected {text[at:].strip()[0]!r} at character {at + 1}")
        self.tokens.append(("end", "the end", len(text)))
        self.at = 0

    @property
    def token(self) -> str:
        return self.tokens[self.at][1]

    def expected(self, what: str) -> CalcError:
        return CalcError(f"{self.text!r}: expected {what}, found {self.token}")

    def accept(self, *tokens: str) -> str:
        """Take the next token if it is one of these; what it was, or nothing."""
        token = self.token
        if token not in tokens:
            return ""
        self.at += 1
        return token

    def whole(self) -> Node:
        node = self.choice()
        while self.accept(";"):
            if self.tokens[self.at][0] == "end":
                break
            node = self.choice()
        if self.tokens[self.at][0] != "end":
            raise self.expected("an operator")
        return node

    def choice(self) -> Node:
        condition = self.binary(1)
        if not self.accept("?"):
            return condition
        yes = self.choice()
        if not self.accept(":"):
            raise self.expected("':'")
        no = self.choice()
        return lambda v: yes(v) if condition(v) else no(v)

    def binary(self, lowest: int) -> Node:
        left = self.unary()
        while (found := _BINARY.get(self.token)) is not None and found[0] >= lowest:
            self.at += 1
            left = _apply(found[1], left, self.binary(found[0] + 1))
        return left

    def unary(self) -> Node:
        if (operator := self.accept(*_UNARY)) != "":
            operand, call = self.unary(), _UNARY[operator]
            return lambda v: call(operand(v))
        return self.operand()

    def operand(self) -> Node:
        if self.accept("("):
            node = self.choice()
            self.close()
            return node
        kind, token, _ = self.tokens[self.at]
        if kind == "number":
            self.at += 1
            number = float(int(token, 16)) if token.startswith("0X") else float(token)
            return lambda _: number
        if kind != "word":
            raise self.expected("a number, an input A to U, a function or '('")
        self.at += 1
        return self.word(token)

    def word(self, token: str) -> Node:
        if len(token) == 1 and token in LETTERS:
            index = LETTERS.index(token)
            self.used.add(index)
            return lambda v: v[index] if index < len(v) else 0.0
        if token in _CONSTANTS:
            constant = _CONSTANTS[token]
            return lambda _: constant
        if token == "RNDM":
            return lambda _: random.random()
        if token in _FUNCTIONS:
            operand, call = self.unary(), _FUNCTIONS[token]
            return lambda v: call(operand(v))
        if token in _SEVERAL:
            several, all_ = _SEVERAL[token], self.arguments()
            return lambda v: several([node(v) for node in all_])
        if token == "ATAN2":
            both = self.arguments()
            if len(both) != 2:
                raise CalcError(f"{self.text!r}: ATAN2 needs two arguments, found {len(both)}")
            y, x = both
            return lambda v: math.atan2(x(v), y(v))  # calcPerform.c: ATAN2(a, b) is atan2(b, a)
        self.at -= 1
        raise self.expected("a number, an input A to U, a function or '('")

    def arguments(self) -> list[Node]:
        if not self.accept("("):
            raise self.expected("'('")
        nodes = [self.choice()]
        while self.accept(","):
            nodes.append(self.choice())
        self.close()
        return nodes

    def close(self) -> None:
        if not self.accept(")"):
            raise self.expected("')'")


def _apply(call: Callable[[float, float], float], left: Node, right: Node) -> Node:
    return lambda v: call(left(v), right(v))
