"""Writes what Jinja itself makes of the templates here, for ChatTemplateTests and JinjaTemplateTests.

    python3 tests/Data/Chat/fixtures.py

It needs jinja2 (3.1) alone; the environment is that of transformers (utils/chat_template_utils.py).
"""
import datetime
import json
import pathlib

import jinja2
import jinja2.ext
import jinja2.sandbox

FIXTURES = pathlib.Path(__file__).parent / "Fixtures"
TODAY = datetime.datetime(2024, 7, 6, 5, 4, 3)

# The special tokens of each model.
TOKENS = {
    "chatml": (None, "<|im_end|>"),
    "deepseek-r1": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
    "gemma-2": ("<bos>", "<eos>"),
    "llama-3": ("<|begin_of_text|>", "<|eot_id|>"),
    "llama-3.1": ("<|begin_of_text|>", "<|eot_id|>"),
    "mistral": ("<s>", "</s>"),
    "mistral-v0.3": ("<s>", "</s>"),
    "qwen-2.5": (None, "<|im_end|>"),
    "qwen-3": (None, "<|im_end|>"),
    "zephyr": ("<s>", "</s>"),
}

# Roles by their first letters, and what each says.
CONVERSATIONS = [
    [("u", "Hello")],
    [("s", "Be brief.\n"), ("u", " What is 2 + 2? ")],
    [("u", "Grüße, 😀!"), ("a", "<think>\nA greeting.\n</think>\n\nHello."), ("u", "{{ messages }} {% if %}\n\n{# #}")],
    [("s", "You know \"all\"."), ("u", "a"), ("a", "b\n"), ("u", "c"), ("a", "d"), ("u", "")],
    [("u", "one"), ("u", "two")],
    [("a", "I begin.")],
    [],
]
ROLES = {"u": "user", "s": "system", "a": "assistant"}

VARIABLES = {
    "text": " Some text, über 😀 \n",
    "word": "word",
    "empty": "",
    "numbers": [3, 1, 2],
    "nothing": None,
    "yes": True,
    "half": 0.5,
    "seven": 7,
    "user": {"name": "Ann", "age": 30, "tags": ["x", "y"], "items": 1, "nested": {"deep": [1, {"a": None}]}},
    "people": [{"name": "B", "role": "user"}, {"name": "a", "role": "system"}, {"name": "c", "role": "user", "extra": {"n": 1}}],
}

