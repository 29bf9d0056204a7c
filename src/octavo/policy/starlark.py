"""The part of Starlark that rule files are written in, evaluated within limits.

Starlark's syntax is a part of Python's, so Python's own parser reads it and this file walks the
tree: constants, lists, dicts, names, arithmetic, comparisons, `if`, `for`, comprehensions, `def`,
f-strings and calls of what the caller offers. There is no `load`, no `while`, no recursion, no way
to an attribute of Python's: a method is one of the few in `_METHODS`. Every step is counted and
every value is small, so a hostile file ends as an error, and every error has a line.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, NoReturn

Value = Any
"""A string, number, boolean, None, list, tuple, dict, range or function of the file."""

SOURCE_LIMIT_BYTES = 256 << 10
STEP_LIMIT = 200_000
SIZE_LIMIT = 10_000
"""Longest string, list or dict that may come into being."""
PER_STEP = 16
"""Going near a value costs one step for so many of its items."""
DEPTH_LIMIT = 60
"""How deeply expressions and calls may nest."""


class StarlarkError(Exception):
    """The file is wrong; `line` says where."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Return(Exception):
    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


def run(source: str, offered: dict[str, Callable[..., Value]]) -> None:
    """Evaluate a file. A function of `offered` is called with the keyword `line` besides its own.

    Raises:
        StarlarkError: the file is wrong, too big, or takes too long; or a function raised
            `ValueError`, whose message is kept.
    """
    if len(source.encode(errors="replace")) > SOURCE_LIMIT_BYTES:
        raise StarlarkError(f"the file is longer than {SOURCE_LIMIT_BYTES >> 10} KiB", 1)
    _check_nesting(source)
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise StarlarkError(f"syntax error: {error.msg}", error.lineno or 1) from None
    except (ValueError, RecursionError, MemoryError, OverflowError):
        raise StarlarkError("the file cannot be parsed", 1) from None
    evaluation = _Evaluation(offered)
    try:
        evaluation.block(tree.body, {})
    except (_Break, _Continue):
        raise StarlarkError("break or continue is outside a loop", evaluation.line) from None
    except RecursionError:
        raise StarlarkError("it is nested too deeply", evaluation.line) from None


def _check_nesting(source: str) -> None:
    """Refuse what would overflow the parser: long chains of brackets, signs and dots."""
    for number, line in enumerate(source.split("\n"), 1):
        if len(line) > 5_000:
            raise StarlarkError("the line is too long", number)
    level = 0
    chain = 0
    line_number = 1
    for char in source:
        line_number += char == "\n"
        level = max(0, level + (char in "([{") - (char in ")]}"))
        chain = 0 if char in ",\n\"'#" else chain + (char in "-+~.*([{")
        if level > DEPTH_LIMIT * 2 or chain > 400:
            raise StarlarkError("it is nested too deeply", line_number)


_BINARY: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}
_COMPARED: dict[type[ast.cmpop], Callable[[Value, Value], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        "split rsplit splitlines join startswith endswith strip lstrip rstrip lower upper replace"
        " removeprefix removesuffix find count title capitalize isdigit isalpha index partition"
        " rpartition".split()
    ),
    list: frozenset(("append", "extend", "insert", "pop", "clear")),
    dict: frozenset(("get", "items", "keys", "values", "pop")),
}
_BUILTINS: dict[str, Callable[..., Value]] = {
    **{one.__name__: one for one in (len, str, bool, int, list, tuple, range, sorted)},
    **{one.__name__: one for one in (min, max, any, all)},
    "enumerate": lambda many, start=0: [(i, one) for i, one in enumerate(many, start)],
    "zip": lambda *many: list(zip(*many, strict=False)),
    "reversed": lambda many: list(many)[::-1],
    "print": lambda *_: None,
}
_SCALARS = (str, int, bool, type(None))
_CONSTANTS: dict[str, Value] = {"True": True, "False": False, "None": None}


class _Function:
    def __init__(self, node: ast.FunctionDef, defaults: list[Value]) -> None:
        self.node = node
        self.defaults = defaults


