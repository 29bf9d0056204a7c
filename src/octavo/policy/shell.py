"""The shell's language, read by hand: a script into simple commands with their words decoded.

Not a shell, and not forgiving: of what bash, zsh and sh understand it reads the part whose meaning
is the same whatever the variables hold, and raises `Unreadable` at the rest. Commands found
before that point stay in `commands`.
"""

from __future__ import annotations

import re

from octavo.policy import Command, Redirect, Shell, Word
from octavo.policy.expansions import DOLLAR, ansi_c, backticked, braces_expand

DEPTH = 40
"""How deeply substitutions, groups and quotes may nest."""

RESERVED = re.compile(
    r"(?:if|then|elif|else|fi|while|until|for|select|do|done|case|esac|function|time|coproc|in"
    r"|foreach|end|repeat|\{|\}|!|\[\[|\]\])(?=[ \t\n;&|<>()]|$)"
)
CLOSERS = {"then", "elif", "else", "fi", "do", "done", "esac", "}", "in", "]]", "end"}
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\[[\w@*]*\])?\+?=", re.ASCII)
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
REDIRECT = re.compile(r"(\d*)(<<<|<<-|<<|<>|<&|<|>>|>&|>\||>)|(&>>|&>)")
OPERATOR = re.compile(r"&&|\|\||\|&|;;&|;;|;&|;|&|\||\n")
SETTERS = {"read", "mapfile", "readarray", "getopts", "printf", "set", "let", "wait"}
DECLARERS = {"declare", "typeset", "local", "export", "readonly"}
PLAIN_VALUE = re.compile(r"[\w.:/+-]*", re.ASCII)
WORD_END = " \t\n;&|<>()"


class Unreadable(Exception):
    """The rest of the script cannot be read; the message says why, for a person."""


