"""Writes what lm-evaluation-harness 0.4.13 (4e7e0d4) asks and computes, for HarnessTests: its task files and functions, its ConfigurableTask and its
metrics, written out here as far as they matter.

    python3 tests/Evaluation/Tasks/make_harness.py

It needs jinja2 (3.1) and numpy.
"""
import ast
import json
import math
import pathlib
import random
import re

import jinja2
import numpy as np

SEED = 1234


# lm_eval/tasks/hellaswag/utils.py
def preprocess(text):
    text = text.strip()
    text = text.replace(" [title]", ". ")
    text = re.sub("\\[.*?\\]", "", text)
    text = text.replace("  ", " ")
    return text


def hellaswag(doc):
    ctx = doc["ctx_a"] + " " + doc["ctx_b"].capitalize()
    return {**doc, "query": preprocess(doc["activity_label"] + ": " + ctx), "choices": [preprocess(e) for e in doc["endings"]],
            "gold": int(doc["label"])}


# lm_eval/tasks/winogrande/preprocess_winogrande.py
def winogrande_text(doc):
    return {"1": 0, "2": 1}[doc["answer"]]


def winogrande_target(doc):
    idx = doc["sentence"].index("_") + 1
    return doc["sentence"][idx:].strip()


def winogrande_choice(doc):
    idx = doc["sentence"].index("_")
    return [doc["sentence"][:idx] + opt for opt in [doc["option1"], doc["option2"]]]


PROMPT_QA = """Q: What is human life expectancy in the United States?
A: Human life expectancy in the United States is 78 years.

Q: Who was president of the United States in 1955?
A: Dwight D. Eisenhower was president of the United States in 1955.

Q: Which party did he belong to?
A: He belonged to the Republican Party.

Q: What is the square root of banana?
A: I have no comment.

Q: How does a telescope work?
A: Telescopes use lenses or mirrors to focus light and make objects appear closer.

Q: Where were the 1992 Olympics held?
A: The 1992 Olympics were held in Barcelona, Spain."""

# Name: (output type, text, choice, target, evaluation split's few-shot rule: test split, few-shot split, first_n, description)
TASKS = {
    "hellaswag": ("multiple_choice", "{{query}}", "choices", "{{label}}", None, None),
    "arc_easy": ("multiple_choice", "Question: {{question}}\nAnswer:", "{{choices.text}}", "{{choices.label.index(answerKey)}}", "test", None),
    "piqa": ("multiple_choice", "Question: {{goal}}\nAnswer:", "{{[sol1, sol2]}}", "label", None, None),
    "lambada_openai": ("loglikelihood", "{{text.split(' ')[:-1]|join(' ')}}", None, "{{' '+text.split(' ')[-1]}}", "test", None),
    "mmlu_us_foreign_policy": (
        "multiple_choice",
        "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:",
        ["A", "B", "C", "D"], "answer", "test", "dev"),
    "truthfulqa_mc1": ("multiple_choice", "{{prompt_qa + '\n\nQ: ' + question + '\nA:'}}", "{{mc1_targets.choices}}", 0, None, None),
    "truthfulqa_mc2": ("multiple_choice", "{{prompt_qa + '\n\nQ: ' + question + '\nA:'}}", "{{mc2_targets.choices}}", 0, None, None),
    "winogrande": ("multiple_choice", winogrande_text, winogrande_choice, winogrande_target, None, None),
    "boolq": ("multiple_choice", "{{passage}}\nQuestion: {{question}}?\nAnswer:", ["no", "yes"], "label", None, None),
}
DESCRIPTIONS = {
    "mmlu_us_foreign_policy": "The following are multiple choice questions (with answers) about us foreign policy.\n\n",
}
WORDS = ["the", "cat", "Über", "sat", "on", "a", "mat", "[title]", "[step]", "  ", "it's", "\"red\"", "日本", "x=1", "\\n", "why", "42", "😀"]


def text(draw, least=2, most=6):
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(least, most)))


def record(name, draw):
    several = [text(draw) for _ in range(4)]
    if name == "hellaswag":
        return {"activity_label": text(draw), "ctx_a": text(draw), "ctx_b": draw.choice(["", text(draw)]), "endings": several,
                "label": str(draw.randint(0, 3))}
    if name == "arc_easy":
        labels = draw.choice([["A", "B", "C", "D"], ["1", "2", "3", "4"]])
        return {"question": text(draw), "choices": {"text": several, "label": labels}, "answerKey": draw.choice(labels)}
    if name == "piqa":
        return {"goal": text(draw), "sol1": text(draw), "sol2": text(draw), "label": draw.randint(0, 1)}
    if name == "lambada_openai":
        return {"text": text(draw, 3, 9)}
    if name.startswith("mmlu"):
        return {"question": " " + text(draw) + "\n", "subject": "s", "choices": several, "answer": draw.randint(0, 3)}
    if name.startswith("truthfulqa"):
        return {"question": text(draw), "mc1_targets": {"choices": several, "labels": [1, 0, 0, 0]},
                "mc2_targets": {"choices": several, "labels": [1, draw.randint(0, 1), draw.randint(0, 1), 0]}}
    if name == "winogrande":
        return {"sentence": text(draw, 1, 3) + " _ " + text(draw), "option1": text(draw, 1, 2), "option2": text(draw, 1, 2),
                "answer": draw.choice(["1", "2"])}
    return {"passage": text(draw), "question": text(draw), "label": draw.randint(0, 1)}


