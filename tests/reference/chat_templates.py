"""python chat_templates.py > ../data/chat/constructs.jsonl

One line a case: template, variables, and what Jinja renders ("rendered") or that it refuses ("error": the class of the error). The
environment is the one that transformers makes for chat templates: immutable sandbox, trim_blocks, lstrip_blocks, loop controls, a
tojson that does not escape HTML, raise_exception, strftime_now (a fixed time here) and the generation block.
Needs jinja2 3.1.
"""
import datetime
import json

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: datetime.datetime(2024, 7, 26, 13, 5, 9).strftime(format)
    return env


MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "  What's 2+2?\n"},
    {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"a": 2, "b": 2.5, "c": [True, None]}}}]},
    {"role": "tool", "content": "4"},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\nIt is \"4\" \\ é 🙂"},
    {"role": "user", "content": [{"type": "text", "text": "and "}, {"type": "image"}, {"type": "text", "text": "this?"}]},
]
TOOLS = [{"type": "function", "function": {"name": "add", "description": "Adds <two> numbers & 'more'", "parameters": {
    "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number", "enum": [1, 2.5]}}, "required": ["a", "b"], "empty": {}, "none": []}}}]
VARIABLES = {"messages": MESSAGES, "tools": TOOLS, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>", "none_value": None,
             "n": 7, "x": 2.5, "s": "Hello, World", "words": ["pear", "Apple", "fig", "apple", "Fig"], "d": {"b": 1, "a": 2, "C": 0}, "empty": [], "t": True}