# One a line; \n is a newline of the template.
EXPRESSIONS = r"""
{{ text }}|{{ nothing }}|{{ yes }}|{{ half }}|{{ missing }}|{{ seven }}
{{ text | trim }}{{ text | upper }}{{ text | lower }}{{ text | length }}{{ 'xxaxx' | trim('x') }}
{{ user }} {{ people }} {{ (1, 'two') }} {{ (1,) }} {{ () }} {{ [] }} {{ {} }} {{ 1, 2 }}
{{ user | tojson }} {{ text | tojson }} {{ 0.1 | tojson }} {{ '\u0001\x7f"\\/<>&' | tojson }}
{{ user | tojson(indent=2) }}{{ [] | tojson(indent=2) }}{{ {} | tojson(indent=2) }}{{ [[1], {}] | tojson(indent=4) }}
{{ user | tojson(separators=(',', ':')) }} {{ text | tojson(ensure_ascii=true) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 3 ** 2 }} {{ 2 ** -1 }} {{ -2 ** 2 }}
{{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e3 }} {{ 1.0 }} {{ 1e16 }} {{ 1e15 }} {{ 1.5e-5 }} {{ 0.0001 }} {{ 123456789.125 }} {{ 1e22 + 1 }}
{{ 1 / 3 }} {{ 2 / 1 }} {{ 0.1 + 0.2 }} {{ 100 * 1.1 }} {{ -0.0 }} {{ 1_000 }} {{ 5e-324 }} {{ 1.7976931348623157e308 }}
{{ 1e-6 }} {{ 1e-7 }} {{ 1e23 }} {{ -1e-6 }} {{ [1e-6] }} {{ 9.5e-7 }} {{ 9.99999999999999e-7 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ true + 1 }} {{ true == 1 }} {{ 1 == 1.0 }} {{ 'a' == 1 }} {{ none == false }} {{ [1, 2] == [1, 2] }} {{ (1,) == [1] }} {{ {'a': 1} == {'a': 1.0} }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 'Z' < 'a' <= 'a' }} {{ 1 != 2 }} {{ 3 >= 3 > 2 }}
{{ 'a' < 1 }}
{{ none < 1 }}
{{ 'a' + 1 }}
{{ 'a' + none }}
{{ 'a' ~ 1 ~ none ~ missing ~ true ~ 0.5 ~ [1] }} {{ 'a' ~ 'b' * 2 }}
{{ 1 ~ 2 + 3 }}
{{ 'ab' * 3 }} {{ 2 * 'x' }} {{ [1] * 2 }} {{ [1] + [2] }} {{ (1,) + (2,) }} {{ 'a' * -1 }}
{{ [1] + (2,) }}
{{ 'tex' in text }} {{ 'q' not in word }} {{ 1 in numbers }} {{ 'name' in user }} {{ 'x' in missing }} {{ none in [none] }} {{ not 1 in numbers }}
{{ 1 in 'a1' }}
{{ 'x' in nothing }}
{{ yes and 'a' or 'b' }} {{ empty or 'b' }} {{ empty and 1 }} {{ not empty }} {{ not yes and missing }} {{ missing or 'else' }} {{ 0 or none }}
{{ 'a' if yes else 'b' }} {{ 'a' if empty }} {{ 'a' if empty else 'b' if nothing else 'c' }} {{ ('a' if empty) is undefined }}
{{ user.name }} {{ user['age'] }} {{ user.nested.deep[1].a }} {{ user.nested.deep.0 }} {{ user.missing }} {{ user['missing'] is defined }}
{{ user.items() | list }} {{ user['items'] }} {{ user.nested.items is defined }} {{ user.nested['items'] is defined }} {{ user.get('name') }} {{ user.get('q') }} {{ user.get('q', 5) }}
{{ user.missing.more }}
{{ missing.more }}
{{ missing['more'] }}
{{ missing() }}
{{ user.name() }}
{{ nothing.more }} {{ word.more is defined }} {{ seven.more is defined }} {{ word[0] }} {{ word[-1] }} {{ word[9] is defined }} {{ numbers['a'] is defined }} {{ text[-3] }}
{{ numbers[0] }} {{ numbers[-1] }} {{ numbers[7] is defined }} {{ numbers[1:] }} {{ numbers[::-1] }} {{ numbers[:-1] }} {{ numbers[-2:] }} {{ numbers[5:] }} {{ numbers[2:0:-1] }}
{{ word[1:3] }} {{ word[::-1] }} {{ word[::2] }} {{ word[:100] }} {{ word[-100:2] }} {{ text[-4:] }} {{ (1, 2, 3)[:2] }} {{ numbers[true] }} {{ word[none:2] }}
{{ numbers[::0] }}
{{ missing[1:] }}
{{ user[1:] }}
{{ numbers['a':] }}
{{ missing | default('d') }} {{ nothing | default('d') }} {{ empty | default('d', true) }} {{ empty | default('d') }} {{ missing | default }} {{ user.q | d(1) }} {{ nothing | default('d', boolean=true) }}
{{ numbers | join }} {{ numbers | join(', ') }} {{ people | join(',', attribute='name') }} {{ word | join('-') }} {{ missing | join }} {{ [none, true] | join(' ') }}
{{ numbers | first }} {{ numbers | last }} {{ [] | first }} {{ [] | last is defined }} {{ word | first }} {{ missing | first }} {{ user | first }} {{ user | last }}
{{ numbers | list }} {{ 'ab' | list }} {{ user | list }} {{ missing | list }} {{ '😀a' | list }} {{ range(3) | list }} {{ range(5, 1, -2) | list }} {{ range(2, 4) | length }}
{{ 5 | list }}
{{ people | map(attribute='name') | list }} {{ people | map(attribute='q', default='-') | join }} {{ [user] | map(attribute='nested.deep.0') | list }} {{ ['a', 'b'] | map('upper') | join }} {{ [' a'] | map('trim') | list }}
{{ people | selectattr('role', 'equalto', 'user') | map(attribute='name') | join }} {{ people | rejectattr('role', '==', 'user') | list }} {{ people | selectattr('extra') | list | length }} {{ people | selectattr('extra', 'defined') | list | length }} {{ people | selectattr('name', 'in', ['B', 'c']) | list | length }}
{{ 'y' if people | selectattr('role', 'equalto', 'nobody') else 'n' }} {{ 'y' if people | selectattr('role', 'equalto', 'nobody') | list else 'n' }} {{ [1, 2, 3, 4] | select('odd') | list }} {{ [0, 1, none] | select | list }} {{ [0, 1] | reject | list }}
{{ people | selectattr('role', 'equalto', 'user') | length }}
{{ people | map(attribute='name') | last }}
{{ people | map('nonsense') | list }}
{% set g = people | map(attribute='name') %}{{ g | list }}{{ g | list }}
{% for k, v in user | items %}{{ k }}={{ v }};{% endfor %}{% for k, v in missing | items %}{% endfor %}{{ user.keys() | list }}{{ user.values() | list | length }}
{{ 5 | items | list }}
{% for k, v in {'b': 1, 'A': 2} | dictsort %}{{ k }}{{ v }}{% endfor %} {{ {'b': 1, 'A': 2} | dictsort(by='value') }} {{ {'b': 1, 'B': 2} | dictsort(true) }} {{ {'b': 1, 'c': 2} | dictsort(reverse=true) }}
{{ 5 | string + 'x' }} {{ none | string }} {{ '7' | int + 1 }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ '3.9' | int }} {{ 3.9 | int }} {{ -3.9 | int }} {{ none | int }} {{ true | int }} {{ ' 5 ' | int }}
{{ 'hello world' | capitalize }} {{ 'hELLO wORLD' | title }} {{ "it's (a) big-deal" | title }} {{ "it's (a) big-deal".title() }} {{ '' | capitalize }} {{ 'ÄB' | capitalize }}
{{ 'aXbX' | replace('X', '-') }} {{ 'aXbX' | replace('X', '-', 1) }} {{ 'aXbX'.replace('X', '') }} {{ 'aXbX'.replace('X', '-', 1) }} {{ '<b>' | safe }} {{ missing | upper }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb' | indent(width='--') }}|{{ 'a\n' | indent }}|
{{ text.strip() }}|{{ text.lstrip() }}|{{ text.rstrip() }}|{{ 'xyax'.strip('xy') }}|{{ 'xax'.lstrip('x') }}|{{ 'xax'.rstrip('x') }}|
{{ 'a b  c '.split() }} {{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ ' a b c '.split(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a</t>b'.split('</t>')[-1] }}
{{ word.startswith('wo') }} {{ word.endswith('x') }} {{ word.startswith(('x', 'w')) }} {{ word.upper() }} {{ 'ABC'.lower() }} {{ 'aBC'.capitalize() }} {{ ', '.join(['a', 'b']) }}
{{ ','.join([1]) }}
{{ ''.split('') }}
{{ missing is defined }} {{ word is defined }} {{ missing is undefined }} {{ nothing is none }} {{ nothing is not none }} {{ word is string }} {{ user is mapping }} {{ numbers is mapping }}
{{ numbers is sequence }} {{ word is sequence }} {{ user is sequence }} {{ seven is sequence }} {{ numbers is iterable }} {{ seven is iterable }} {{ missing is iterable }} {{ user.items() is sequence }} {{ user.items() is iterable }}
{{ seven is number }} {{ half is number }} {{ yes is number }} {{ yes is boolean }} {{ seven is boolean }} {{ yes is true }} {{ yes is false }} {{ 1 is true }} {{ seven is integer }} {{ half is float }} {{ seven is odd }} {{ seven is even }}
{{ seven is equalto 7 }} {{ seven is eq(7) }} {{ 7 is in numbers }} {{ 3 is in numbers }} {{ 3 is not in [1] }} {{ seven is ne 7 }} {{ not missing is defined }} {{ word is defined and word is string }}
{{ seven is nonsense }}
{{ seven | nonsense }}
{{ word.nonsense() }}
{{ word is defined(1) }}
{{ word | upper(1) }}
{% for n in numbers %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
{% for n in numbers if n > 1 %}{{ loop.index }}/{{ loop.length }}:{{ n }};{% else %}none{% endfor %}{% for n in [] %}{% else %}none{% endfor %}{% for n in numbers if n > 9 %}{% else %}none{% endfor %}
{% for n in numbers %}{% if n == 1 %}{% continue %}{% endif %}{{ n }}{% if loop.index == 3 %}{% break %}{% endif %}{% else %}never{% endfor %}{% for a in numbers %}{% for b in numbers %}{% if b == 1 %}{% break %}{% endif %}{{ a }}{{ b }} {% endfor %}{% endfor %}
{% for c in 'ab😀' %}{{ c }},{% endfor %}{% for k in user %}{{ k }},{% endfor %}{% for a, b in [(1, 2), [3, 4]] %}{{ a }}{{ b }}{% endfor %}{% for (a, b) in [(1, 2)] %}{{ b }}{% endfor %}{% for a in 1, 2 %}{{ a }}{% endfor %}
{% for a, b in [1] %}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for a in 5 %}{% endfor %}
{% for a in nothing %}{% endfor %}
{% for a in missing %}{{ a }}{% endfor %}
{% set x = 1 %}{% for n in numbers %}{{ x }}{% set x = n %}{{ x }}{% endfor %}{{ x }}
{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }}{% for n in numbers %}{% if n == 3 %}{% set y = n %}{% endif %}{{ y }}{% endfor %}{{ y }}
{% set ns = namespace(a=1) %}{% for n in numbers %}{% set ns.a = ns.a + n %}{% set ns.b = n %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c }}{{ ns['a'] }}
{% set word.x = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = 'xy' %}{{ c }}{{ d }}{% set e = 1, %}{{ e }}
{% set x %}a{{ seven }}{% set z = 5 %}{{ z }}{% endset %}{{ x }}{{ z }}{% set ns = namespace() %}{% set ns.t %}inner{% endset %}{{ ns.t }}
{% for n in numbers %}{% for m in numbers %}{% if loop.first %}{{ loop.index }}{% endif %}{% endfor %}{{ loop.index }}{% endfor %}{{ loop is defined }}
{% macro m(a, b=2, c=b) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c=5) }}{{ m() }}{{ m(b=a, a=7) }}{{ m(1) | length }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro down(n) %}{{ n }}{% if n > 0 %}{{ down(n - 1) }}{% endif %}{% endmacro %}{{ down(5) }}{% set x = 1 %}{% macro sees() %}{{ x }}{% set x = 3 %}{{ x }}{% endmacro %}{{ sees() }}{% set x = 2 %}{{ sees() }}{{ x }}
{% macro m() %}{{ n }}{% endmacro %}{% for n in numbers %}{{ m() }}{% endfor %}{% for n in numbers %}{% macro k() %}{{ n }}{% endmacro %}{{ k() }}{% endfor %}
a\n  {% if yes %}\n  b\n  {% endif %}\n  c\n{{ word }}\n{# comment #}\nd\n
a \n  {%- if yes -%} \n  b  \n  {%- endif %}  \n c {{- word -}} \n d
a\n  {%+ if yes %}\nb{% endif +%}\nc{% if yes +%}\nd\n  {%+ endif %}e
  {# x #}\n  {#- y -#}\n  z {# w #} v\n\n{% set a = 1 %}\n\nb
{% if yes %}\n\n{% endif %}\n\n{{ word }}\n\n
  {{ word }}  {% if yes %}  x  {% endif %}  \n  {% if yes %}{% endif %}\n\t{% set a = 1 %} \nq
{%- generation %}said {{ word }}{% set inner = 1 %}{% endgeneration -%} {{ inner }}
{{ 'a' 'b' "c" }} {{ "it's" }} {{ 'say "x"' }} {{ 'tab\t\\ \q \u00e9 \x41' }} {{ '}}' }} {{ {'a': {'b': 1}}.a.b }} {{ {'a': {}} }}
{{ ["it's", 'q"', "both'\"", 'é😀', '\n\t\x00\u200b\xa0'] }}
{{ strftime_now('%d %B %Y, %b %A %a %H:%M:%S %I %p %j %y %m %% %-d') }}
{{ raise_exception('no') }}
{{ word is string is string }}
{{ word
{% if yes %}
{% endif %}
{% for %}{% endfor %}
{% break %}
{% nonsense %}
{% if yes: %}a{% endif %}{% for n in numbers: %}{{ n }}{% endfor %}
{{ }}
{{ 1 + }}
{{ (1 }}
{{ 'a }}
{{ a b }}
{{ [1, 2 }}
{{ word.1a }}
{# open
{{ numbers.append(1) }}
{{ people | map(attribute='extra.n') | list }}
{{ user.__class__.__mro__ }}
{{ user.pop('name') }}
{{ 'a'.nonsense is defined }} {{ numbers.nonsense is defined }} {{ user.tags.0 }} {{ user.tags | length > 1 }} {{ (user.tags | length) > 1 and word }}
{{ numbers | length == 3 }} {{ -1 | string }} {{ 2 - 1 | int }} {{ not numbers | length }} {{ (1 if yes else 2) + 1 }} {{ 'a' in 'abc' == true }}
""".strip("\n").split("\n")


