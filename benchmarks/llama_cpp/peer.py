"""llama.cpp's programs."""
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

# Its cache in float32 and its plain attention: what a model computes, without what it is rounded to. Without these the cache is in float16.
EXACT = ["--cache-type-k", "f32", "--cache-type-v", "f32", "--flash-attn", "off"]

ATTEMPTS = 10


class LlamaCpp:
    """The programs on the path, or those inside another root directory, under which the files lie, too."""

    def __init__(self, root, port):
        self.root, self.port = root, port
        if not root and not shutil.which("llama-server"):
            sys.exit("llama-server is not on the path; install llama.cpp (Debian: apt install llama.cpp), or name a root directory that has it with --chroot")

    def version(self):
        text = self._run("llama-completion", "--version")
        return re.search(r"version: (.*)", text)[1]

    def perplexity(self, model, text, context, chunks, exact):
        """Of llama-perplexity: it scores the second half of each chunk."""
        # It ends at times with success before the last lines of its log are written.
        for _ in range(ATTEMPTS):
            log = self._run("llama-perplexity", "-m", self.inside(model), "-f", self.inside(text), "-c", str(context), "-b", str(context), "--chunks", str(chunks), "-t", "1",
                            *(EXACT if exact else []))
            if found := re.search(r"Final estimate: PPL = ([0-9.]+)", log):
                return float(found[1])
        sys.exit(f"llama-perplexity does not tell its result:\n{log}")

    def quantize(self, source, target, kind):
        self._run("llama-quantize", "--allow-requantize", self.inside(source), self.inside(target), kind)

    def serve(self, model, context):
        return Server(self, model, context)

    def inside(self, path):
        """A path as the programs see it."""
        return "/" + str(path.relative_to(self.root)) if self.root else str(path)

    def command(self, *arguments):
        return ["chroot", str(self.root), *arguments] if self.root else list(arguments)

    def _run(self, *arguments):
        done = subprocess.run(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode != 0:
            sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}")
        return done.stdout


class Server:
    """llama-server with one model. It answers with token ids, which the other programs do not."""

    def __init__(self, programs, model, context):
        self.url = f"http://127.0.0.1:{programs.port}"
        self.process = subprocess.Popen(
            programs.command("llama-server", "-m", programs.inside(model), "--port", str(programs.port), "-c", str(context), "-np", "1", "-t", "1", "--no-webui", *EXACT),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        for _ in range(600):
            if self.process.poll() is not None:
                sys.exit(f"llama-server ended with {self.process.returncode} when it was to load the model")
            try:
                with urllib.request.urlopen(f"{self.url}/health"):
                    return self
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        sys.exit("llama-server does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def tokenize(self, text):
        return self._ask("tokenize", {"content": text})["tokens"]

    def greedy(self, prompt, count, likeliest):
        """Continues a text.

        Returns the text, its token ids, and for each of them the log-probabilities of the likeliest tokens by id."""
        answer = self._ask("completion", {
            "prompt": prompt, "n_predict": count, "temperature": 0, "return_tokens": True, "n_probs": likeliest, "cache_prompt": False,
        })
        return answer["content"], answer["tokens"], [{token["id"]: token["logprob"] for token in step["top_logprobs"]} for step in answer["completion_probabilities"]]

    def _ask(self, what, question):
        request = urllib.request.Request(f"{self.url}/{what}", json.dumps(question).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