# Expressions: each is rendered as {{ … }}.
EXPRESSIONS = r"""
1 + 2 * 3 - 4 // 3
-7 // 2
-7 % 3
7 % -3
-7.5 // 2
7.5 % -2
-7.5 % 2
2 ** 3 ** 2
-2 ** 2
2 ** -1
2 ** 0.5
7 / 2
6 / 2
1 / 0
1 // 0
1 % 0
1e3
1.5e-7
1e16
1e15
123456789.125
0.1 + 0.2
1_000
100000000000
true + 1
1 < 2 < 3
1 < 3 < 2
1 == 1.0
true == 1
'a' < 'b'
'a' == 1
[1, 2] == [1, 2]
(1, 2) == [1, 2]
[1, 2] < [1, 3]
{'a': 1} == {'a': 1.0}
1 < 'a'
none < 1
not true or true and false
none or 'x'
0 and 1
'' or [] or {} or none
1 if n > 5 else 2
1 if n > 50 else 2
1 if n > 50
(1 if n > 50) is defined
'a' if n < 5 else 'b' if n < 8 else 'c'
n if n is defined and n is number else 0
'x' ~ 1 ~ none ~ 2.0 ~ true ~ [1, 'a'] ~ nothing
'a' + 'b' * 3
3 * 'ab'
'a' * -1
[1] * 3
[1, 2] + [3]
(1,) + (2,)
[1] + (2,)
'a' + 1
1 + nothing
nothing + 1
nothing.x
nothing['x']
nothing()
s.nothing
s.nothing is defined
s.nothing.deeper
messages[0].nothing is defined
messages[99]
messages[99].role
messages[-1].role
messages[0]['role']
messages[0].get('role')
messages[0].get('nothing')
messages[0].get('nothing', 'otherwise')
messages.0.role
s[0]
s[-1]
s[99]
s[1:4]
s[:-3]
s[-3:]
s[::-1]
s[::2]
s[5:1:-1]
s[100:]
s[-100:3]
words[::-2]
words[3:0:-1]
words[1:][0]
words[::0]
(1, 2, 3)[1:]
'é🙂x'[1]
'é🙂x'[::-1]
'é🙂x'|length
n[0]
'a' in 'cat'
'' in 'cat'
1 in [1.0]
'a' not in d
'b' in d
not 'b' in d
1 in 'cat'
'x' in nothing
'x' in 5
[1, [2, 'x'], {'k': (1,)}, (), {}, none, true, 1.0]
{'a': 1, "b'": 'c"', 'd': '\'"'}
{'a': 1, 'a': 2}
{1: 'x', 'y': none}
"it's"
['it\'s', "say \"x\"", 'both \' and "', 'back\\slash', 'new\nline\ttab', '\x00\x7f\xa0é\u200b🙂']
'\x41\u00e9\101\q\
z'
'a' 'b'
(1)
(1,)
()
1, 2
[]
[1,]
{'a': 1,}
s|upper
s|lower
'hello wORLD foo-bar (baz) x_y'|title
'hello wORLD'|capitalize
'ßx éa Ωmega ǆ'|upper
'ÄÉ İ ΑΒ'|lower
'ñandú élan'|title
'éA'|capitalize
''|capitalize
"they're bill's 3rd x2y".title()
'éa ßa'.title()
'hELLO wORLD'.capitalize()
'aBc'.swapcase()
'  x '|trim
'xxaxx'|trim('x')
'  x '.strip() ~ '|'
'  x '.lstrip() ~ '|'
'  x '.rstrip() ~ '|'
'\u00a0\u2003x\u3000\x1f'.strip()
'abcxcba'.strip('abc')
'abcxcba'.lstrip('ab')
'éxé'.rstrip('é')
'a,b,,c'.split(',')
'a,b,,c'.split(',', 1)
'a,b,,c'.rsplit(',', 1)
' a  b c '.split()
' a  b c '.split(none, 1)
'abc'.split('')
''.split()
''.split(',')
'</think>x</think>y'.split('</think>')[-1]
'a\nb\r\nc\n'.splitlines()
'a\nb'.splitlines(true)
'abc'.startswith('ab')
'abc'.startswith(('x', 'a'))
'abc'.endswith('bc')
'abc'.endswith('')
'abc'.startswith('b', 1)
'abc'.upper().lower()
'aaa'.replace('a', 'b', 2)
'aaa'.replace('', '-')
'éa'.replace('', '-')
'abc'.replace('x', 'y')
'aaa'|replace('a', 'b')
'aaa'|replace('a', 'b', 1)
12|replace('1', 'x')
'-'.join(['a', 'b'])
'-'.join([1])
'-'.join('abc')
'hello'.find('l')
'hello'.find('z')
'hello'.rfind('l')
'éhello'.find('h')
'hello'.find('l', 3)
'hello'.index('l')
'hello'.index('z')
'hello'.count('l')
'hello'.count('')
'123'.isdigit()
''.isdigit()
'1a'.isdigit()
'abcé'.isalpha()
'ab1'.isalnum()
' \n'.isspace()
'ABC1'.isupper()
'abC'.islower()
'abc'.removeprefix('a')
'abc'.removesuffix('x')
'7'.zfill(3)
'-7'.zfill(4)
'x'.ljust(4) ~ '|'
'x'.rjust(4, '.')
'x'.center(4, '.')
'xy'.center(5, '.')
'a=b=c'.partition('=')
'a=b=c'.rpartition('=')
'abc'.partition('=')
'{} and {}'.format(1, 'x')
'{1}{0}{1}'.format('a', 'b')
'{name}!'.format(name='x')
'{{}}{}'.format(1)
'{}'.format()
'%s and %d' % ('x', 3)
'%s' % 'x'
'%s' % [1]
'%5d|%-5d|%05d|%+d' % (1, 2, 3, 4)
'%.2f|%8.3f|%e|%g' % (1.005, 2.5, 12345.678, 0.0001)
'%x %X %o' % (255, 255, 8)
'%5s|%-5s|%.2s' % ('ab', 'cd', 'efg')
'%r' % 'x'
'%(a)s' % {'a': 1}
'100%%' % ()
'%s' % ()
'%s' % (1, 2)
'%d' % 'x'
'%s %s'|format('a', 'b')
'%(a)s'|format(a=5)
s|length
words|count
d|length
none|length
5|length
nothing|length
nothing|default('x')
none|default('x')
none|default('x', true)
''|default('x', boolean=true)
nothing|d
words|first
words|last
empty|first
empty|last
empty|first is defined
'abc'|first
'abc'|last
d|first
words|join(', ')
words|join
[1, none, 2.0]|join('-')
messages|map(attribute='role')|join(',')
messages|join(',', attribute='role')
'abc'|join('-')
nothing|join
'abc'|list
d|list
nothing|list
5|list
d.items()|list
d.keys()|list
d.values()|list
d|items|list
nothing|items|list
5|items|list
d|dictsort
d|dictsort(true)
d|dictsort(false, 'value')
d|dictsort(reverse=true)
d|dictsort(by='value')
words|sort
words|sort(true)
words|sort(reverse=true, case_sensitive=true)
messages|sort(attribute='role')|map(attribute='role')|list
[3, 1.5, 2]|sort
[1, 'a']|sort
words|unique|list
words|unique(case_sensitive=true)|list
[1, 1.0, 2]|unique|list
words|min
words|max
[3, 1, 2]|max
empty|min
[1, 2.5]|sum
messages|map(attribute='content')|map('default', 'none')|list|length
[{'a': 1}, {'a': 2}]|sum(attribute='a')
[1]|sum(start=10)
words|map('upper')|list
words|map('replace', 'p', 'q')|list
words|map('length')|list
[{'a': {'b': 1}}, {'a': {}}]|map(attribute='a.b')|list
[{'a': {'b': 1}}, {'a': {}}]|map(attribute='a.b', default=9)|list
[[1, 2], [3]]|map(attribute=0)|list
[[1, 2], [3]]|map('first')|list
words|map('nothing')|list
[1, 2, 3, 4]|select('odd')|list
[1, 2, 3, 4]|reject('odd')|list
[0, 1, '', 'a', none]|select|list
[0, 1, '', 'a', none]|reject|list
[1, 2, 3]|select('gt', 1)|list
[1, 2, 3]|select('in', [1, 3])|list
[1, 2, 3, 6]|select('divisibleby', 3)|list
messages|selectattr('role', 'equalto', 'user')|list|length
messages|selectattr('tool_calls')|list|length
messages|selectattr('tool_calls', 'defined')|list|length
messages|rejectattr('content', 'none')|map(attribute='role')|list
messages|rejectattr('role', 'in', ['user', 'tool'])|map(attribute='role')|list
messages|selectattr('role', 'eq', 'nothing')|first is defined
messages|selectattr('role', 'nothing', 1)|list
words|reverse|list
'abc'|reverse
[1, 2, 3, 4, 5]|batch(2)|list
[1, 2, 3]|batch(2, 'x')|list
'12'|int
'12.7'|int
'x'|int
'x'|int(5)
'0x1f'|int(base=16)
' 12 '|int
3.99|int
-3.99|int
none|int
true|int
nothing|int
'2.5'|float
'x'|float
'x'|float(1.5)
3|float
'1e3'|float
2.5|round
3.5|round
2.675|round(2)
1234.5|round(-2)
2.1|round(0, 'ceil')
2.9|round(method='floor')
7|round
-5|abs
-5.5|abs
'x'|abs
5|string ~ 'x'
nothing|string
'a b  c'|wordcount
'<a href="x">\'&'|e
'<b>'|safe
'a\nb\n\nc'|indent
'a\nb\n\nc'|indent(2, true)
'a\nb\n\nc'|indent(2, first=true, blank=true)
'a\nb'|indent('> ')
'a\nb\n'|indent(1)
'x'|center(5) ~ '|'
messages[0]|tojson
messages[2]|tojson
messages[4]|tojson
tools|tojson
tools|tojson(indent=4)
tools[0].function.parameters|tojson(indent=2)
d|tojson(sort_keys=true)
d|tojson(separators=(',', ':'))
messages[4].content|tojson(ensure_ascii=true)
[[], {}, [[]], {'a': {}}]|tojson(indent=2)
{1: 2, none: 3, true: 4, 1.5: 5}|tojson
'\x00\x1f\x7f/</>'|tojson
[1.0, 1e20, 1e-5, 100, none, true]|tojson
(1, 2)|tojson
nothing|tojson
namespace()|tojson
nothing is defined
nothing is undefined
none is none
none is defined
s is string
5 is string
d is mapping
words is mapping
words is sequence
s is sequence
d is sequence
5 is sequence
words is iterable
5 is iterable
nothing is iterable
5 is number
5.0 is number
true is number
true is integer
5 is integer
5.0 is integer
5.0 is float
true is boolean
1 is boolean
true is true
1 is true
false is false
3 is odd
3 is even
-3 is odd
'x' is odd
6 is divisibleby 3
6 is divisibleby(4)
'abc' is lower
'ABc' is upper
'ABC' is upper
5 is eq 5
5 is equalto(6)
5 is ne 6
5 is gt 3
5 is ge 5
5 is lt 3
5 is le 5
5 is == 5
1 is in [1, 2]
3 is in([1, 2])
none is sameas none
range is callable
s is callable
s is not string
not s is string
s is nothing
s is string is defined
n is number and s is string
range(5)|list
range(1, 5)|list
range(5, 1, -2)|list
range(0)|list
range(1, 2, 0)|list
range(3)|map('string')|join
dict(a=1, b='x')
dict({'a': 1}, b=2)
namespace(a=1).a
strftime_now('%d %b %Y')
strftime_now('%Y-%m-%d %H:%M:%S')
strftime_now('')
raise_exception('no')
words.append('x')
d.update({})
d.pop('a')
words.index('fig')
words.index('nothing')
words.count('fig')
d.nothing
(s | upper).lower() | trim
s | nothing
s | upper | lower | length + 1
-5|abs
- n
+ n
- 'x'
not n
not nothing
n is defined and not nothing is defined
messages | length > 3 and messages[0].role == 'system'
loop
loop is defined
[x for x in words]
lambda: 1
''.__class__
1 +
(1
'x
s | default('a') is string
none ~ ''
""" .strip("\n")

