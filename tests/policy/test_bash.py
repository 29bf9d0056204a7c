"""Corners of the shell's language: what bash runs in them was read, or was not certain.

Each script runs in a folder of its own with a harmless `zap` that notes how it was called.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.policy.test_fuzz import Stage, compare, stage

__all__ = ["stage"]

ONE_LINE = r"""
x='a[$(zap)]'; [[ $x -eq 1 ]]
x='a[$(zap)]'; [ -v "$x" ]
x='a[$(zap)]'; unset "$x"
x='a[$(zap)]'; read "$x" <<< 1
x='a[$(zap)]'; printf -v "$x" y
x='a[$(zap)]'; declare "$x=1"
x='a[$(zap)]=1'; declare $x
y=abc; x='a[$(zap)]'; echo ${y:x}
y=abc; x='a[$(zap)]'; echo ${y[x]}
x='a[$(zap)]'; y[x]=1
x='a[$(zap)]'; y=([x]=1)
x='a[$(zap)]'; echo $[x]
x='a[$(zap)]'; for ((i=x;i<1;i++)); do :; done
x='a[$(zap)]'; echo ${!x}
x='$(zap)'; echo ${x@P}
a='x[$(zap)]'; b=-v; [ $b $a ]
a='x[$(zap)]'; b=-v; [ "$b" "$a" ]
a='x[$(zap)]'; test $b -v $a
set -- 'a[$(zap)]'; echo $(($1))
for x in 'a[$(zap)]'; do echo $((x)); done
read x <<< 'a[$(zap)]'; echo $((x))
mapfile -C zap -c 1 <<< x
printf -v x %s 'a[$(zap)]'; echo $((x))
declare -i x='a[$(zap)]'
declare -n r='a[$(zap)]'; echo $r
export x='a[$(zap)]'; bash -c 'echo $((x))'
x='a[$(zap)]' bash -c 'echo $((x))'
env x='a[$(zap)]' bash -c 'echo $((x))'
env -i x='a[$(zap)]' bash -c '[[ $x -eq 0 ]]'
: ${x:='a[$(zap)]'}; echo $((x))
trap zap EXIT
trap -- zap 0
trap 'zap' DEBUG; true
trap zap ERR; false
bash --rcfile <(echo zap) -i -c true
BASH_ENV=<(echo zap) bash -c true
bash - <<< zap
bash /dev/stdin <<< zap
bash /dev/fd/0 <<< zap
bash <(echo zap)
echo zap | bash -s
sh -c -- zap
sh +e -c zap
bash -cx zap
bash -o posix -c zap
bash -c -o posix zap
bash -co posix zap
bash -oc posix zap
bash -c '"$@"' x zap a
bash -c '$0' zap
env -S 'zap a'
env -Szap
env - zap
env -u x -- a=b zap
env -iS zap
exec -a x zap
command -p env zap
builtin command zap
$'\u007aap'
$'z\cap'
$"zap"
[[ x =~ $(zap) ]]
[[ x =~ (a|x) ]] && zap
[[ ( x == x ) ]] && zap
[[ ! a ]] || zap
! ! zap
time -- zap
time ! zap
! time zap
coproc X { zap; }
for x in 1; { zap; }
case x in x) zap ;& y) :;; esac
case x in x) : ;;& *) zap;; esac
case x in $(zap)) ;; esac
case esac in (esac) zap;; esac
f() zap; f
f () (zap); f
function f() { zap; }; f
echo "${x:-'$(zap)'}"
echo ${x/$(zap)/}
echo $((`zap` + 0))
echo "`echo \`zap\``"
echo `echo "\`zap\`"`
echo "\\$(zap)"
echo "\\\$(true)"`zap`
cat <<< "`zap`"
> f zap
2> f zap a
zap >&f a
zap &> f a
zap 3>&- a
zap <&--now a
zap <& -"-"now a
sh -c 'trap "zap $'"'"'x'"'"'" EXIT'
zap a2>f b
<f cat; zap
{x}>f zap
echo x >"$(zap)"
true&zap
true|&zap
A=(1 2 $(zap))
A+=1 zap
a[0]=1 zap
a[$(zap)]=1
export A=$(zap)
readonly B=`zap`
echo {a,$(zap)}
{zap,a}
z{a,}p
echo ~$(zap)
find . -maxdepth 0 -exec zap {} ';' -exec true \;
find . -maxdepth 0 -exec true + {} \; -exec zap \;
find . -maxdepth 0 -exec true \; -exec env zap {} \;
xargs -I X X <<< zap
xargs env <<< zap
xargs --max-a 1 zap <<< a
xargs -l zap <<< a
xargs -eX zap <<< a
xargs -I X sh -c X <<< zap
xargs sh -c <<< zap
xargs -n1 sh -c 'zap "$0"' <<< a
timeout --sig KILL 5 zap
timeout -sKILL 5 zap
nice -19 -- zap
set -x; PS4='$(zap)'; true
echo $'a\'b'; zap
echo "a'b"; zap; echo "'"
echo $'\'; zap #'
echo "$'"; zap; echo "'"
echo "${x:-"; zap; echo "}"
echo ${x:-'}'}; zap; echo '}'
echo "${x:-'}'}"; zap; echo "'}"
echo $((zap) )
echo $( ( (zap) ) )
((zap); true)
((zap) ; (true) )
echo $(echo ")" ; zap)
echo $(case x in x) zap;; esac)
echo $(case x in (x) zap;; esac)
echo "$(echo ')' "x)" ; zap)"
x=(zap); ${x[0]}
. /dev/stdin <<< zap
compgen -W '$(zap)'
compgen -C zap x
!zap
{zap;}
[[zap]]
zap ''"" "" ''
zap "$none" $none ${none} "${none}" "$@" $* "$*"
zap $$ $? $! $# $- $0 $_
zap * ?? [a-z]* ~ ~/x ~root a~ a{b,c}d {1..3} {a} {a,b
zap $((1+1)) "$((2))" "${none:-x y}" ${none:-x y} "a$none"'b'
zap \$x \" \' \\ \; \& \# \* \~ \{a,b\} 'a\b"c$d`e' "\$x \" \\ \a \` '"
zap $'\t\n\\\'\"\a\b\e\f\r\v\?\101\x41\u41\U41'
zap é 日本 "日本" a=b =c = == -- -a --b=c a>/dev/null b
zap 1 2>/dev/null 3; zap 1 2 >/dev/null 3
zap a!b %1 ^a, @ + : , []] [!a] [ ] [] a[ "a"[b]"c" "*"* \**
zap a#b # c
""".strip().split("\n")

LINES = [
    "echo a\\\nb; zap",
    "za\\\np",
    "true &\\\n& zap",
    "$\\\n(zap)",
    '"$\\\n(zap)"',
    "`\\\nzap`",
    "cat <\\\n(zap)",
    "A\\\n=1 zap",
    "i\\\nf true; then zap; fi",
    "# a \\\nzap",
    "cat <<E\n$(zap)\nE",
    'cat <<"E"\n$(true)\nE\nzap',
    "cat <<\\E\nx\nE\nzap",
    "cat <<E <<F\na\nE\n$(zap)\nF",
    "cat <<E; zap\nx\nE",
    "cat <<E | zap\nx\nE",
    "cat <<E\na\\\nE\nE\nzap",
    "cat <<'E F'\nx\nE F\nzap",
    "cat <<E\n${x:-$(zap)}\nE",
    "cat <<E\n\\$(true) \\\\$(zap)\nE",
    'cat <<E\n"\n$(zap)\n"\nE',
    "cat <<E\nit's\nE\nzap",
    ": <<'#'\n#\nzap",
    "cat <<\\\nE\nx\nE\nzap",
    "cat <<-E\n\tx\n\tE\nzap",
    "echo `# x\nzap`",
    "echo $(# )\nzap)",
    "echo $(cat <<E\n)\nE\nzap)",
    "shopt -s expand_aliases\nalias l=zap\nl",
    "for x\ndo zap; done",
    "zap 'a\nb' \"c\nd\" $'a\\nb'",
    "set -H -o history\nzap a\n!!",
]


def test_whatever_bash_runs_in_a_corner_was_read_or_not_certain(stage: Stage) -> None:
    scripts = [*ONE_LINE, *LINES]

    with ThreadPoolExecutor(2) as threads:
        ran = sum(threads.map(lambda job: compare(stage, -1 - job[0], job[1]), enumerate(scripts)))

    # Some are refused by one version of bash or another.
    assert ran > len(scripts) * 0.7


def test_two_corners_on_one_line_are_read_like_each_alone(stage: Stage) -> None:
    scripts = [f"{one}; {two}" for one, two in zip(ONE_LINE[::3], ONE_LINE[1::3], strict=False)]

    with ThreadPoolExecutor(2) as threads:
        numbered = enumerate(scripts, 10_000)
        ran = sum(threads.map(lambda job: compare(stage, -job[0], job[1]), numbered))

    assert ran