class Parser:
    """One text being read. `commands` holds what was found, `spans` where each was written."""

    def __init__(self, text: str, shell: Shell, depth: int = 0) -> None:
        self.text = text
        self.shell = shell
        self.at = 0
        self.depth = depth
        self.commands: list[Command] = []
        self.spans: list[tuple[tuple[int, int], ...]] = []
        self.bodies: dict[int, str | None] = {}
        self._inside: tuple[str, ...] = ()
        self._pending: list[tuple[str, bool, bool, int]] = []
        self._arithmetic = False
        self.odd_value = False
        """Whether a variable may hold what would run when it is calculated with."""

    def parse(self) -> None:
        """Read the whole text."""
        self._list("")
        if self.at < len(self.text):
            raise Unreadable(f"it has {self.text[self.at]!r} where no command can start")
        if self._pending:
            raise Unreadable("a here-document has no end")
        if self.calculates_unknown:
            raise Unreadable("it calculates with a value that is known only when it runs")

    @property
    def calculates_unknown(self) -> bool:
        """Whether it calculates with a value that may hold commands, as bash's may."""
        return self._arithmetic and self.odd_value

    # ---- Lists and compounds -------------------------------------------------------------

    def _list(self, closer: str) -> None:
        """Read commands up to `closer` or a closing word, and stop before it."""
        self.depth += 1
        if self.depth > DEPTH:
            raise Unreadable("it is nested too deeply")
        while True:
            self._blank(newlines=True)
            if self._done(closer):
                break
            self._command()
            self._blank()
            if self._done(closer):
                break
            operator = OPERATOR.match(self.text, self.at)
            if operator is None or operator[0] in (";&", ";;&"):
                raise Unreadable(f"it has {self.text[self.at]!r} where a command has to end")
            if operator[0] == ";;":
                break
            if operator[0] == "|&":
                self._need_bash("|&")
            self._operator(operator[0])
            if operator[0] in ("&&", "||", "|", "|&"):
                self._blank(newlines=True)
                if self._done(closer) or OPERATOR.match(self.text, self.at):
                    raise Unreadable(f"nothing follows {operator[0]}")
        self.depth -= 1

    def _operator(self, operator: str) -> None:
        self.at += len(operator)
        if operator == "\n":
            self._here_documents()

    def _done(self, closer: str) -> bool:
        if self.at >= len(self.text):
            if closer:
                raise Unreadable(f"it ends before {closer!r}")
            return True
        if self.text[self.at] == ")":
            return True
        word = self._reserved()
        return word in CLOSERS or self.text.startswith(";;", self.at)

    def _reserved(self) -> str:
        match = RESERVED.match(self.text, self.at)
        return match[0] if match else ""

    def _expect(self, word: str) -> None:
        self._blank(newlines=True)
        if self._reserved() != word and not (word == ")" and self.text.startswith(")", self.at)):
            raise Unreadable(f"it has no {word!r} where one belongs")
        self.at += len(word)

    def _within(self, kind: str, closer: str) -> None:
        before = self._inside
        self._inside = (*before, kind)
        self._list(closer)
        self._inside = before

    def _command(self) -> None:
        word = self._reserved()
        if self.text.startswith("((", self.at):
            self._need_bash("((")
            self._calculation(2)
        elif self.text[self.at] == "(":
            self.at += 1
            self._within("subshell", ")")
            self._expect(")")
        elif not word:
            self._simple()
            return
        elif word in ("!", "time"):
            self.at += len(word)
            self._blank()
            if word == "time" and self.text.startswith("-p ", self.at):
                self.at += 3
                self._blank()
            if word == "time" and self.text.startswith("-", self.at):
                raise Unreadable("it has options for 'time', which shells read differently")
            if self.at >= len(self.text) or self.text[self.at] in "\n;&|)":
                raise Unreadable(f"nothing follows {word!r}")
            self._command()
            return
        else:
            self._compound(word)
        self._redirects_after()

    def _compound(self, word: str) -> None:
        self.at += len(word)
        match word:
            case "{":
                self._within("group", "}")
                self._expect("}")
            case "if":
                self._within("branch", "then")
                self._branches()
            case "while" | "until":
                self._within("loop", "do")
                self._body()
            case "for" | "select":
                self._for()
            case "case":
                self._case()
            case "[[":
                self._need_bash("[[")
                self._test()
            case "function":
                raise Unreadable("it defines a function")
            case _:
                raise Unreadable(f"it has {word!r} where a command belongs")

    def _branches(self) -> None:
        self._expect("then")
        self._within("branch", "fi")
        while self._reserved() == "elif":
            self.at += 4
            self._within("branch", "then")
            self._expect("then")
            self._within("branch", "fi")
        if self._reserved() == "else":
            self.at += 4
            self._within("branch", "fi")
        self._expect("fi")

    def _body(self) -> None:
        self._expect("do")
        self._within("loop", "done")
        self._expect("done")

    def _for(self) -> None:
        self._blank()
        if self.text.startswith("((", self.at):
            self._need_bash("for ((")
            self._calculation(2)
        else:
            name = NAME.match(self.text, self.at)
            if name is None:
                raise Unreadable("a loop has no variable")
            self.at = name.end()
            self._blank(newlines=True)
            if self._reserved() == "in":
                self.at += 2
                self._blank()
                while self.at < len(self.text) and self.text[self.at] not in WORD_END:
                    self._value(self._word())
                    self._blank()
            else:
                self.odd_value = True
        self._blank()
        if self.text[self.at : self.at + 1] in (";", "\n"):
            self._operator(self.text[self.at])
        self._body()

    def _case(self) -> None:
        self._blank()
        self._word()
        self._expect("in")
        while True:
            self._blank(newlines=True)
            if self._reserved() == "esac":
                break
            if self.text.startswith("(", self.at):
                self.at += 1
            while True:
                self._blank()
                if self.at >= len(self.text) or self.text[self.at] in WORD_END:
                    raise Unreadable("a pattern of a case cannot be read")
                self._word()
                self._blank()
                if self.text[self.at : self.at + 1] != "|":
                    break
                self.at += 1
            self._expect(")")
            self._within("branch", "esac")
            if not self.text.startswith(";;", self.at):
                break
            self.at += 2
            if self.text.startswith("&", self.at):
                raise Unreadable("it has ';;&'")
        self._expect("esac")

    def _test(self) -> None:
        """Read `[[ … ]]`, whose words run nothing but the substitutions in them."""
        while True:
            self._blank(newlines=True)
            if self.at >= len(self.text):
                raise Unreadable("it ends before ']]'")
            if self._reserved() == "]]":
                self.at += 2
                return
            operator = re.compile(r"&&|\|\||[()<>]").match(self.text, self.at)
            if operator:
                self.at = operator.end()
                continue
            if self.text[self.at] in WORD_END:
                raise Unreadable("a test cannot be read")
            word = self._word()
            if word.text == "=~":
                self._blank()
                pattern = re.compile(r"[^\s'\"`\\]*").match(self.text, self.at)
                if pattern is None or not pattern[0] or "$(" in pattern[0] or "${" in pattern[0]:
                    raise Unreadable("a pattern of a test cannot be read")
                self.at = pattern.end()
            elif word.text in ("-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R"):
                self._arithmetic = True
                self.odd_value = self.odd_value or word.text in ("-v", "-R")

    # ---- Simple commands -----------------------------------------------------------------

    def _simple(self) -> None:
        words: list[Word] = []
        spans: list[tuple[int, int]] = []
        env: list[tuple[str, Word]] = []
        redirects: list[Redirect] = []
        while True:
            self._blank()
            if self.at >= len(self.text):
                break
            if redirect := REDIRECT.match(self.text, self.at):
                if not self._substitution_here():
                    redirects.append(self._redirect(redirect))
                    continue
            elif self.text[self.at] in WORD_END:
                if self.text[self.at] == "(":
                    raise Unreadable("it defines a function, or a pattern has parentheses")
                break
            assignment = None if words else ASSIGNMENT.match(self.text, self.at)
            if assignment:
                env.append(self._assignment(assignment))
                continue
            start = self.at
            words.append(self._word())
            spans.append((start, self.at))
            if self.text[self.at : self.at + 1] in ("<", ">") and "{" in self.text[start : self.at]:
                raise Unreadable("it names a file descriptor by a variable")
        if not words:
            if not env and not redirects:
                raise Unreadable(f"it has {self.text[self.at : self.at + 1]!r} out of place")
            # Assignments alone last for the rest of the script.
            words = [Word("export") if env else Word(":")]
            words += [Word(f"{name}={value.text}", value.kind, value.one) for name, value in env]
            env, spans = [], []
        elif RESERVED.fullmatch(words[0].text) and words[0].literal:
            raise Unreadable(f"it has a quoted {words[0].text!r} for a command")
        else:
            self._sets(words)
        inside = self._inside
        self.commands.append(Command(tuple(words), tuple(env), tuple(redirects), inside))
        self.spans.append(tuple(spans))

    def _substitution_here(self) -> bool:
        return self.text.startswith(("<(", ">("), self.at)

    def _assignment(self, match: re.Match[str]) -> tuple[str, Word]:
        self.at = match.end()
        if match[2]:
            self._arithmetic = True
        if self.text.startswith("(", self.at):
            self._need_bash("an array")
            self.at += 1
            self._blank(newlines=True)
            while not self.text.startswith(")", self.at):
                if self.at >= len(self.text) or self.text[self.at] in WORD_END + "[":
                    raise Unreadable("an array cannot be read")
                self._value(self._word())
                self._blank(newlines=True)
            self.at += 1
            return match[1], Word("(…)", "unknown", one=False)
        if self.at < len(self.text) and self.text[self.at] not in WORD_END:
            value = self._word()
        else:
            value = Word("")
        self._value(value)
        return match[1], value

    def _sets(self, words: list[Word]) -> None:
        """Note what a command does to variables."""
        if words[0].text in SETTERS:
            self.odd_value = True
        for word in words[1:]:
            assignment = ASSIGNMENT.match(word.text)
            if assignment:
                self._value(Word(word.text[assignment.end() :], word.kind, word.one))
            elif words[0].text in DECLARERS and not word.literal:
                self.odd_value = True

    def _value(self, value: Word) -> None:
        """Note whether a variable may now hold something that calculating would run."""
        if value.kind == "unknown" and value.text.isdigit():
            return  # The result of a calculation is a number.
        if not value.literal or not PLAIN_VALUE.fullmatch(value.text):
            self.odd_value = True

    def _redirects_after(self) -> None:
        """Read the redirections of a compound; they become a command that does nothing else."""
        redirects = []
        while True:
            self._blank()
            match = REDIRECT.match(self.text, self.at)
            if match is None:
                break
            redirects.append(self._redirect(match))
        if redirects:
            command = Command((Word(":"),), (), tuple(redirects), self._inside)
            self.commands.append(command)
            self.spans.append(())

    def _redirect(self, match: re.Match[str]) -> Redirect:
        op = match[2] or match[3]
        if op in ("<<<", "&>", "&>>"):
            self._need_bash(op)
        self.at = match.end()
        self._blank()
        if self.at >= len(self.text) or (
            self.text[self.at] in WORD_END and not self._substitution_here()
        ):
            raise Unreadable(f"nothing follows {op}")
        start = self.at
        word = self._word()
        if op in ("<&", ">&") and self.text[start] == "-" and self.at > start + 1:
            raise Unreadable(f"{op}- is followed by more")
        if op in ("<<", "<<-"):
            return self._here_document(op, word, self.text[start : self.at])
        return Redirect(op, word)

    def _here_document(self, op: str, word: Word, raw: str) -> Redirect:
        quoted = raw != word.text
        if not word.literal or not word.text or (quoted and "$" in raw) or "`" in raw:
            raise Unreadable("the end of a here-document cannot be known")
        number = len(self.bodies)
        self.bodies[number] = None
        self._pending.append((word.text, quoted, op == "<<-", number))
        return Redirect("<<", Word(str(number), "literal" if quoted else "unknown"))

    def _here_documents(self) -> None:
        """Read the here-documents announced on the line that just ended."""
        for end, quoted, tabs, number in self._pending:
            start = self.at
            lines: list[str] = []
            while True:
                if self.at >= len(self.text):
                    raise Unreadable("a here-document has no end")
                stop = self.text.find("\n", self.at)
                stop = len(self.text) if stop < 0 else stop
                line = self.text[self.at : stop]
                self.at = min(stop + 1, len(self.text))
                if (line.lstrip("\t") if tabs else line) == end:
                    break
                if not quoted and line.endswith("\\"):
                    raise Unreadable("a here-document has a line that goes on after its end")
                lines.append(line + "\n")
            body = "".join(lines)
            self.bodies[number] = body if quoted or not re.search(r"[$`\\]", body) else None
            if not quoted:
                self._expansions(body, start)
        self._pending = []

    def _expansions(self, body: str, start: int) -> None:
        """Read the substitutions in the text of a here-document."""
        end = self.at
        self.at = start
        while self.at < start + len(body):
            char = self.text[self.at]
            if char == "\\":
                self.at += 2
            elif char == "$":
                self._dollar(quoted=True)
            elif char == "`":
                self._backticks(quoted=False)
            else:
                self.at += 1
        if self.at > end:
            raise Unreadable("a substitution in a here-document has no end")
        self.at = end

    # ---- Words ---------------------------------------------------------------------------

    def _blank(self, *, newlines: bool = False) -> None:
        """Skip blanks, comments and, if asked, line ends."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t":
                self.at += 1
            elif char == "\\" and self.text.startswith("\\\n", self.at):
                self.at += 2
            elif char == "#" and self._at_word_start():
                stop = self.text.find("\n", self.at)
                self.at = len(self.text) if stop < 0 else stop
            elif char == "\n" and newlines:
                self._operator("\n")
            else:
                return

    def _at_word_start(self) -> bool:
        return self.at == 0 or self.text[self.at - 1] in WORD_END

    def _word(self) -> Word:
        """Read one word; there has to be one."""
        start = self.at
        out: list[str] = []
        kind = "literal"
        one = True
        glob = False
        if self._substitution_here():
            self._need_bash("a process substitution")
            self.at += 2
            self._substitution()
            out.append("/dev/fd/…")
            kind = "unknown"
        while self.at < len(self.text) and self.text[self.at] not in WORD_END:
            char = self.text[self.at]
            if char == "'":
                out.append(self._single())
            elif char == '"':
                text, known, single = self._double()
                out.append(text)
                kind = kind if known else "unknown"
                one = one and single
            elif char == "\\":
                if self.text[self.at + 1 : self.at + 2] in ("", "\n"):
                    raise Unreadable("a word is broken over two lines")
                out.append(self.text[self.at + 1])
                self.at += 2
            elif char == "$":
                text, known, single = self._dollar(quoted=False)
                out.append(text)
                kind = kind if known else "unknown"
                one = one and (known or single)
            elif char == "`":
                self._backticks(quoted=False)
                out.append("`…`")
                kind, one = "unknown", False
            elif char.isspace() or not char.isprintable():
                raise Unreadable(f"it has the control character {char!r} outside quotes")
            else:
                glob = glob or char in "*?["
                out.append(char)
                self.at += 1
        if self.at == start:
            raise Unreadable("a word is missing")
        return self._made(start, "".join(out), kind == "unknown", one=one, glob=glob)

    def _made(self, start: int, text: str, unknown: bool, *, one: bool, glob: bool) -> Word:
        raw = self.text[start : self.at]
        if braces_expand(raw):
            return Word(text, "unknown", one=False)
        if unknown or (raw[0] == "=" and len(raw) > 1 and raw not in ("==", "=~")):
            return Word(text, "unknown", one=one)
        if raw[0] == "~":
            return Word(text, "home" if raw[:2] == "~/" and not glob else "unknown")
        if glob and raw != "[":
            return Word(text, "glob", one=False)
        return Word(text)

    def _single(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise Unreadable("a quote has no end")
        text = self.text[self.at + 1 : end]
        self.at = end + 1
        return text

    def _double(self) -> tuple[str, bool, bool]:
        """Return the text between double quotes, whether it is known, whether it is one word."""
        self.at += 1
        out: list[str] = []
        known = single = True
        while True:
            if self.at >= len(self.text):
                raise Unreadable("a quote has no end")
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                return "".join(out), known, single
            if char == "\\":
                following = self.text[self.at + 1 : self.at + 2]
                if following != "\n":
                    out.append(following if following in '$`"\\' else "\\" + following)
                self.at += 2
            elif char == "$":
                text, this_known, this_single = self._dollar(quoted=True)
                out.append(text)
                known = known and this_known
                single = single and this_single
            elif char == "`":
                self._backticks(quoted=True)
                out.append("`…`")
                known = False
            else:
                out.append(char)
                self.at += 1

    def _dollar(self, *, quoted: bool) -> tuple[str, bool, bool]:
        """Read what starts with a dollar: its text, whether known, whether one word."""
        following = self.text[self.at + 1 : self.at + 2]
        if following == "\\" and self.text.startswith("\\\n", self.at + 1):
            raise Unreadable("a word is broken over two lines")
        if following == "(":
            if self.text.startswith("$((", self.at):
                self._calculation(3)
                return "0", False, True
            self.at += 2
            self._substitution()
            return "$(…)", False, quoted
        if following == "'" and not quoted:
            self._need_bash("$'…'")
            text, self.at = ansi_c(self.text, self.at + 2)
            if text is None:
                raise Unreadable("a $'…' has an escape that shells read differently")
            return text, True, True
        if following == '"' and not quoted:
            self._need_bash('$"…"')
            self.at += 1
            text, _, single = self._double()
            return text, False, single
        match = DOLLAR.match(self.text, self.at)
        if match is None:
            if following and following in "{[=~^+:":
                raise Unreadable(f"it has a ${following}…, which may run or calculate anything")
            self.at += 1
            return "$", True, True
        self.at = match.end()
        if match["calculated"]:
            self._arithmetic = True
        if match["sets"]:
            self.odd_value = True
        many = match[0].strip("${}")[:1] == "@" or "[@]" in match[0]
        return match[0], False, quoted and not many

    def _substitution(self) -> None:
        """Read the commands of a substitution up to its parenthesis."""
        pending, self._pending = self._pending, []
        self._within("subshell", ")")
        self._expect(")")
        if self._pending:
            raise Unreadable("a here-document has no end")
        self._pending = pending

    def _backticks(self, *, quoted: bool) -> None:
        text, self.at = backticked(self.text, self.at + 1, quoted=quoted)
        if text is None:
            raise Unreadable("a backtick has no partner")
        inner = Parser(text, self.shell, self.depth)
        inner.odd_value = self.odd_value
        inner._inside = (*self._inside, "subshell")
        offset = len(self.bodies)
        try:
            inner.parse()
        finally:
            for command in inner.commands:
                self.commands.append(_shifted(command, offset))
                self.spans.append(())
            self.bodies.update({offset + key: body for key, body in inner.bodies.items()})
            self._arithmetic = self._arithmetic or inner._arithmetic
            self.odd_value = self.odd_value or inner.odd_value

    def _calculation(self, skip: int) -> None:
        """Read arithmetic up to its two parentheses; substitutions in it are entered."""
        self.at += skip
        level = 0
        while True:
            if self.at >= len(self.text):
                raise Unreadable("a calculation has no end")
            char = self.text[self.at]
            if char == "$":
                self._dollar(quoted=True)
                self._arithmetic = True
                continue
            if char in "'\"`\\#;{}" and not (char == ";" and skip == 2):
                raise Unreadable("a calculation cannot be read")
            if char == ")":
                if level == 0:
                    if not self.text.startswith("))", self.at):
                        raise Unreadable("a calculation cannot be read")
                    self.at += 2
                    return
                level -= 1
            level += char == "("
            self._arithmetic = self._arithmetic or char.isalpha() or char == "_"
            self.at += 1

    def _need_bash(self, what: str) -> None:
        if self.shell == "sh":
            raise Unreadable(f"it has {what}, which sh reads differently")


def _shifted(command: Command, offset: int) -> Command:
    """Renumber a command's here-documents."""
    redirects = tuple(
        Redirect("<<", Word(str(int(one.target.text) + offset), one.target.kind))
        if one.op == "<<"
        else one
        for one in command.redirects
    )
    return Command(command.argv, command.env, redirects, command.inside)
