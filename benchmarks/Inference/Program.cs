// What suite.py measures here in one process, as one JSON object: memory bandwidth, evaluation and generation, both by the code behind
// the verbs of these names, timed without the start of the program.
//   Inference bandwidth  <bytes>…                                                       bytes/s of reading so much, again and again
//   Inference evaluation <checkpoint> <float32|bfloat16|int8> <seconds> <tokens of the text>
//   Inference generation <checkpoint> <float32|bfloat16|int8> <seconds> <tokens of the prompt>
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Evaluation;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

const double BandwidthSeconds = 0.5;

switch (args)
{
    case ["bandwidth", .. { Length: > 0 } sizes]:
        Print(new { bytesPerSecond = sizes.ToDictionary(size => size, size => Bandwidth(long.Parse(size, CultureInfo.InvariantCulture))) });
        return 0;
    case ["evaluation" or "generation", var path, var precision, var seconds, var tokens]:
        var checkpoint = Checkpoint.Open(path);
        using (var model = checkpoint.LoadModel(CPU, Enum.Parse<InferencePrecision>(precision, ignoreCase: true)))
        {
            var length = int.Parse(tokens, CultureInfo.InvariantCulture);
            Func<int> work = args[0] == "evaluation" ? Evaluation(model, checkpoint, length) : Generation(model, checkpoint, length);
            Print(new { tokensPerSecond = Rate(work, double.Parse(seconds, CultureInfo.InvariantCulture)) });
        }
        return 0;
    default:
        Console.Error.WriteLine(
            "Inference: give bandwidth <bytes>…, or evaluation|generation <checkpoint> <float32|bfloat16|int8> <seconds> <tokens>");
        return 2;
}

void Print(object figures) => Console.WriteLine(JsonSerializer.Serialize(figures));

// All of the text, each token scored once in windows as long as the context.
Func<int> Evaluation(LanguageModel model, Checkpoint checkpoint, int length)
{
    var text = TokenText.Of(RandomIds(length + 1, checkpoint.Tokenizer.VocabularySize));
    var evaluator = new PerplexityEvaluator(model, checkpoint.Tokenizer);
    return () => (int)evaluator.Evaluate(text, PerplexityOptions.Disjoint(model.ContextLength)).Tokens;
}

// Greedy, one sequence, from a prompt to the end of the context.
Func<int> Generation(LanguageModel model, Checkpoint checkpoint, int length)
{
    var generator = new TextGenerator(model, checkpoint.Tokenizer, CPU);
    var prompt = RandomIds(length, checkpoint.Tokenizer.VocabularySize);
    var options = new GenerationOptions { Tokens = model.ContextLength - length, Sampling = new() { Greedy = true } };
    return () => generator.Generate(prompt, options).Count();
}

int[] RandomIds(int count, int vocabulary)
{
    var random = new Random(1337);
    return [.. Enumerable.Range(0, count).Select(_ => random.Next(vocabulary))];
}

// Tokens a second. A fifth of the time, and at least once, is for warming up and is not counted.
double Rate(Func<int> work, double seconds)
{
    var warming = Stopwatch.StartNew();
    do work(); while (warming.Elapsed.TotalSeconds < seconds / 5);
    var (watch, tokens) = (Stopwatch.StartNew(), 0L);
    do tokens += work(); while (watch.Elapsed.TotalSeconds < seconds);
    return tokens / watch.Elapsed.TotalSeconds;
}

// The fastest of many readings: what is left of a cache counts, as it does for a model of this size.
double Bandwidth(long bytes)
{
    using var inference = inference_mode();
    using var scope = NewDisposeScope();
    var numbers = ones([bytes / sizeof(float)]);
    var best = double.MaxValue;
    var watch = Stopwatch.StartNew();
    do
    {
        using var one = NewDisposeScope();
        var start = Stopwatch.GetTimestamp();
        numbers.sum().ToSingle();
        best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
    }
    while (watch.Elapsed.TotalSeconds < BandwidthSeconds);
    return bytes / best;
}