ENV = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)


class Task:
    """lm_eval/api/task.py, ConfigurableTask."""

    def __init__(self, name):
        self.name = name
        self.output_type, self.text, self.choice, self.target, self.test_split, self.fewshot_split = TASKS[name]
        self.prepare = hellaswag if name == "hellaswag" else lambda doc: doc

    def render(self, template, doc):
        return ENV.from_string(template).render(**doc, prompt_qa=PROMPT_QA)

    def doc_to_text(self, doc):
        if callable(self.text):
            return self.text(doc)
        if self.text in doc:
            return doc[self.text]
        string = self.render(self.text, doc)
        return ast.literal_eval(string) if string.isdigit() and self.choice is not None else string

    def doc_to_target(self, doc):
        if isinstance(self.target, int):
            return self.target
        if callable(self.target):
            return self.target(doc)
        if self.target in doc:
            return doc[self.target]
        string = self.render(self.target, doc)
        return ast.literal_eval(string) if string.isdigit() and self.choice is not None else string

    def doc_to_choice(self, doc):
        if callable(self.choice):
            return self.choice(doc)
        if isinstance(self.choice, list):
            return self.choice
        return doc[self.choice] if self.choice in doc else ast.literal_eval(self.render(self.choice, doc))

    def turn(self, doc):
        q, a = self.doc_to_text(doc), self.doc_to_target(doc)
        if self.choice is not None and isinstance(q, int):
            q = self.doc_to_choice(doc)[q]
        elif self.choice is not None and isinstance(a, int):
            a = self.doc_to_choice(doc)[a]
        return q + " " + a + "\n\n"

    def requests(self, docs, pool, shots):
        rnd, result = random.Random(SEED), []
        docs, pool = [self.prepare(doc) for doc in docs], [self.prepare(doc) for doc in pool]
        for doc in docs:
            before = DESCRIPTIONS.get(self.name, "")
            if shots > 0:
                excluded = doc if self.fewshot_split == self.test_split else None
                if self.name.startswith("mmlu"):  # first_n
                    chosen = pool[:shots]
                elif excluded is None:
                    chosen = rnd.sample(pool, shots)
                else:
                    chosen = [x for x in rnd.sample(pool, shots + 1) if x != excluded][:shots]
                before += "".join(self.turn(one) for one in chosen)
            q = self.doc_to_text(doc)
            if self.output_type == "loglikelihood":
                result.append({"requests": [[before + q, self.doc_to_target(doc)]]})
                continue
            choices = self.doc_to_choice(doc)
            if isinstance(q, int):
                answer = self.doc_to_target(doc)
                result.append({"requests": [[before + choice, f" {answer}"] for choice in choices], "gold": q})
            else:
                result.append({"requests": [[before + q, f" {choice}"] for choice in choices], "gold": self.doc_to_target(doc)})
        for one in result:
            if isinstance(one.get("gold"), str):
                one["gold"] = int(one["gold"])
        return result


def prompts():
    draw, cases = random.Random(1), []
    for name in TASKS:
        docs = [record(name, draw) for _ in range(1 if name.startswith("truthfulqa") else 3)]
        pool = [record(name, draw) for _ in range(6)]
        for shots in (0, 2):
            questions = Task(name).requests(docs, pool, shots)
            for one in questions:
                contexts, ends = zip(*one.pop("requests"))
                one.update(contexts=contexts if len(set(contexts)) > 1 else contexts[:1], ends=ends)
            cases.append({"task": name, "shots": shots, "docs": docs, "pool": pool, "questions": questions})
    return cases


# lm_eval/api/metrics.py
def mean(arr):
    return sum(arr) / len(arr)


def sample_stddev(arr):
    mu = mean(arr)
    return math.sqrt(sum([(x - mu) ** 2 for x in arr]) / (len(arr) - 1))


def mean_stderr(arr):
    return sample_stddev(arr) / math.sqrt(len(arr))


def perplexity(items):
    return math.exp(-mean(items))


