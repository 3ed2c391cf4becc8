"""Writes what Jinja makes of records as lm-evaluation-harness renders them, for RecordTemplateTests.

    python3 tests/Data/Records/make_record_templates.py

It needs jinja2 (3.1) alone; the environment is that of lm_eval/utils.py. A value of null stands for an error.
"""
import ast
import json
import pathlib
import re

import jinja2

RECORD = {
    "question": " Which is red?\n", "text": "Grüße, 😀 said the cat to the  dog", "answerKey": "B", "label": "1", "n": 2, "none": None, "yes": True,
    "choices": {"text": ["the sky", "a \"ruby\" isn't", "x"], "label": ["A", "B", "C"]}, "list": ["a", "b", "a"], "empty": [],
    "sentence": "Ann told Eve that _ had won.", "option1": "Ann", "option2": "Eve", "half": 0.5, "deep": {"labels": [1, 0], "x": {"y": [[1], []]}},
}

# One a line; ¶ is a newline of the template.
TEMPLATES = r"""
Question: {{question}}¶Answer:
{{question.strip()}}¶A. {{choices.text[0]}}¶
{% set a = 'x' %}¶  {{ a }}¶{# c #}¶ {% if yes %}¶ y{% endif %}¶
{{choices.label.index(answerKey)}}
{{choices.text}}
{{[option1, option2]}}
{{ ["a", question] }}
["{{option1}}", "it's {{n}}", 'b"']
[{{n}}, 3]
[not a list]
[{{answerKey}}]
[1 + 2]
['a', -1, {'b': [2.5]}]
{{text.split(' ')[:-1]|join(' ')}}
{{' '+text.split(' ')[-1]}}
{{ sentence[:sentence.index('_')] + option1 }}|{{ sentence[sentence.index('_') + 1:].strip() }}|{{ label|int - 1 }}
{{ text.index('😀') }} {{ text.find('q') }} {{ text.rfind('the') }} {{ text.rindex('t') }} {{ text.count('t') }} {{ ''.count('') }}
{{ text.index('q') }}
{{ list.index('c') }}
{{ list.index('a') }} {{ list.count('a') }} {{ list.index('b') }} {{ (1, 2).index(2) }} {{ [1, 2].index(2.0) }}
{{ text[1:3] }}{{ text[::-1] }}{{ text[-3:] }}{{ list[1:] }}{{ list[::-1] }}
{{ question | trim }}|{{ question | upper }}|{{ text.removeprefix('Gr') }}|{{ text.removesuffix('dog') }}|{{ text.removesuffix('') }}
{{ 'a\nb\r\nc\x1cd\n'.splitlines() }} {{ ''.splitlines() }} {{ '\n'.splitlines() }}
{{ '12'.isdigit() }} {{ ''.isdigit() }} {{ '1a'.isdigit() }} {{ '٣'.isdigit() }}
{{ 'a [title] b [x] c' | regex_replace('\\[.*?\\]', '') }}|{{ 'ab12cd' | regex_replace('([a-z])(\\d)', '\\2$\\1') }}|{{ 'aaa' | regex_replace('a', 'b', 2) }}
{{ 'k=v' | regex_replace('(?P<k>\\w)=(?P<v>\\w)', '\\g<v>=\\g<k>') }}
{{ ['a [x]', ' b '] | map('trim') | map('regex_replace', '\\[.*?\\]', '') | map('replace', 'a', 'c') | list }}
{{ 'a' | regex_replace('(', '') }}
{{ missing }}
{{ deep.missing }}
{{ 'a' ~ missing }}
{% if missing %}a{% endif %}
{{ missing | default('d') }} {{ missing is defined }} {{ deep.x is defined }} {{ deep.q is defined }}
{{ missing == 1 }}
{% for x in missing %}{% endfor %}
{{ missing | length }}
{{ 'x' if none else 'y' }}{{ none }}{{ half }}{{ yes }}
{{ 'x' if none }}
{{ '1.5' | float + 1 }} {{ 'x' | float }} {{ 2 | float }} {{ 'x' | float(3) }} {{ '7' | int * 2 }}
{{ list | reverse | list }} {{ 'abc' | reverse }} {{ list | first }} {{ list | last }}
{{ deep.x.y }} {{ deep['labels'][0] }} {{ deep.labels.0 }} {{ deep }}
{{ text.capitalize() }} {{ 'aBC d' | capitalize }} {{ 'abc'.upper().lower().title() }}
{{ n + 1 }}
{{ yes }}
{{ half }}
{{ deep.labels }}
{{ none }}
{{ (1, 'a') }}
{{ text.startswith('Gr') and text.endswith('dog') }}
{{ text.replace('the ', '', 1) }} {{ text | replace('t', 'T') }} {{ 'x'.join(list) }}
{% for c in choices.text %}{{ choices.label[loop.index0] }}. {{ c }}{% if not loop.last %}, {% endif %}{% endfor %}
{%- for c in list -%} {{ c }} {%- endfor -%} end
{{ list | map('upper') | join('/') }} {{ 'a b  c'.split() }} {{ 'a,b,c'.split(',', 1) }}
""".strip("\n").split("\n")


def regex_replace(string, pattern, repl, count=0):
    return re.sub(pattern, repl, string, count=count)


def main():
    env = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    env.filters["regex_replace"] = regex_replace
    cases = []
    for line in TEMPLATES:
        template = line.replace("¶", "\n")
        try:
            text = env.from_string(template).render(**RECORD)
        except (jinja2.exceptions.TemplateError, ValueError, re.error, TypeError):
            cases.append({"template": template, "text": None})
            continue
        value = None
        if text[:1] == "[" and text[-1:] == "]":  # as ConfigurableTask.doc_to_choice and doc_to_target read it
            try:
                value = ast.literal_eval(text)
            except (SyntaxError, ValueError):
                pass
        cases.append({"template": template, "text": text, **({} if value is None else {"list": value})})
    path = pathlib.Path(__file__).parent / "Fixtures" / "record_templates.json"
    path.write_text(json.dumps({"record": RECORD, "cases": cases}, indent=1, ensure_ascii=False) + "\n")
    print(sum(case["text"] is None for case in cases), "errors of", len(cases))


main()
