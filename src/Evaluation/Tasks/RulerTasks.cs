using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Inference;

namespace Trainer.Evaluation.Tasks;

/// <summary>RULER (Hsieh et al. 2024, arXiv 2404.06654) at any length: needles in a haystack, tracked variables, common and frequent words.
/// Texts, prefixes of answers and scoring (<c>string_match</c>) are the paper's; haystacks are its noise instead of essays, and words are
/// from a short list, so that they suit small models. A length counts the prompt and the answer in the model's own tokens.</summary>
internal static class RulerTasks
{
    public const int Questions = 100;

    public static TaskEntry All { get; } = new()
    {
        Name = "ruler",
        About = "retrieval, tracking and counting over long texts, --length tokens each (Hsieh et al. 2024)",
        Members =
        [
            Task("ruler_niah_single", "one number in noise", 128, (random, size, _) => RulerTexts.Needles(random, size)),
            Task("ruler_niah_multikey", "one number among those of 4 keys", 128,
                (random, size, _) => RulerTexts.Needles(random, size, keys: 4)),
            Task("ruler_niah_multikey_2", "one number in a text of nothing else", 128,
                (random, size, _) => RulerTexts.Needles(random, size, needlesOnly: true)),
            Task("ruler_niah_multivalue", "all 4 numbers of a key", 128, (random, size, _) => RulerTexts.Needles(random, size, values: 4)),
            Task("ruler_niah_multiquery", "the numbers of 4 keys", 128,
                (random, size, _) => RulerTexts.Needles(random, size, keys: 4, queries: 4)),
            Task("ruler_vt", "all variables of a value, assigned over 4 steps", 30,
                (random, size, _) => RulerTexts.Variables(random, size)),
            Task("ruler_cwe", "the 10 most common words of a list", 120, (random, size, _) => RulerTexts.CommonWords(random, size, 30, 3),
                (random, size, _) => RulerTexts.CommonWords(random, size, 6, 1),
                (random, size, _) => RulerTexts.CommonWords(random, size, 4, 1, showsExample: false)),
            Task("ruler_fwe", "the 3 most frequent made-up words", 50, RulerTexts.FrequentWords),
        ],
    };

    // Of several ways to write it, the first that fits is taken.
    private static TaskEntry Task(
        string name, string about, int answerTokens, params Func<SplitMix64, int, int, RulerText>[] writers) => new()
    {
        Name = name, About = about, HasLengths = true,
        Definition = TaskDefinition.Parse($$$"""
            { "task": "{{{name}}}", "output_type": "generate_until", "doc_to_text": "{{input}}{{answer_prefix}}",
              "doc_to_target": "outputs", "generation_kwargs": { "until": [] }, "metric_list": [{ "metric": "string_match" }] }
            """, name),
        Make = making => Make(name, answerTokens, making, writers),
    };

    private static MadeTask Make(string name, int answerTokens, TaskMaking making, Func<SplitMix64, int, int, RulerText>[] writers)
    {
        int length = making.Length ?? throw new UserException($"task {name} needs --length: how many tokens are its texts to have?");
        if (length > making.ContextLength)
            throw new UserException($"--length is {length}, and the model reads {making.ContextLength} tokens; ask for shorter ones, or " +
                "extend its positions first (convert --rope-scaling)");
        SplitMix64 seeds = new(making.Options.Seed);
        long[] drawn = [.. Enumerable.Range(0, making.Options.Limit ?? Questions).Select(_ => (long)(seeds.NextDouble() * (1L << 53)))];
        RulerText[] texts = new RulerText[drawn.Length];
        int size = -1, writer = 0, answer = answerTokens;
        // The longest answer is reserved in every text, and is known when all are written.
        for (int i = 0; i < drawn.Length; i++)
        {
            RulerText Of(int units) => writers[writer](new(drawn[i]), units, length);
            bool Fits(RulerText text) => Count(making.Tokenizer, text.Input + text.Prefix)
                + Math.Max(answer, Answer(making, answerTokens, text)) <= length;
            // As large as fits for the first; others begin there.
            while (size < 0 && (size = Largest(units => Fits(Of(units)))) < 0 && writer < writers.Length - 1) writer++;
            int own = size;
            while (own >= 0 && !Fits(texts[i] = Of(own))) own--;
            if (own < 0)
                throw new UserException($"--length is {length}, and task {name} has " +
                    $"{Count(making.Tokenizer, Of(0).Input + Of(0).Prefix)} tokens of this tokenizer at least, and " +
                    $"{Math.Max(answer, Answer(making, answerTokens, Of(0)))} of its answer; ask for longer ones");
            int needed = Answer(making, answerTokens, texts[i]);
            if (needed > answer) (answer, i) = (needed, -1);
        }
        var records = texts.Select(text => new { input = text.Input, answer_prefix = text.Prefix, outputs = text.Outputs });
        return new(MadeTask.Records(name, records), []) { AnswerTokens = answer };
    }

    // The paper's number, or what small vocabularies need for the answer and commas.
    private static int Answer(TaskMaking making, int tokens, RulerText text) =>
        Math.Max(tokens, Count(making.Tokenizer, string.Join(", ", text.Outputs)) + 8);

    private static int Count(Tokenizer tokenizer, string text) => tokenizer.Template.Before.Count + tokenizer.Encode(text).Length;

    // The largest number that fits, -1 for none: doubling, then halves.
    private static int Largest(Func<int, bool> fits)
    {
        if (!fits(0)) return -1;
        int high = 1;
        while (fits(high)) high *= 2;
        int low = high / 2;
        while (high - low > 1)
        {
            int middle = (low + high) / 2;
            if (fits(middle)) low = middle;
            else high = middle;
        }
        return low;
    }
}

/// <summary>A question of RULER: the text, what the answer begins with, and what it has to say.</summary>
internal sealed record RulerText(string Input, string Prefix, IReadOnlyList<string> Outputs);