TEMPLATES = [
    "",
    "\n",
    "text only\n",
    "text only\n\n",
    "a\r\nb\rc\n",
    "{{ 'x\r\ny' }}",
    "{% for x in words %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}",
    "{% for x in words if x|length > 3 %}{{ loop.index }}/{{ loop.length }}{{ x }} {% else %}none{% endfor %}",
    "{% for x in words if x == 'zz' %}x{% else %}none{% endfor %}",
    "{% for x in empty %}x{% else %}empty{% endfor %}",
    "{% for x in nothing %}x{% else %}empty{% endfor %}",
    "{% for x in none_value %}x{% endfor %}",
    "{% for x in 5 %}x{% endfor %}",
    "{% for c in 'héy' %}[{{ c }}]{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}",
    "{% for (k, v) in d.items() %}{{ k }}{{ v }}{% endfor %}",
    "{% for a, b in [[1, 2], (3, 4)] %}{{ a }}{{ b }} {% endfor %}",
    "{% for a, b in [[1, 2, 3]] %}{{ a }}{% endfor %}",
    "{% for i in range(3) %}{% for j in range(i) %}{{ i }}{{ j }}{{ loop.index }} {% endfor %}{{ loop.index }};{% endfor %}",
    "{% for x in words %}{% if loop.index == 2 %}{% continue %}{% endif %}{% if loop.index == 4 %}{% break %}{% endif %}{{ x }} {% endfor %}after",
    "{% for i in range(3) %}{% for j in range(9) %}{% if j > i %}{% break %}{% endif %}{{ j }}{% endfor %};{% endfor %}",
    "{% break %}",
    "{% for x in words %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ x if loop.changed(x) }}{% endfor %}",
    "{% set v = 1 %}{% for x in words %}{% set v = v + 1 %}{{ v }}{% endfor %}{{ v }}",
    "{% set v = 1 %}{% if true %}{% set v = 2 %}{% endif %}{{ v }}",
    "{% for x in words %}{% if loop.first %}{% set y = x %}{% endif %}{{ y }}{% endfor %}{{ y }}",
    "{% for x in [1, 2] %}{{ x }}{% endfor %}{{ x }}{{ loop }}",
    "{% set ns = namespace(n=0, found=false) %}{% for x in words %}{% set ns.n = ns.n + 1 %}{% if x == 'fig' %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.n }}{{ ns.found }}{{ ns.nothing }}",
    "{% set ns = namespace() %}{% set ns.a = [1] %}{% set ns.a = ns.a + [2] %}{{ ns.a }}",
    "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{{ ns['a'] }}",
    "{% set d.x = 1 %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a, b = [1, 2, 3] %}{{ a }}",
    "{% set a = 1, 2 %}{{ a }}",
    "{% set x %}some {{ s }} text{% endset %}{{ x|length }}{{ x }}",
    "{% set x | upper | trim %} some {{ s }} {% endset %}[{{ x }}]",
    "{% if n > 5 %}big{% elif n > 2 %}mid{% else %}small{% endif %}",
    "{% if n > 50 %}big{% elif n > 2 %}mid{% else %}small{% endif %}",
    "{% if n > 50 %}big{% elif n > 20 %}mid{% else %}small{% endif %}",
    "{% if n > 50 %}big{% endif %}|",
    "{% if not nothing %}a{% endif %}{% if none_value is none %}b{% endif %}",
    "{% macro m(a, b='B', c=none) %}{{ a }}-{{ b }}-{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(1, c=3) }}{{ m(b=2, a=1) }}{{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}",
    "{% macro m(a, b=a ~ '!') %}{{ b }}{% endmacro %}{{ m('x') }}",
    "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(1) }}",
    "{% macro outer(x) %}[{{ inner(x) }}]{% endmacro %}{% macro inner(x) %}({{ x }}){% endmacro %}{{ outer(5) }}",
    "{% macro fact(n) %}{{ n if n < 2 else n * fact(n - 1)|int }}{% endmacro %}{{ fact(6) }}",
    "{% set v = 'g' %}{% macro m() %}{{ v }}{% endmacro %}{{ m() }}{% set v = 'h' %}{{ m() }}",
    "{% macro m() %}{{ s }}{% set s = 1 %}{% endmacro %}{{ m() }}{{ s }}",
    "{% macro m() %} x {% endmacro %}[{{ m()|trim }}]{{ m() is string }}{{ (m() ~ 'y')|length }}",
    "{% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}{% call wrap('b') %}in {{ s }}{% endcall %}",
    "{% macro each(xs) %}{% for x in xs %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(x, i) each(words) %}{{ i }}:{{ x }} {% endcall %}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% filter upper %}some {{ s }}{% endfilter %}",
    "{% filter replace('o', '0') | upper %}some {{ s }}{% endfilter %}",
    "{% with a = 1, b = s %}{{ a }}{{ b }}{% set c = 1 %}{% endwith %}{{ a }}{{ c }}",
    "{% generation %}{{ s }}{% set inside = 1 %}{% endgeneration %}{{ inside }}",
    "{% raw %}{{ x }} {% if %} {# c #}{% endraw %}",
    "a {%- raw -%}  {{ x }}  {%- endraw -%}  b",
    "  {% raw %}\n  x\n  {% endraw %}\n  y",
    "{# comment #}a{#- c -#} b {#- c #} d {# c -#} e",
    "{# line\nline #}\nafter",
    "{# {{ x }} {% if %} #}x",
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n",
    "a\n  {%+ if true %}\n  b\n  {%+ endif +%}\nc\n",
    "a \n  {%- if true -%}  \n  b  \n  {%- endif -%}  \n c",
    "  {{ 'x' }}  \n  {{- 'y' -}}  \n  z",
    "  {{ 'x' }}\n{{ 'y' }}\n",
    "x  {% if true %}y{% endif %}  z",
    "  {% set a = 1 %}\n  {% set b = 2 %}\n\n{{ a }}{{ b }}",
    "\n\n  {% if true %}\n\n  x{% endif %}\n\n",
    "{% if true %}  \n  {% endif %}  \n  {# c #}  \n x",
    "{% for x in [1, 2] %}\n  {{ x }}\n{% endfor %}\nend",
    "{% for x in [1, 2] -%}\n  {{ x }}\n{%- endfor %}\nend",
    "{%- for x in [1, 2] %}\n  {{- x }}\n{%- endfor -%}\nend\n",
    "\t{% if true %}\ttab{% endif %}\u00a0{%- if true %}x{% endif %}",
    "{{ {'a': {'b': 1}}['a']['b'] }}{{ {'a': {}} }}",
    "{{ '}}' }}{{ '%}' }}{% if '%}' %}x{% endif %}",
    "{{ \"{{ x }}\" }}",
    "{{1}}{{-1-}}{{- 2 -}} {{+1}}",
    "{{ 1 -}}\n\n  {{ 2 }}",
    "{ {x} } {%% }",
    "{{ x }",
    "{% if %}",
    "{% if true %}",
    "{% endif %}",
    "{% for x in words %}{% endif %}",
    "{% nothing %}",
    "{% include 'x' %}",
    "{{ }}",
    "{{ 1 1 }}",
    "{{ s $ }}",
    "{% for true in words %}{% endfor %}",
    "{% set true = 1 %}",
    "{{ [1, 2 }}",
    "{{ messages[0]. }}",
    "{% for message in messages %}{{ '<|' ~ message.role ~ '|>' }}{% if message.content is string %}{{ message.content|trim }}{% elif message.content is none %}{% for call in message.tool_calls %}{{ call.function.name }}({{ call.function.arguments|tojson }}){% endfor %}{% else %}{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% else %}<{{ part['type'] }}>{% endif %}{% endfor %}{% endif %}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
    "{%- set ns = namespace(multi=true, last=messages|length - 1) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.multi and message.role == 'user' and message.content is string and not (message.content.startswith('<t>') and message.content.endswith('</t>')) %}\n        {%- set ns.multi = false %}\n        {%- set ns.last = index %}\n    {%- endif %}\n{%- endfor %}\n{{- ns.last }}",
    "{%- for message in messages if message.content is string and '</think>' in message.content %}\n{%- set reasoning = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n{%- set rest = message.content.split('</think>')[-1].lstrip('\\n') %}\n{{- '[' + reasoning + '|' + rest + ']' }}\n{%- endfor %}",
    "{%- if tools is not none and tools %}\n    {{- 'Functions:\\n\\n' }}\n    {%- for tool in tools %}\n        {{- tool | tojson(indent=4) }}\n        {{- '\\n\\n' }}\n    {%- endfor %}\n{%- endif %}",
    "{%- set date = date_string if date_string is defined else strftime_now('%d %b %Y') %}\n{{- 'Today Date: ' + date }}",
    "{%- macro params(p) -%}{%- for name, spec in p.properties|dictsort -%}{{ name }}: {{ spec.type }}{% if spec.enum %} = {{ spec.enum|map('string')|join(' | ') }}{% endif %}{% if name in p.required %} (required){% endif %}{{ ', ' if not loop.last }}{%- endfor -%}{%- endmacro -%}{%- for tool in tools -%}type {{ tool.function.name }} = ({{ params(tool.function.parameters) }}) => any;{%- endfor -%}",
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content']|trim %}{%- set messages = messages[1:] %}{%- else %}{%- set system = '' %}{%- endif %}{{ system }}{{ messages|length }}",
    "{% if (messages|length) % 2 == 0 %}{{ raise_exception('even: ' ~ messages|length) }}{% endif %}",
    "{% for m in messages %}{% set content = m.content %}{% if content is not string %}{% set content = content | tojson %}{% endif %}{{ content }}\n{% endfor %}",
    "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) and loop.index0 > 90 %}{{ raise_exception('x') }}{% endif %}{{ m['role'] | trim + ': ' }}{% endfor %}",
]


def main():
    env = environment()
    for template in ["{{ " + e + " }}" for e in EXPRESSIONS.replace("\\\nz", "\\\rz").split("\n")] + TEMPLATES:
        case = {"template": template.replace("\\\rz", "\\\nz")}
        try:
            case["rendered"] = env.from_string(case["template"]).render(**VARIABLES)
        except Exception as error:
            case["error"] = type(error).__name__
        print(json.dumps(case, ensure_ascii=False))
    print(json.dumps({"variables": VARIABLES}, ensure_ascii=False))


if __name__ == "__main__":
    main()