class Generation(jinja2.ext.Extension):
    """The tag of transformers that marks what an assistant says."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_said"), [], [], body).set_lineno(line)

    def _said(self, caller):
        return caller()


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = TODAY.strftime
    return env


def outcome(template, variables):
    try:
        return {"text": environment().from_string(template).render(**variables)}
    except Exception as error:  # TypeError and the like come out of Jinja as they are
        return {"error": str(error)}


def conversations():
    for name, (bos, eos) in TOKENS.items():
        template = (FIXTURES / f"{name}.jinja").read_text()
        for said in CONVERSATIONS:
            messages = [{"role": ROLES[role], "content": content} for role, content in said]
            for prompts in (False, True):
                variables = dict(messages=messages, tools=None, documents=None, add_generation_prompt=prompts)
                variables |= {key: token for key, token in (("bos_token", bos), ("eos_token", eos)) if token}
                yield dict(template=name, bos=bos, eos=eos, messages=messages, prompts=prompts, **outcome(template, variables))


def expressions():
    for line in EXPRESSIONS:
        # \n is a newline outside of strings, where it is Jinja's own.
        template = line if "'" in line or '"' in line else line.replace("\\n", "\n")
        yield dict(template=template, **outcome(template, VARIABLES))


def save(name, content):
    (FIXTURES / name).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


save("conversations.json", list(conversations()))
save("expressions.json", {"variables": VARIABLES, "cases": list(expressions())})