class _Evaluation:
    def __init__(self, offered: dict[str, Callable[..., Value]]) -> None:
        self._offered = offered
        self._globals: dict[str, Value] = {}
        self._steps = 0
        self._running: list[_Function] = []
        self.line = 1

    # ---- Statements ----

    def block(self, body: list[ast.stmt], names: dict[str, Value] | None) -> None:
        """Run statements; `names` are a function's own, or an empty dict at the top."""
        scope = self._globals if not self._running else names
        assert scope is not None
        for statement in body:
            self._statement(statement, scope)

    def _statement(self, node: ast.stmt, names: dict[str, Value]) -> None:
        self._step(node)
        match node:
            case ast.Expr():
                self._value(node.value, names)
            case ast.Assign(targets=[target]):
                self._assign(target, self._value(node.value, names), names)
            case ast.AugAssign(target=ast.Name() as target):
                before = self._value(ast.copy_location(ast.Name(target.id), target), names)
                after = self._binary(node.op, before, self._value(node.value, names), node)
                self._assign(target, after, names)
            case ast.If():
                chosen = node.body if self._value(node.test, names) else node.orelse
                self.block(chosen, names)
            case ast.For(orelse=[]):
                self._for(node, names)
            case ast.FunctionDef(decorator_list=[], returns=None):
                self._define(node, names)
            case ast.Return():
                if not self._running:
                    self._fail("return is outside a function", node)
                raise _Return(None if node.value is None else self._value(node.value, names))
            case ast.Pass():
                pass
            case ast.Break():
                raise _Break
            case ast.Continue():
                raise _Continue
            case _:
                self._fail(f"rules cannot use {type(node).__name__.lower()}", node)

    def _for(self, node: ast.For, names: dict[str, Value]) -> None:
        for item in self._items(self._value(node.iter, names), node):
            self._step(node)
            self._assign(node.target, item, names)
            try:
                self.block(node.body, names)
            except _Break:
                break
            except _Continue:
                continue

    def _define(self, node: ast.FunctionDef, names: dict[str, Value]) -> None:
        wanted = node.args
        if wanted.vararg or wanted.kwarg or wanted.kwonlyargs or wanted.posonlyargs:
            self._fail("a function of a rule file has plain parameters only", node)
        defaults = [self._value(default, names) for default in wanted.defaults]
        names[node.name] = _Function(node, defaults)

    def _assign(self, target: ast.expr, value: Value, names: dict[str, Value]) -> None:
        match target:
            case ast.Name():
                names[target.id] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                items = self._items(value, target)
                if len(items) != len(parts):
                    self._fail(f"{len(items)} values for {len(parts)} names", target)
                for part, item in zip(parts, items, strict=True):
                    self._assign(part, item, names)
            case ast.Subscript():
                holder = self._value(target.value, names)
                if not isinstance(holder, list | dict):
                    self._fail("only lists and dicts can be changed", target)
                key = self._flat(self._value(target.slice, names), target)
                self._guard(lambda: operator.setitem(holder, key, value), target)
            case _:
                self._fail("this cannot be assigned to", target)

    # ---- Expressions ----

    def _value(self, node: ast.expr, names: dict[str, Value]) -> Value:
        self._step(node)
        value = self._raw(node, names)
        if isinstance(value, str | list | tuple | dict | range):
            if len(value) > SIZE_LIMIT:
                self._fail("a value is too big", node)
            self._steps += len(value) // PER_STEP
        if isinstance(value, int) and value.bit_length() > 64:
            self._fail("a number is too big", node)
        return value

    def _raw(self, node: ast.expr, names: dict[str, Value]) -> Value:
        match node:
            case ast.Constant(value=str() | int() | bool() | None):
                return node.value
            case ast.Name():
                return self._name(node, names)
            case ast.List():
                return [self._value(one, names) for one in node.elts]
            case ast.Tuple():
                return tuple(self._value(one, names) for one in node.elts)
            case ast.Dict():
                return self._dict(node, names)
            case ast.BinOp():
                left, right = self._value(node.left, names), self._value(node.right, names)
                return self._binary(node.op, left, right, node)
            case ast.BoolOp():
                return self._bool(node, names)
            case ast.UnaryOp(op=ast.Not()):
                return not self._value(node.operand, names)
            case ast.UnaryOp(op=ast.USub()):
                return self._guard(lambda: -self._value(node.operand, names), node)
            case ast.Compare():
                return self._compare(node, names)
            case ast.IfExp():
                chosen = node.body if self._value(node.test, names) else node.orelse
                return self._value(chosen, names)
            case ast.Subscript():
                return self._subscript(node, names)
            case ast.JoinedStr():
                return "".join(self._piece(one, names) for one in node.values)
            case ast.ListComp():
                return [self._value(node.elt, scope) for scope in self._scopes(node, names)]
            case ast.DictComp():
                return {
                    self._flat(self._value(node.key, scope), node): self._value(node.value, scope)
                    for scope in self._scopes(node, names)
                }
            case ast.Call():
                return self._call(node, names)
            case _:
                return self._fail(f"rules cannot use {type(node).__name__.lower()}", node)

    def _name(self, node: ast.Name, names: dict[str, Value]) -> Value:
        for place in (names, self._globals, self._offered, _BUILTINS, _CONSTANTS):
            if node.id in place:
                return place[node.id]
        return self._fail(f"there is no {node.id!r}", node)

    def _dict(self, node: ast.Dict, names: dict[str, Value]) -> Value:
        found = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                self._fail("rules cannot use ** in a dict", node)
            made = self._flat(self._value(key, names), node)
            content = self._value(value, names)
            found[made] = content
        return found

    def _binary(self, op: ast.operator, left: Value, right: Value, node: ast.AST) -> Value:
        function = _BINARY.get(type(op))
        if function is None:
            self._fail(f"rules cannot use the operator {type(op).__name__}", node)
        if isinstance(op, ast.Mult):
            sizes = [one if isinstance(one, int) else len(one) for one in (left, right)]
            sequence = any(isinstance(one, str | list | tuple) for one in (left, right))
            if sequence and sizes[0] * sizes[1] > SIZE_LIMIT:
                self._fail("a value is too big", node)
        if isinstance(op, ast.Mod) and isinstance(left, str):
            self._fail("rules cannot use % on strings; use +, or an f-string", node)
        return self._guard(lambda: function(left, right), node)

    def _bool(self, node: ast.BoolOp, names: dict[str, Value]) -> Value:
        value: Value = None
        for one in node.values:
            value = self._value(one, names)
            if bool(value) == isinstance(node.op, ast.Or):
                return value
        return value

    def _compare(self, node: ast.Compare, names: dict[str, Value]) -> bool:
        if len(node.ops) != 1:
            self._fail("comparisons cannot be chained", node)
        function = _COMPARED.get(type(node.ops[0]))
        if function is None:
            self._fail("rules cannot use `is`; use ==", node)
        left = self._flat(self._value(node.left, names), node)
        right = self._flat(self._value(node.comparators[0], names), node)
        return bool(self._guard(lambda: function(left, right), node))

    def _subscript(self, node: ast.Subscript, names: dict[str, Value]) -> Value:
        holder = self._value(node.value, names)
        if isinstance(node.slice, ast.Slice):
            low, high, step = (
                None if one is None else self._value(one, names)
                for one in (node.slice.lower, node.slice.upper, node.slice.step)
            )
            return self._guard(lambda: holder[low:high:step], node)
        index = self._flat(self._value(node.slice, names), node)
        return self._guard(lambda: holder[index], node)

    def _piece(self, node: ast.expr, names: dict[str, Value]) -> str:
        if isinstance(node, ast.FormattedValue):
            if node.format_spec is not None or node.conversion != -1:
                self._fail("an f-string of a rule has plain names only", node)
            return self._text(self._value(node.value, names), node)
        return self._text(self._value(node, names), node)

    def _text(self, value: Value, node: ast.AST) -> str:
        if not isinstance(value, _SCALARS):
            self._fail("only strings and numbers become text", node)
        return str(value)

    def _scopes(self, node: ast.ListComp | ast.DictComp, names: dict[str, Value]) -> Any:
        """Yield the names of each round of a comprehension."""

        def rounds(left: list[ast.comprehension], scope: dict[str, Value]) -> Any:
            if not left:
                yield scope
                return
            first, *others = left
            if first.is_async:
                self._fail("rules cannot use async", node)
            made = 0
            for item in self._items(self._value(first.iter, scope), node):
                self._step(node)
                inner = dict(scope)
                self._assign(first.target, item, inner)
                if all(self._value(test, inner) for test in first.ifs):
                    made += 1
                    if made > SIZE_LIMIT:
                        self._fail("a value is too big", node)
                    yield from rounds(others, inner)

        return rounds(node.generators, {} if names is self._globals else dict(names))

    def _call(self, node: ast.Call, names: dict[str, Value]) -> Value:
        args = [self._value(one, names) for one in node.args]
        keywords: dict[str, Value] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                self._fail("rules cannot use ** in a call", node)
            keywords[keyword.arg] = self._value(keyword.value, names)
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func, args, keywords, names)
        function = self._value(node.func, names)
        if isinstance(function, _Function):
            return self._function(node, function, args, keywords)
        if any(function is offered for offered in self._offered.values()):
            if "line" in keywords:
                self._fail("there is no argument 'line'", node)
            keywords["line"] = node.lineno
            return self._guard(lambda: function(*args, **keywords), node)
        if not any(function is builtin for builtin in _BUILTINS.values()):
            self._fail("this cannot be called", node)
        if function is str:
            return self._text(args[0] if len(args) == 1 and not keywords else (), node)
        if function in (min, max, sorted):
            args = [self._flat(one, node) for one in args]
        return self._guard(lambda: function(*args, **keywords), node)

    def _method(
        self,
        node: ast.Call,
        attribute: ast.Attribute,
        args: list[Value],
        keywords: dict[str, Value],
        names: dict[str, Value],
    ) -> Value:
        holder = self._value(attribute.value, names)
        if attribute.attr not in _METHODS.get(type(holder), ()):
            self._fail(f"there is no method {attribute.attr!r} here", node)
        self._check_growth(holder, attribute.attr, args, node)
        if isinstance(holder, dict):
            args = [self._flat(args[0], node), *args[1:]] if args else args
        made = self._guard(lambda: getattr(holder, attribute.attr)(*args, **keywords), node)
        if attribute.attr in ("items", "keys", "values"):
            return list(made)
        if isinstance(holder, list | dict) and len(holder) > SIZE_LIMIT:
            self._fail("a value is too big", node)
        return made

    def _check_growth(self, holder: Value, method: str, args: list[Value], node: ast.AST) -> None:
        """Refuse the two methods that make a big string of small ones, before they do."""
        size = 0
        if method == "replace" and len(args) > 1 and isinstance(args[1], str):
            size = (len(holder) + 1) * len(args[1])
        elif method == "join" and args and isinstance(args[0], list | tuple):
            size = sum(len(one) + len(holder) for one in args[0] if isinstance(one, str))
        if size > SIZE_LIMIT:
            self._fail("a value is too big", node)

    def _function(
        self, node: ast.Call, function: _Function, args: list[Value], keywords: dict[str, Value]
    ) -> Value:
        if function in self._running:
            self._fail("a function of a rule file cannot call itself", node)
        if len(self._running) > DEPTH_LIMIT:
            self._fail("it is nested too deeply", node)
        wanted = [one.arg for one in function.node.args.args]
        given = dict(
            zip(wanted[len(wanted) - len(function.defaults) :], function.defaults, strict=True)
        )
        if len(args) > len(wanted) or not set(keywords) <= set(wanted[len(args) :]):
            self._fail(f"{function.node.name} is called with other arguments than it has", node)
        given |= dict(zip(wanted, args, strict=False)) | keywords
        if missing := [name for name in wanted if name not in given]:
            self._fail(f"{function.node.name} needs {', '.join(missing)}", node)
        self._running.append(function)
        try:
            for statement in function.node.body:
                self._statement(statement, given)
        except _Return as returned:
            return returned.value
        finally:
            self._running.pop()
        return None

    # ---- Limits ----

    def _items(self, value: Value, node: ast.AST) -> list[Value]:
        if not isinstance(value, list | tuple | dict | range):
            self._fail("this is nothing to go through; Starlark does not iterate strings", node)
        if len(value) > SIZE_LIMIT:
            self._fail("a value is too big", node)
        return list(value)

    def _flat(self, value: Value, node: ast.AST) -> Value:
        """Return a value that costs no more to compare than it is long."""
        many = value if isinstance(value, list | tuple | dict) else ()
        if not isinstance(value, (*_SCALARS, list, tuple, dict, range)) or not all(
            isinstance(one, _SCALARS) for one in many
        ):
            self._fail("only strings, numbers and lists of them are compared or looked up", node)
        return value

    def _step(self, node: ast.AST) -> None:
        self.line = getattr(node, "lineno", self.line)
        self._steps += 1
        if self._steps > STEP_LIMIT:
            self._fail("it takes too long", node)

    def _guard(self, work: Callable[[], Value], node: ast.AST) -> Value:
        """Do what may fail, and put a line to the failure."""
        line = getattr(node, "lineno", self.line)
        try:
            return work()
        except (
            TypeError,
            ValueError,
            KeyError,
            IndexError,
            ZeroDivisionError,
            OverflowError,
        ) as error:
            raise StarlarkError(str(error) or type(error).__name__, line) from None

    def _fail(self, message: str, node: ast.AST) -> NoReturn:
        raise StarlarkError(message, getattr(node, "lineno", self.line))