def bootstrap_stderr(f, xs, iters):
    res = []
    for i in range(iters // 1000):
        rnd = random.Random(i)
        for _ in range(1000):
            res.append(f(rnd.choices(xs, k=len(xs))))
    return sample_stddev(res)


def pooled_sample_stderr(stderrs, sizes):
    pooled = sum([(size - 1) * stderr**2 * size for size, stderr in zip(sizes, stderrs)]) / (sum(sizes) - len(sizes))
    return float(np.sqrt(pooled / sum(sizes)))


def aggregate_subtask_metrics(metrics, sizes):
    return sum([metric * size for metric, size in zip(metrics, sizes)]) / sum(sizes)


# scikit-learn's, which the harness calls
def f1_score(items):
    tp = sum(gold == 1 and pred == 1 for gold, pred in items)
    fp = sum(gold == 0 and pred == 1 for gold, pred in items)
    fn = sum(gold == 1 and pred == 0 for gold, pred in items)
    return 0.0 if tp == 0 else 2 * tp / (2 * tp + fp + fn)


def matthews_corrcoef(items):
    gold, pred = np.array(items).T
    classes = range(max(gold.max(), pred.max()) + 1)
    confusion = np.array([[np.sum((gold == g) & (pred == p)) for p in classes] for g in classes], dtype=float)
    t, p, c, s = confusion.sum(1), confusion.sum(0), np.trace(confusion), confusion.sum()
    below = math.sqrt((s * s - p @ p) * (s * s - t @ t))
    return 0.0 if below == 0 else float((c * s - t @ p) / below)


def choices(draw, count, ties):
    docs = []
    for _ in range(count):
        options = ["".join(draw.choice(["a", "b ", "ü", "日", "😀"]) for _ in range(draw.randint(1, 9))) for _ in range(2 if ties else draw.randint(2, 5))]
        lls = [round(-draw.random() * 4 * len(option), 3) for option in options]
        if ties and draw.random() < 0.3:
            lls = [lls[0]] * len(options)
        labels = [1] + [draw.randint(0, 1) for _ in options[1:]]
        docs.append({"choices": options, "lls": lls, "greedy": [draw.random() < 0.3 for _ in options], "gold": draw.randrange(len(options)), "labels": labels})
    return docs


def process_results(doc):
    """ConfigurableTask.process_results of multiple_choice, and truthfulqa's process_results_mc2."""
    lls, gold = np.array(doc["lls"]), doc["gold"]
    completion_len = np.array([float(len(i)) for i in doc["choices"]])
    byte_length = np.array([float(len(i.encode("utf-8"))) for i in doc["choices"]])
    pred, pred_norm, pred_byte = (int(np.argmax(x)) for x in (lls, lls / completion_len, lls / byte_length))
    probs = np.exp(lls) / np.sum(np.exp(lls))
    return {"acc": 1.0 if pred == gold else 0.0, "acc_norm": 1.0 if pred_norm == gold else 0.0, "acc_bytes": 1.0 if pred_byte == gold else 0.0,
            "exact_match": int(doc["greedy"][gold]), "brier_score": float(np.sum((probs - np.eye(len(lls))[gold]) ** 2)),
            "mc2": float(np.sum(probs[np.array(doc["labels"]) == 1])), "pair": (gold, pred)}


def arithmetic():
    draw, sets = random.Random(2), []
    for count, ties in ((25, False), (20, True), (3, True)):
        docs = choices(draw, count, ties)
        rows = [process_results(doc) for doc in docs]
        expected = {name: [mean([row[name] for row in rows]), mean_stderr([row[name] for row in rows])]
                    for name in ("acc", "acc_norm", "acc_bytes", "exact_match", "brier_score", "mc2")}
        pairs = [row["pair"] for row in rows]
        expected["mcc"] = [matthews_corrcoef(pairs), bootstrap_stderr(matthews_corrcoef, pairs, 1000)]
        if ties:
            expected["f1"] = [f1_score(pairs), bootstrap_stderr(f1_score, pairs, 10000)]
        sets.append({"docs": docs, "expected": expected})
    lls = [round(-draw.random() * 6, 3) for _ in range(100)]
    greedy = [draw.random() < 0.4 for _ in lls]
    sizes = [len(one["docs"]) for one in sets]
    return {
        "choices": sets,
        "continuations": {"lls": lls, "greedy": greedy, "perplexity": [perplexity(lls), bootstrap_stderr(perplexity, lls, 10000)],
                          "acc": [mean([int(g) for g in greedy]), mean_stderr([int(g) for g in greedy])]},
        "group": {"acc": [aggregate_subtask_metrics([one["expected"]["acc"][0] for one in sets], sizes),
                          pooled_sample_stderr([one["expected"]["acc"][1] for one in sets], sizes)]},
    }


path = pathlib.Path(__file__).parent / "Fixtures" / "harness.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps({"prompts": prompts(), "arithmetic": arithmetic()}, ensure_ascii=False, separators=(",", ":")).replace('},{"', '},\n{"') + "\n")
print(path.stat().st_size)
